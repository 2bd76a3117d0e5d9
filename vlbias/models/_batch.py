"""Pads encoded prompts to one batch, grows batches as far as memory goes, and halves one that does not fit."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from vlbias.models._chat import Encoded
from vlbias.models._room import Room
from vlbias.records import Fault

Row = TypeVar("Row")
Result = TypeVar("Result")
PER_TOKEN = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")


@dataclass
class Fit:
    """How often rows had to be halved so far until they fitted in memory: later rows are halved as often at once."""

    halvings: int = 0


def collate(rows: Sequence[tuple[Encoded, Sequence[int]]], *, pad_id: int) -> dict[str, torch.Tensor]:
    """One batch of prompts, each with the tokens appended to it, padded on the left; pixels one after the other."""
    width = max(prompt.n_tokens + len(tail) for prompt, tail in rows)
    batch: dict[str, torch.Tensor] = {}
    for name in rows[0][0].inputs:
        if name not in PER_TOKEN:
            batch[name] = torch.cat([prompt.inputs[name] for prompt, _ in rows])
            continue
        empty = pad_id if name == "input_ids" else 0
        filled = torch.full((len(rows), width), empty, dtype=torch.long)
        for row, (prompt, tail) in enumerate(rows):
            start = width - prompt.n_tokens - len(tail)
            filled[row, start : start + prompt.n_tokens] = prompt.inputs[name][0]
            if tail and name == "input_ids":
                filled[row, width - len(tail) :] = torch.tensor(tail)
            if tail and name == "attention_mask":
                filled[row, width - len(tail) :] = 1
        batch[name] = filled
    return batch


def shape_key(prompt: Encoded) -> tuple[Any, ...]:
    """Equal for prompts whose pixels can stand in one batch."""
    return tuple((n, v.dtype, tuple(v.shape[1:])) for n, v in sorted(prompt.inputs.items()) if n not in PER_TOKEN)


def in_groups(
    rows: Sequence[Row],
    *,
    key: Callable[[Row], Any],
    size: Callable[[Row], int],
    run: Callable[[list[Row]], Sequence[Result]],
    room: Room,
) -> list[Result | Fault]:
    """`run` over rows of equal `key`, results in the order of `rows`; a row that does not fit alone is a Fault.

    A group is cut where its padded tokens, by `size`, would exceed what `room` allows; a row longer than that stands
    alone.
    """
    groups: dict[Any, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(key(row), []).append(place)
    found: dict[int, Result | Fault] = {}
    for places in groups.values():
        allowed = room.first()
        while places:
            count, n_tokens = _first([size(rows[place]) for place in places], most=allowed)
            part, places = places[:count], places[count:]
            fit = Fit()
            room.begin()
            found.update(zip(part, halving([rows[place] for place in part], run, fit)))
            if fit.halvings:
                room.failed(n_tokens >> fit.halvings - 1)
            else:
                room.fitted(n_tokens)
            allowed = room.next(allowed)
    return [found[place] for place in range(len(rows))]


def _first(sizes: Sequence[int], *, most: int) -> tuple[int, int]:
    """How many of the first rows have at most `most` tokens when padded to the longest, at least one; their tokens."""
    longest = sizes[0]
    for count, size in enumerate(sizes):
        if count and max(longest, size) * (count + 1) > most:
            return count, longest * count
        longest = max(longest, size)
    return len(sizes), longest * len(sizes)


def halving(
    rows: list[Row],
    run: Callable[[list[Row]], Sequence[Result]],
    fit: Fit,
    *,
    level: int = 0,
    shrink: Callable[[], bool] = lambda: False,
) -> list[Result | Fault]:
    """`run(rows)`, in halves of halves where memory does not suffice; `fit` keeps what was found. No row is lost.

    `shrink` is asked first: where it makes `run` need less memory, it says so and `run` is tried again.
    """
    if level >= fit.halvings or len(rows) == 1:
        reason = ""
        try:
            return list(run(rows))
        except (MemoryError, torch.OutOfMemoryError) as error:
            reason = str(error)
        except RuntimeError as error:
            if "allocate memory" not in str(error):
                raise
            reason = str(error)
        # Outside the handler, so that the traceback holds no tensors of the failed batch while the halves run.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if shrink():
            return halving(rows, run, fit, level=level, shrink=shrink)
        if len(rows) == 1:
            return [Fault(kind="memory", reason=f"one prompt alone does not fit in memory: {reason[:200]}")]
        fit.halvings = level + 1
    halves = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    return [found for half in halves for found in halving(half, run, fit, level=level + 1, shrink=shrink)]
