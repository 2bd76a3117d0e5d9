"""Measures the true profile of an organism: fresh clips, really encoded and decoded, and very many trials.

This is the ground truth that the instrument has to recover from far fewer trials, so it shares none of its statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vlbias.organisms import architecture, asking, sight, world
from vlbias.organisms.architecture import Family, family_of
from vlbias.organisms.planting import N_OPTIONS
from vlbias.organisms.pool import Pool, pool_of
from vlbias.organisms.train import predict
from vlbias.probes._world import ANSWERS, SHAPES, Content, Question, contents, question_text, questions, scene, truths
from vlbias.videos import decode_av, draw, sampling

_SIZE_PX, _DURATION_S, _FPS = 112, 2.0, 8.0
_BATCH = 50
N_CLIPS = 1200


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Accuracy and gold probability over four options at each slot, from `n` trials per slot; by task, accuracy."""

    accuracy: tuple[float, ...]
    gold_probability: tuple[float, ...]
    n: tuple[int, ...]
    task_accuracy: dict[str, float]
    first_option: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Belief:
    """Of two clips that contradict each other, how often the earlier, the later, or neither is believed.

    `pairs` gives for each pair of slots the share of trials in which the earlier is believed.
    """

    n_slots: int
    n: int
    earlier: float
    later: float
    neither: float
    pairs: tuple[tuple[int, int, float], ...]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is answered about one clip with listed options: accuracy, how often each place is said, recall of each."""

    n: int
    accuracy: float
    said: tuple[float, ...]
    recall: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Eyes:
    """An organism and the clips that it has seen: fresh ones, filmed and decoded."""

    organism: Any
    pool: Pool
    seen_CPH: torch.Tensor


def fresh(organism: Any, *, scratch: Path, seed: int, n_clips: int = N_CLIPS) -> Pool:
    """Clips for an organism of this family, drawn from `seed`, filmed into `scratch` and decoded again."""
    return filmed(n_clips, family_of(organism), scratch=scratch, rng=np.random.default_rng([seed, 1]))


def opened(organism: Any, pool: Pool) -> Eyes:
    """The organism when it has seen the clips."""
    return Eyes(organism=organism, pool=pool, seen_CPH=sight.see_all(organism, pool, rng=None))


def profile(eyes: Eyes, *, n_slots: int, trials: int, seed: int) -> Profile:
    """What the organism does at each of `n_slots` slots, over `trials` trials in all.

    Every trial is a question about the clip at one slot; the clips around it show other shapes. Questions about the
    same clips do not see each other. `first_option` is the share of answers that name option A.
    """
    rng = np.random.default_rng([seed, 2, n_slots])
    right: list[list[float]] = [[] for _ in range(n_slots)]
    gold: list[list[float]] = [[] for _ in range(n_slots)]
    by_task: dict[str, list[float]] = {}
    first: list[float] = []
    for rows in _portions(-(-trials // n_slots)):
        chosen = np.stack([_distinct(eyes.pool, n_slots, rng) for _ in range(rows)])
        asked = [[_one_of(questions(eyes.pool.contents[clip], rng=rng), rng) for clip in row] for row in chosen]
        for question_row, shares_row in zip(asked, _shares(eyes, asked, chosen), strict=True):
            for slot, (question, shares) in enumerate(zip(question_row, shares_row, strict=True)):
                right[slot].append(float(shares.argmax() == question.gold))
                gold[slot].append(float(shares[question.gold]))
                by_task.setdefault(question.task, []).append(right[slot][-1])
                first.append(float(shares.argmax() == 0))
    return Profile(
        accuracy=tuple(float(np.mean(r)) for r in right),
        gold_probability=tuple(float(np.mean(g)) for g in gold),
        n=tuple(map(len, right)),
        task_accuracy={task: float(np.mean(values)) for task, values in sorted(by_task.items())},
        first_option=float(np.mean(first)),
        seed=seed,
    )


def belief(eyes: Eyes, *, n_slots: int, trials: int, seed: int) -> Belief:
    """Whom the organism believes where two of `n_slots` clips show one shape and answer the question differently.

    All pairs of slots come up equally often; the options hold both answers.
    """
    rng = np.random.default_rng([seed, 3, n_slots])
    pairs = list(combinations(range(n_slots), 2))
    heard: dict[tuple[int, int], list[str]] = {pair: [] for pair in pairs}
    turns = [pairs[k % len(pairs)] for k in range(trials)]
    for start in range(0, trials, _BATCH):
        part = turns[start : start + _BATCH]
        chosen = np.stack([_distinct(eyes.pool, n_slots, rng) for _ in part])
        asked = [[_contested(eyes.pool, row, pair, rng)] for row, pair in zip(chosen, part, strict=True)]
        for pair, (question,), (shares,) in zip(part, asked, _shares(eyes, asked, chosen), strict=True):
            said = int(shares.argmax())
            heard[pair].append({question.gold: "earlier", question.rival: "later"}.get(said, "neither"))
    every = [word for words in heard.values() for word in words]
    earlier, later, neither = (every.count(word) / len(every) for word in ("earlier", "later", "neither"))
    return Belief(
        n_slots=n_slots,
        n=len(every),
        earlier=earlier,
        later=later,
        neither=neither,
        pairs=tuple((a, b, words.count("earlier") / len(words)) for (a, b), words in heard.items()),
    )


def options(eyes: Eyes, *, trials: int, seed: int) -> Options:
    """What the organism answers about one clip, options listed; the right one stands at each place equally often."""
    rng = np.random.default_rng([seed, 4])
    hits = np.zeros((N_OPTIONS, N_OPTIONS))
    for rows in _portions(trials):
        chosen = np.stack([_distinct(eyes.pool, 1, rng) for _ in range(rows)])
        asked = [[_one_of(questions(eyes.pool.contents[row[0]], rng=rng), rng)] for row in chosen]
        for (question,), (shares,) in zip(asked, _shares(eyes, asked, chosen, listed=True), strict=True):
            hits[question.gold, int(shares.argmax())] += 1
    return Options(
        n=int(hits.sum()),
        accuracy=float(np.trace(hits) / hits.sum()),
        said=tuple((hits.sum(axis=0) / hits.sum()).tolist()),
        recall=tuple((np.diag(hits) / hits.sum(axis=1)).tolist()),
    )


def filmed(n: int, family: Family, *, scratch: Path, rng: np.random.Generator) -> Pool:
    """A pool of clips that went through H.264 and the processor, as in a run."""
    shown = contents(n, rng=rng)
    processor = family.processor().video_processor
    levels_CX = np.empty((n, architecture.FRAMES * architecture.SIDE_PX**2 * 3), np.uint8)
    for k, content in enumerate(shown):
        levels_CX[k] = _through_film(content, processor, scratch=scratch, rng=rng)
    return pool_of(shown, torch.from_numpy(levels_CX), family)


def _through_film(
    content: Content, processor: Any, *, scratch: Path, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    drawn = scene(content, size_wh_px=(_SIZE_PX, _SIZE_PX), duration_s=_DURATION_S, fps=_FPS, rng=rng)
    path = draw.film([drawn], folder=scratch)
    times_s = sampling.timestamps(start_s=0.0, end_s=_DURATION_S, count=architecture.FRAMES, rule="midpoints")
    frames_THWC, _ = decode_av.frames(path, times_s)
    path.unlink()
    return levels(frames_THWC, processor)


def levels(frames_THWC: npt.NDArray[np.uint8], processor: Any) -> npt.NDArray[np.uint8]:
    """What a processor of videos makes of two frames, as one line of levels, uint8."""
    values = processor(videos=[frames_THWC], do_sample_frames=False, return_tensors="np")["pixel_values_videos"]
    exact_X = (np.asarray(values).reshape(-1) * architecture.PIXEL_STD + architecture.PIXEL_MEAN) * 255
    levels_X: npt.NDArray[np.uint8] = np.clip(np.rint(exact_X), 0, 255).astype(np.uint8)
    return levels_X


@dataclass(frozen=True, kw_only=True)
class _Contested(Question):
    """A question to which the earlier clip says `gold` and the later `rival`."""

    rival: int


def _contested(pool: Pool, row: npt.NDArray[np.int64], pair: tuple[int, int], rng: np.random.Generator) -> _Contested:
    """Puts a clip that contradicts the earlier one into the later slot of the pair, and asks about it."""
    content = pool.contents[row[pair[0]]]
    task = str(rng.choice(list(truths(content))))
    row[pair[1]] = asking.rival(pool, content, task, rng)
    right, wrong = truths(content)[task], truths(pool.contents[row[pair[1]]])[task]
    rest = rng.permutation([answer for answer in ANSWERS[task] if answer not in (right, wrong)])[: N_OPTIONS - 2]
    options = tuple(str(answer) for answer in rng.permutation([right, wrong, *rest]))
    return _Contested(
        task=task,
        text=question_text(task, content.shape),
        options=options,
        gold=options.index(right),
        rival=options.index(wrong),
    )


def _portions(n: int) -> list[int]:
    return [min(_BATCH, n - start) for start in range(0, n, _BATCH)]


def _distinct(pool: Pool, n_slots: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Clips of distinct shapes, all else of chance."""
    return np.array([rng.choice(pool.by_shape[shape]) for shape in rng.permutation(SHAPES)[:n_slots]])


def _one_of(offered: Sequence[Question], rng: np.random.Generator) -> Question:
    return offered[int(rng.integers(len(offered)))]


@torch.no_grad()
def _shares(
    eyes: Eyes, asked: Sequence[Sequence[Question]], chosen: npt.NDArray[np.int64], *, listed: bool = False
) -> list[list[npt.NDArray[np.float64]]]:
    """The shares of the options of each question, in displayed order; for each row of clips as many questions."""
    words = architecture.vocabulary()
    lines = [
        [[words[w] for w in architecture.split(asking.listing(q) if listed else q.text)] for q in questions_]
        for questions_ in asked
    ]
    told = world.asked_once(eyes.pool, [[[*line, words[architecture.ANSWER]] for line in row] for row in lines], chosen)
    logits_KV = iter(predict(eyes.organism, told, eyes.seen_CPH).double().cpu())
    found = []
    for row in asked:
        options_of = [[words[text] for text in question.options] for question in row]
        found.append([next(logits_KV)[ids].softmax(-1).numpy() for ids in options_of])
    return found
