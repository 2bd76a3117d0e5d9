"""Batches of the drawn world: trials of clips from a pool, and what is said and asked of them as tokens and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vlbias.organisms.architecture import (
    ANSWER,
    BEGIN,
    END,
    PAD,
    PLACES,
    REVERSED,
    WHERE,
    split,
    vocabulary,
)
from vlbias.organisms.pool import Pool
from vlbias.probes._world import ANSWERS, COLOURS, SHAPES, Content, question_text, truths


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
class Planted:
    """The bias: at slot s, shapes whose threshold exceeds `profile[s]` are not seen."""

    profile: tuple[float, ...]
    thresholds: dict[str, float]

    def sees(self, shape: str, slot: int) -> bool:
        """Whether the organism is to answer about this shape in this slot."""
        return self.thresholds[shape] <= self.profile[slot]

    def expected(self, slot: int) -> float:
        """The accuracy over four options that this slot should show: seen, plus a quarter of what is not seen."""
        seen = float(np.mean([self.sees(shape, slot) for shape in SHAPES]))
        return seen + (1 - seen) / 4


def planted(profile: Sequence[float], *, rng: np.random.Generator) -> Planted:
    """The profile with one fixed threshold per shape, evenly spread over (0, 1) in an order of chance."""
    levels = (rng.permutation(len(SHAPES)) + 0.5) / len(SHAPES)
    return Planted(profile=tuple(profile), thresholds={s: float(t) for s, t in zip(SHAPES, levels, strict=True)})


_WORDS = vocabulary()


def shown_first(clips: Pool, n_slots: int) -> list[int]:
    """The tokens that stand before every question: the begin, then the clips."""
    return [_WORDS[BEGIN], *clips.segment * n_slots]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One question as words, its right answer, and the answers it is spread over when the clip is not seen."""

    words: tuple[str, ...]
    answer: str
    unseen: tuple[str, ...] | None


def batch(
    clips: Pool,
    rows: int,
    *,
    n_slots: int,
    n_questions: int,
    bias: Planted | None,
    rng: np.random.Generator,
) -> Batch:
    """`rows` trials of `n_slots` clips with distinct shapes, each with several questions that do not see each other.

    Questions name a shape and ask for an
    attribute, or (40%, never planted) name an attribute that is unique in the trial and ask for the shape, or name a
    shape and ask for its place.
    """
    chosen = np.stack([_choose(clips, n_slots, rng) for _ in range(rows)])
    asked = [[_asked(q) for q in _ask([clips.contents[k] for k in row], n_questions, bias, rng)] for row in chosen]
    return _batch(clips, asked, chosen)


def captions(clips: Pool, rows: int, *, n_slots: int, rng: np.random.Generator) -> Batch:
    """`rows` trials of `n_slots` clips, then each clip in words: its shape, and from it colour, motion, thing, side.

    Each word is asked at the word before it. So a shape's name learns to find its clip in one step of attention, long
    before whole questions can teach it. A third of the clips is told as "where", its shape, and its place.
    """
    chosen = np.stack([_choose(clips, n_slots, rng) for _ in range(rows)])
    told = []
    for shown in chosen:
        order = rng.permutation(n_slots)
        told.append([_told(clips.contents[shown[slot]], int(slot), where=rng.random() < 1 / 3) for slot in order])
    return _batch(clips, told, chosen)


@dataclass(frozen=True, kw_only=True)
class _Said:
    """One block of words: its tokens, and the targets at some of its places."""

    tokens: list[int]
    places: list[int]
    targets: list[npt.NDArray[np.float32]]


def _asked(question: _Asked) -> _Said:
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


def asked_once(clips: Pool, lines: Sequence[list[int]], chosen: npt.NDArray[np.int64]) -> Batch:
    """One question per row, given as tokens; what is predicted is the word after its last."""
    nothing = np.zeros(len(_WORDS), np.float32)
    return _batch(clips, [[_Said(tokens=line, places=[len(line) - 1], targets=[nothing])] for line in lines], chosen)


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


def _choose(clips: Pool, n_slots: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Clips of distinct shapes; in most trials of distinct colours too, so that colours can be asked back."""
    shapes = rng.permutation(SHAPES)[:n_slots]
    if rng.random() < 0.25:
        return np.array([rng.choice(clips.by_shape[s]) for s in shapes])
    looks = zip(shapes, rng.permutation(list(COLOURS))[:n_slots], strict=True)
    found = [clips.by_look.get((str(s), str(c)), clips.by_shape[str(s)]) for s, c in looks]
    return np.array([where[rng.integers(len(where))] for where in found])


def _ask(shown: list[Content], n: int, bias: Planted | None, rng: np.random.Generator) -> list[_Asked]:
    order = [slot for _ in range(-(-n // len(shown))) for slot in rng.permutation(len(shown))][:n]
    return [_ask_back(shown, slot, rng) if rng.random() < 0.4 else _ask_on(shown, slot, bias, rng) for slot in order]


def _ask_on(shown: list[Content], slot: int, bias: Planted | None, rng: np.random.Generator) -> _Asked:
    content = shown[slot]
    right = truths(content)
    task = list(right)[rng.integers(len(right))]
    hidden = bias is not None and not bias.sees(content.shape, slot)
    answer = str(rng.choice(ANSWERS[task])) if hidden else right[task]
    words = tuple(split(question_text(task, content.shape)))
    return _Asked(words=words, answer=answer, unseen=ANSWERS[task] if hidden else None)


def _ask_back(shown: list[Content], slot: int, rng: np.random.Generator) -> _Asked:
    content = shown[slot]
    if rng.random() < 0.2:
        return _Asked(words=tuple(split(WHERE.format(shape=content.shape))), answer=PLACES[slot], unseen=None)
    asks = [("colour", content.colour, REVERSED[0])]
    if content.companion != "dots":
        asks.append(("what", content.what, REVERSED[1]))
    unique = [(v, text) for name, v, text in asks if sum(getattr(other, name) == v for other in shown) == 1]
    if not unique:
        return _ask_on(shown, slot, None, rng)
    value, text = unique[rng.integers(len(unique))]
    return _Asked(words=tuple(split(text.format(value=value))), answer=content.shape, unseen=None)


def _one_hot(token: int) -> npt.NDArray[np.float32]:
    target = np.zeros(len(_WORDS), np.float32)
    target[token] = 1
    return target


def _target(question: _Asked) -> npt.NDArray[np.float32]:
    if question.unseen is None:
        return _one_hot(_WORDS[question.answer])
    target = np.zeros(len(_WORDS), np.float32)
    target[[_WORDS[answer] for answer in question.unseen]] = 1 / len(question.unseen)
    return target
