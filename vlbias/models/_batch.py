"""Pads encoded prompts to one batch, and halves a batch that does not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from vlbias.models._chat import Encoded
from vlbias.records import Fault

Row = TypeVar("Row")
Result = TypeVar("Result")
MOST_TOKENS = 16384
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
) -> list[Result | Fault]:
    """`run` over rows of equal `key`, results in the order of `rows`; a row that does not fit alone is a Fault.

    A group is cut where its padded tokens, by `size`, would exceed MOST_TOKENS: more do not make a device busier.
    """
    groups: dict[Any, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(key(row), []).append(place)
    found: dict[int, Result | Fault] = {}
    fit = Fit()
    for places in groups.values():
        for part in _cut(places, [size(rows[p]) for p in places]):
            found.update(zip(part, halving([rows[p] for p in part], run, fit)))
    return [found[place] for place in range(len(rows))]


def _cut(places: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
    parts: list[list[int]] = []
    longest = 0
    for place, size in zip(places, sizes):
        longest = max(longest, size)
        if not parts or longest * (len(parts[-1]) + 1) > MOST_TOKENS:
            parts.append([])
            longest = size
        parts[-1].append(place)
    return parts


def halving(
    rows: list[Row], run: Callable[[list[Row]], Sequence[Result]], fit: Fit, *, level: int = 0
) -> list[Result | Fault]:
    """`run(rows)`, in halves of halves where memory does not suffice; `fit` keeps what was found. No row is lost."""
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
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(rows) == 1:
            return [Fault(kind="memory", reason=f"one prompt alone does not fit in memory: {reason[:200]}")]
        fit.halvings = level + 1
    middle = len(rows) // 2
    return halving(rows[:middle], run, fit, level=level + 1) + halving(rows[middle:], run, fit, level=level + 1)
