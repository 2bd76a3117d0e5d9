"""Counts what a model computes while it is asked: the tokens that go through it and the most memory that it takes."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
NO_RESET = "this system does not let a process set back its peak of memory; Linux does, through /proc/self/clear_refs"


@dataclass(kw_only=True)
class Work:
    """What was computed. `n_tokens` counts what the text model read, padding included; None where it is not seen.

    `peak_bytes` is the most memory at a time beyond what was held at the start: allocated by PyTorch on a GPU, else
    resident in the process. None where it cannot be had, and `peak_reason` says why.
    """

    n_tokens: int | None = None
    peak_bytes: int | None = None
    peak_reason: str | None = None


@contextmanager
def counting(model: Any) -> Iterator[Work]:
    """Counts what `model` computes inside of the context; the record is complete when the context ends.

    `model` is an adapter. Tokens are seen where its `model` is a PyTorch module that is called with tokens or their
    embeddings. On a CPU the peak is that of the whole process, so other threads count.
    """
    network: Any = getattr(model, "model", None)
    work = Work()
    seen: list[int] = []

    def see(_network: Any, _args: Any, given: dict[str, Any], _output: Any) -> None:
        fed = given.get("inputs_embeds")
        fed = given.get("input_ids") if fed is None else fed
        if fed is not None:
            seen.append(int(fed.shape[0] * fed.shape[1]))

    handle = network.register_forward_hook(see, with_kwargs=True) if hasattr(network, "register_forward_hook") else None
    rise = _rise_cuda(network) if _on_cuda(network) else _rise_resident()
    try:
        yield work
    finally:
        if handle is not None:
            handle.remove()
        work.n_tokens = sum(seen) if seen else None
        work.peak_bytes = rise() if rise else None
        work.peak_reason = None if rise else NO_RESET


def _on_cuda(network: Any) -> bool:
    return str(getattr(network, "device", "cpu")).startswith("cuda")


def _rise_cuda(network: Any) -> Callable[[], int]:
    # Whoever holds a network on CUDA has imported torch; importing it here would load it for models without one.
    cuda = sys.modules["torch"].cuda
    cuda.synchronize(network.device)
    cuda.reset_peak_memory_stats(network.device)
    before = cuda.memory_allocated(network.device)
    return lambda: int(cuda.max_memory_allocated(network.device) - before)


def _rise_resident() -> Callable[[], int] | None:
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        # What the C library keeps of freed memory would hide the next rise.
        trim(0)
    try:
        CLEAR.write_text("5", encoding="ascii")
        before = _resident_bytes("VmRSS")
    except OSError:
        return None
    return lambda: max(0, _resident_bytes("VmHWM") - before)


def _resident_bytes(name: str) -> int:
    """A line of the process's status, in bytes."""
    lines = (line.partition(":") for line in STATUS.read_text(encoding="ascii").splitlines())
    (found,) = [value for key, _, value in lines if key == name]
    return int(found.split()[0]) * 1024
