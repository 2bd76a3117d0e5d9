"""Asks every prompt in a row of its own, from its first token to its last: what sharing is measured against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from vlbias.models._batch import in_groups, shape_key
from vlbias.models._chat import Encoded
from vlbias.models._options import Tokens, log_probabilities
from vlbias.models._room import Room
from vlbias.records import Fault

Ready = tuple[Encoded, Tokens]
Logits = Callable[[Sequence[Ready], int], torch.Tensor]
Options = tuple[tuple[Tokens, ...], ...]


def logprobs(
    prompts: Sequence[Encoded], options: Sequence[Options], logits: Logits, room: Room
) -> list[tuple[float, ...] | Fault]:
    """By prompt, the log-probability of each of its options.

    `logits(rows, keep)` runs rows of prompts with a tail and gives the logits of their last `keep` tokens. Options of
    one token are read from one forward over the batch; those of more are teacher-forced, each in a row of its own.
    """
    found: list[list[list[float]] | Fault] = [[[] for _ in own] for own in options]
    rows = in_groups(prompts, key=shape_key, size=_length, run=lambda p: _next(p, logits), room=room)
    for number, row in enumerate(rows):
        if isinstance(row, Fault):
            found[number] = row
            continue
        _add(
            found,
            number,
            [(k, float(row[ids[0]])) for k, own in enumerate(options[number]) for ids in own if len(ids) == 1],
        )
    owners = [
        (n, k, ids) for n, own in enumerate(options) for k, them in enumerate(own) for ids in them if len(ids) > 1
    ]
    tails = [(prompts[n], ids) for n, _, ids in owners]
    sums = in_groups(tails, key=row_key, size=row_length, run=lambda rows: tail_logprobs(rows, logits), room=room)
    for (number, k, _), total in zip(owners, sums):
        if isinstance(total, Fault):
            found[number] = total
        else:
            _add(found, number, [(k, total)])
    # The tokens of an option are all single or all several, so its sums stand in the order of its variants.
    return [x if isinstance(x, Fault) else log_probabilities(x, own) for x, own in zip(found, options)]


def tail_logprobs(rows: Sequence[Ready], logits: Logits) -> list[float]:
    """The summed log-probability of each row's tail after its prompt."""
    longest = max(len(tail) for _, tail in rows)
    found = []
    for logits_LV, (_, tail) in zip(logits(rows, longest + 1), rows):
        logprobs_LV = logits_LV[-len(tail) - 1 : -1].float().log_softmax(-1)
        ids_L = torch.tensor(tail, device=logprobs_LV.device)
        found.append(float(logprobs_LV.gather(1, ids_L[:, None]).double().sum()))
    return found


def row_key(row: Ready) -> object:
    """Equal for rows that can stand in one batch."""
    return shape_key(row[0])


def row_length(row: Ready) -> int:
    """The tokens of a row."""
    return row[0].n_tokens + len(row[1])


def _next(prompts: Sequence[Encoded], logits: Logits) -> list[torch.Tensor]:
    return list(logits([(prompt, ()) for prompt in prompts], 1)[:, -1].float().log_softmax(-1).cpu())


def _length(prompt: Encoded) -> int:
    return prompt.n_tokens


def _add(found: list[list[list[float]] | Fault], number: int, values: list[tuple[int, float]]) -> None:
    own = found[number]
    if not isinstance(own, Fault):
        for k, value in values:
            own[k].append(value)
