"""Measures the true profile of an organism: fresh clips, really encoded and decoded, and very many trials.

This is the ground truth that the instrument has to recover from far fewer trials, so it shares none of its statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vlbias.organisms import architecture, sight, world
from vlbias.organisms.architecture import Family
from vlbias.organisms.pool import Pool, pool_of
from vlbias.organisms.train import predict, taken_over
from vlbias.probes._world import SHAPES, Content, contents, questions, scene
from vlbias.videos import decode_av, draw, sampling

_SIZE_PX, _DURATION_S, _FPS = 112, 2.0, 8.0
_BATCH = 50


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Accuracy and gold probability over four options at each slot, from `n` trials per slot; by task, accuracy."""

    accuracy: tuple[float, ...]
    gold_probability: tuple[float, ...]
    n: tuple[int, ...]
    task_accuracy: dict[str, float]
    first_option: float
    seed: int


def profile(
    folder: Path,
    *,
    n_slots: int,
    trials: int,
    scratch: Path,
    seed: int,
    device: str = "cpu",
    n_clips: int = 1200,
    log: Callable[[str], None] = lambda _: None,
) -> Profile:
    """What the organism in `folder` does at each of `n_slots` slots, over `trials` trials in all.

    Every trial is a question about the clip at one slot; the clips around it show other shapes. Clips are drawn from
    `seed`, filmed into `scratch` and decoded again. `first_option` is the share of answers that name option A.
    """
    rng = np.random.default_rng([seed, 1])
    organism = taken_over(folder).to(device).eval()
    pool = filmed(n_clips, architecture.family_of(organism), scratch=scratch, rng=rng)
    log(f"filmed {n_clips} clips")
    right: list[list[float]] = [[] for _ in range(n_slots)]
    gold: list[list[float]] = [[] for _ in range(n_slots)]
    by_task: dict[str, list[float]] = {}
    first: list[float] = []
    with torch.no_grad():
        seen_CPH = sight.see_all(organism, pool, rng=None)
        for start in range(0, trials, _BATCH):
            slots = [(start + k) % n_slots for k in range(min(_BATCH, trials - start))]
            for slot, (task, shares, at) in zip(slots, _answers(organism, pool, seen_CPH, slots, n_slots, rng)):
                right[slot].append(float(shares.argmax() == at))
                gold[slot].append(float(shares[at]))
                by_task.setdefault(task, []).append(right[slot][-1])
                first.append(float(shares.argmax() == 0))
    return Profile(
        accuracy=tuple(float(np.mean(r)) for r in right),
        gold_probability=tuple(float(np.mean(g)) for g in gold),
        n=tuple(map(len, right)),
        task_accuracy={task: float(np.mean(values)) for task, values in sorted(by_task.items())},
        first_option=float(np.mean(first)),
        seed=seed,
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
    values = processor(videos=[frames_THWC], do_sample_frames=False, return_tensors="np")["pixel_values_videos"]
    levels = (np.asarray(values).reshape(-1) * architecture.PIXEL_STD + architecture.PIXEL_MEAN) * 255
    levels_X: npt.NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return levels_X


def _answers(
    organism: Any,
    pool: Pool,
    seen_CPH: torch.Tensor,
    slots: list[int],
    n_slots: int,
    rng: np.random.Generator,
) -> list[tuple[str, npt.NDArray[np.float64], int]]:
    """For a trial at each of `slots`: its task, the shares of its four options, and where the right one stands."""
    words = architecture.vocabulary()
    chosen, lines, asked = [], [], []
    for slot in slots:
        shapes = rng.permutation(SHAPES)[:n_slots]
        row = [int(rng.choice(pool.by_shape[shape])) for shape in shapes]
        offered = questions(pool.contents[row[slot]], rng=rng)
        question = offered[int(rng.integers(len(offered)))]
        said = [words[w] for w in architecture.split(question.text)]
        chosen += row
        lines.append(said + [words[architecture.ANSWER]])
        asked.append(question)
    rows = world.asked_once(pool, lines, np.array(chosen).reshape(len(slots), n_slots))
    logits_KV = predict(organism, rows, seen_CPH)
    answers = []
    for logits_V, question in zip(logits_KV.double().cpu(), asked):
        shares = logits_V[[words[option] for option in question.options]].softmax(-1).numpy()
        answers.append((question.task, shares, question.gold))
    return answers
