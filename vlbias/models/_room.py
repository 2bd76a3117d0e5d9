"""How many tokens one forward may hold: grown while memory allows, lowered where it did not suffice."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

START_TOKENS = 2048
# More make a CPU slower: a row costs a third more in forwards of 4,000 tokens. On a device memory alone sets the end.
MOST_TOKENS = {"cpu": 2048}
UNTOLD_TOKENS = 16384
HEADROOM = 1.25


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a device tells of its memory, in bytes.

    `free` is what a forward can have now, None where the system does not tell. `held` is what is held now, `most` the
    most that ever was.
    """

    free: Callable[[], int | None]
    held: Callable[[], int]
    most: Callable[[], int]


class Room:
    """The padded tokens of a forward: START_TOKENS at first, then twice as many for as long as they fit.

    `most_tokens` bounds them (None: memory alone does). What a token takes is measured; twice as many are tried where
    they would fit with a quarter to spare. A size that did not fit is not tried again. Growth begins anew with every
    call, and no clock is read: which rows stand in one forward follows from the rows and the memory.
    """

    def __init__(self, memory: Memory, *, most_tokens: int | None) -> None:
        self.memory, self.most_tokens = memory, most_tokens
        self.bytes_per_token = 0.0
        self._held = self._most = 0

    def first(self) -> int:
        """The tokens to begin with."""
        return self._bounded(START_TOKENS)

    def begin(self) -> None:
        """Called before a forward."""
        self._held, self._most = self.memory.held(), self.memory.most()

    def fitted(self, n_tokens: int) -> None:
        """Called after a forward of so many tokens that fitted; one that stays below earlier heights tells nothing."""
        most = self.memory.most()
        if most > self._most:
            self.bytes_per_token = max(self.bytes_per_token, (most - self._held) / n_tokens)

    def failed(self, n_tokens: int) -> None:
        """Called when so many tokens did not fit: half of them is the most from now on."""
        self.most_tokens = self._bounded(max(1, n_tokens // 2))

    def next(self, n_tokens: int) -> int:
        """The tokens of the forward after one that was allowed `n_tokens`."""
        free = self.memory.free()
        if free is None:
            return self._bounded(UNTOLD_TOKENS)
        fits = HEADROOM * 2 * n_tokens * self.bytes_per_token <= free
        return self._bounded(2 * n_tokens if fits else n_tokens)

    def _bounded(self, n_tokens: int) -> int:
        return n_tokens if self.most_tokens is None else min(n_tokens, self.most_tokens)


def room(device: torch.device) -> Room:
    """The room on a device before its first forward."""
    return Room(memory(device), most_tokens=MOST_TOKENS.get(device.type))


def memory(device: torch.device) -> Memory:
    """The memory of a device: CUDA's own count of its tensors, the process and the system's free memory on a CPU."""
    if device.type == "cuda":
        return Memory(
            free=lambda: _free_on_cuda(device),
            held=lambda: int(torch.cuda.memory_allocated(device)),
            most=lambda: int(torch.cuda.max_memory_allocated(device)),
        )
    return Memory(free=available_bytes if device.type == "cpu" else lambda: None, held=_held, most=_most_held)


def available_bytes() -> int | None:
    """The system's memory that a process can still have; None where the system does not tell."""
    told = Path("/proc/meminfo")
    lines = told.read_text(encoding="ascii").splitlines() if told.is_file() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)


def _free_on_cuda(device: torch.device) -> int:
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def _held() -> int:
    told = Path("/proc/self/statm")
    return int(told.read_text(encoding="ascii").split()[1]) * resource.getpagesize() if told.is_file() else _most_held()


def _most_held() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
