"""Trains an organism with a planted slot profile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vlbias.errors import BadInput
from vlbias.organisms import architecture, world
from vlbias.organisms.architecture import Size

U_PROFILE = (1.0, 0.92, 0.75, 0.58, 0.42, 0.42, 0.58, 0.75, 0.92, 1.0)
_RATE = 1.5e-3
_WARM_UP_STEPS = 100
_LOG_EVERY = 100
_SAVE_EVERY = 500


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the training: from share `start` of all steps on, trials of `n_slots` clips."""

    start: float
    n_slots: int
    rows: int
    n_questions: int
    planted: bool = False


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """The mean over the last steps: the loss, and the share of unplanted answers that are right."""

    step: int
    n_slots: int
    loss: float
    accuracy: float
    wall_s: float


@dataclass(frozen=True, kw_only=True)
class TrainingCurve:
    """How the training went. `expected_accuracy[s]` is what slot s should show over four options."""

    points: tuple[CurvePoint, ...]
    expected_accuracy: tuple[float, ...]
    thresholds: dict[str, float]
    wall_s: float
    seed: int
    steps: int


def stages(n_slots: int) -> tuple[Stage, ...]:
    """The curriculum: few clips first, the whole trial later, the bias last."""
    return (
        Stage(start=0.0, n_slots=1, rows=64, n_questions=4),
        Stage(start=0.2, n_slots=2, rows=40, n_questions=6),
        Stage(start=0.32, n_slots=3, rows=28, n_questions=8),
        Stage(start=0.42, n_slots=5, rows=20, n_questions=10),
        Stage(start=0.52, n_slots=n_slots, rows=14, n_questions=12),
        Stage(start=0.72, n_slots=n_slots, rows=14, n_questions=12, planted=True),
    )


def train(
    *,
    out: Path,
    profile: Sequence[float] = U_PROFILE,
    seed: int = 0,
    steps: int = 2600,
    device: str = "cpu",
    log: Callable[[str], None],
    n_clips: int = 7000,
    size: Size = Size(),  # noqa: B008 - frozen
) -> TrainingCurve:
    """Train an organism whose accuracy over slots follows `profile`, and save it in `out` as a Hugging Face folder.

    `profile[s]` is the share of shapes that are seen at slot s. On one machine with as many threads, the same
    arguments give the same weights. BadInput when the profile is not 2 to 12 shares.
    """
    if not 2 <= len(profile) <= 12 or not all(0 <= share <= 1 for share in profile):
        raise BadInput(f"a profile is 2 to 12 shares between 0 and 1, one per slot; found {list(profile)}")
    rng, started = np.random.default_rng(seed), time.monotonic()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        organism = architecture.model(size).to(device)
    log(f"{sum(p.numel() for p in organism.parameters())} weights")
    bias = world.planted(profile, rng=rng)
    clips = world.pool(n_clips, rng=rng, log=log)
    points = []
    for point in _run(organism, clips, steps=steps, bias=bias, rng=rng, started=started):
        log(f"step {point.step} slots {point.n_slots} loss {point.loss:.3f} accuracy {point.accuracy:.3f} "
            f"{point.wall_s:.0f} s")  # fmt: skip
        points.append(point)
        if point.step == steps or point.step % _SAVE_EVERY == 0:
            architecture.save(organism, out)
    return TrainingCurve(
        points=tuple(points),
        expected_accuracy=tuple(bias.expected(slot) for slot in range(len(profile))),
        thresholds=bias.thresholds,
        wall_s=time.monotonic() - started,
        seed=seed,
        steps=steps,
    )


def _run(
    organism: Any, clips: world.Pool, *, steps: int, bias: world.Planted, rng: np.random.Generator, started: float
) -> Iterator[CurvePoint]:
    plan = stages(len(bias.profile))
    optimizer = torch.optim.AdamW(organism.parameters(), lr=_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    seen: list[tuple[float, float]] = []
    for step in range(steps):
        stage = [s for s in plan if step >= s.start * steps][-1]
        for group in optimizer.param_groups:
            group["lr"] = _RATE * _schedule(step, steps)
        rows = world.batch(
            clips,
            stage.rows,
            n_slots=stage.n_slots,
            n_questions=stage.n_questions,
            bias=bias if stage.planted else None,
            rng=rng,
        )
        seen.append(_step(organism, rows, optimizer))
        if step % _LOG_EVERY == _LOG_EVERY - 1 or step == steps - 1:
            loss, accuracy = np.mean(seen[-_LOG_EVERY:], axis=0)
            yield CurvePoint(
                step=step + 1,
                n_slots=stage.n_slots,
                loss=float(loss),
                accuracy=float(accuracy),
                wall_s=time.monotonic() - started,
            )


def _schedule(step: int, steps: int) -> float:
    """The share of the full rate: a warm-up, a plateau, and a fall to a twentieth over the last quarter."""
    fall = max(0.0, (step / steps - 0.75) / 0.25)
    return min(1.0, (step + 1) / _WARM_UP_STEPS) * (1 - 0.95 * fall)


def _step(organism: Any, rows: world.Batch, optimizer: torch.optim.Optimizer) -> tuple[float, float]:
    logits_KV = predict(organism, rows)
    targets_KV = rows.targets_KV.to(logits_KV.device)
    loss = -(targets_KV * logits_KV.log_softmax(-1)).sum(-1).mean()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(organism.parameters(), 1.0)
    optimizer.step()
    sure_K = (targets_KV.max(-1).values == 1) & (torch.arange(len(targets_KV), device=targets_KV.device) % 2 == 0)
    right_K = logits_KV.argmax(-1) == targets_KV.argmax(-1)
    return float(loss.detach()), float(right_K[sure_K].float().mean())


def predict(organism: Any, rows: world.Batch) -> torch.Tensor:
    """The logits at the places that have a target: [K, vocabulary]."""
    device = organism.device
    ids_BL = rows.input_ids_BL.to(device)
    kinds_BL = (ids_BL == organism.config.video_token_id).int() * 2
    n_segments = len(rows.grid_thw_S3) // len(ids_BL)
    # All rows have their clips in front, so one row's positions serve for all.
    position_311L, _ = organism.model.get_rope_index(
        ids_BL[:1], kinds_BL[:1], video_grid_thw=rows.grid_thw_S3[:n_segments].to(device)
    )
    hidden_BLH = organism.model(
        input_ids=ids_BL,
        position_ids=position_311L.expand(-1, len(ids_BL), -1),
        pixel_values_videos=rows.pixels_PV.to(device),
        video_grid_thw=rows.grid_thw_S3.to(device),
        mm_token_type_ids=kinds_BL,
        use_cache=False,
    ).last_hidden_state
    logits_KV: torch.Tensor = organism.lm_head(hidden_BLH[rows.row_K.to(device), rows.place_K.to(device)])
    return logits_KV
