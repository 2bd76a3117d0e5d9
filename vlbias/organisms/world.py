"""Batches of the drawn world: trials of clips from a pool, and what is said and asked of them as tokens and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vlbias.organisms import asking
from vlbias.organisms.architecture import (
    ANSWER,
    BEGIN,
    END,
    PAD,
    PLACES,
    vocabulary,
)
from vlbias.organisms.asking import Asked
from vlbias.organisms.planting import Bias
from vlbias.organisms.pool import Pool
from vlbias.probes._world import Content


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Rows of clips and what is said of them. `targets_KV` are distributions over the words at `row_K`, `place_K`.

    `clip_S` are the clips of all rows, one row after the other, as places in the pool. `block_BL` says to which
    question a token belongs: 0 is what all share, the begin and the clips; each question sees that and itself, and
    stands right behind the clips, as in a run.
    """

    input_ids_BL: torch.Tensor
    block_BL: torch.Tensor
    clip_S: npt.NDArray[np.int64]
    row_K: torch.Tensor
    place_K: torch.Tensor
    targets_KV: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """How many trials of how many clips, with how many questions each; a share `listed` of them with options."""

    rows: int
    n_slots: int
    n_questions: int = 0
    listed: float = 0.0


_WORDS = vocabulary()


def shown_first(clips: Pool, n_slots: int) -> list[int]:
    """The tokens that stand before every question: the begin, then the clips."""
    return [_WORDS[BEGIN], *clips.segment * n_slots]


def batch(clips: Pool, sheet: Sheet, *, bias: Bias | None, rng: np.random.Generator) -> Batch:
    """Trials of clips, each with several questions that do not see each other."""
    chosen = np.stack([asking.row(clips, sheet.n_slots, bias=bias, rng=rng) for _ in range(sheet.rows)])
    asked = [
        asking.ask([clips.contents[k] for k in row], sheet.n_questions, bias=bias, listed=sheet.listed, rng=rng)
        for row in chosen
    ]
    return _batch(clips, [[_asked(question) for question in questions] for questions in asked], chosen)


def captions(clips: Pool, sheet: Sheet, *, bias: Bias | None, rng: np.random.Generator) -> Batch:
    """Trials of clips with distinct shapes, then each clip in words: its shape, colour, motion, thing, side.

    Each word is asked at the word before it. So a shape's name learns to find its clip in one step of attention, long
    before whole questions can teach it. A third of the clips is told as "where", its shape, and its place.
    """
    chosen = np.stack([asking.choose(clips, sheet.n_slots, rng) for _ in range(sheet.rows)])
    told = []
    for shown in chosen:
        order = asking.slots_told(sheet.n_slots, bias, rng)
        told.append([_told(clips.contents[shown[slot]], slot, where=rng.random() < 1 / 3) for slot in order])
    return _batch(clips, told, chosen)


@dataclass(frozen=True, kw_only=True)
class _Said:
    """One block of words: its tokens, and the targets at some of its places."""

    tokens: list[int]
    places: list[int]
    targets: list[npt.NDArray[np.float32]]


def _asked(question: Asked) -> _Said:
    tokens = [_WORDS[w] for w in question.words] + [_WORDS[ANSWER], _WORDS[question.answer], _WORDS[END]]
    return _Said(
        tokens=tokens, places=[len(tokens) - 3, len(tokens) - 2], targets=[_target(question), _one_hot(_WORDS[END])]
    )


def _told(content: Content, slot: int, *, where: bool) -> _Said:
    said = [content.shape, content.colour, content.motion, content.what, content.side]
    if where:
        said = ["where", content.shape, PLACES[slot]]
    return _Said(
        tokens=[_WORDS[word] for word in said],
        places=list(range(where, len(said) - 1)),
        targets=[_one_hot(_WORDS[word]) for word in said[1 + where :]],
    )


def asked_once(clips: Pool, lines: Sequence[Sequence[list[int]]], chosen: npt.NDArray[np.int64]) -> Batch:
    """Some questions per row of clips, given as tokens; what is predicted is the word after the last of each."""
    nothing = np.zeros(len(_WORDS), np.float32)
    said = [[_Said(tokens=line, places=[len(line) - 1], targets=[nothing]) for line in row] for row in lines]
    return _batch(clips, said, chosen)


def _batch(clips: Pool, said: list[list[_Said]], chosen: npt.NDArray[np.int64]) -> Batch:
    ids, blocks, row_of, place_of, targets = [], [], [], [], []
    for row, parts in enumerate(said):
        line = shown_first(clips, chosen.shape[1])
        block = [0] * len(line)
        for number, part in enumerate(parts, start=1):
            row_of += [row] * len(part.places)
            place_of += [len(line) + place for place in part.places]
            targets += part.targets
            line += part.tokens
            block += [number] * len(part.tokens)
        ids.append(line)
        blocks.append(block)
    width = max(map(len, ids))
    return Batch(
        input_ids_BL=torch.tensor([line + [_WORDS[PAD]] * (width - len(line)) for line in ids]),
        # Padding is a block of its own.
        block_BL=torch.tensor([block + [len(ids[0])] * (width - len(block)) for block in blocks]),
        clip_S=chosen.reshape(-1),
        row_K=torch.tensor(row_of),
        place_K=torch.tensor(place_of),
        targets_KV=torch.from_numpy(np.stack(targets)),
    )


def _one_hot(token: int) -> npt.NDArray[np.float32]:
    target = np.zeros(len(_WORDS), np.float32)
    target[token] = 1
    return target


def _target(question: Asked) -> npt.NDArray[np.float32]:
    target = np.zeros(len(_WORDS), np.float32)
    target[[_WORDS[answer] for answer in question.likely]] = 1 / len(question.likely)
    return target
