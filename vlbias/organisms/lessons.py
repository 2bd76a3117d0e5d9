"""Teaches a tiny model from drawn images: the one course of encoders, captioners and detectors, and its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vlbias.organisms import learning_rate, manifest

LOG_EVERY = 100
_DECAY, _BETAS, _MOST_GRADIENT = 0.02, (0.9, 0.98), 1.0


@dataclass(frozen=True, kw_only=True)
class Course:
    """`steps` steps of `batch` images out of `n_images`; the full `rate` falls from the share `fall_at` of them on."""

    n_images: int
    steps: int
    batch: int
    rate: float
    fall_at: float


def teach(
    parameters: Iterable[torch.nn.Parameter],
    losses: Callable[[npt.NDArray[np.intp]], Mapping[str, torch.Tensor]],
    *,
    course: Course,
    rng: np.random.Generator,
    log: Callable[[str], None],
    beside: Iterable[torch.nn.Parameter] = (),
) -> list[dict[str, float]]:
    """Trains in place and gives the mean of every loss over each hundred steps.

    `losses` names the losses of the chosen images; their sum is made less. `beside` are parameters that are thrown away
    after training, whose gradient is not cut.
    """
    own, began = list(parameters), time.monotonic()
    optimizer = torch.optim.AdamW([*own, *beside], lr=course.rate, weight_decay=_DECAY, betas=_BETAS)
    curve: list[dict[str, float]] = []
    kept: list[dict[str, float]] = []
    for step in range(course.steps):
        for group in optimizer.param_groups:
            group["lr"] = course.rate * learning_rate.share(step, steps=course.steps, fall_at=course.fall_at)
        found = losses(rng.integers(0, course.n_images, course.batch))
        optimizer.zero_grad()
        torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(own, _MOST_GRADIENT)
        optimizer.step()
        kept.append({name: float(loss.detach()) for name, loss in found.items()})
        if step % LOG_EVERY == LOG_EVERY - 1:
            means = {name: float(np.mean([one[name] for one in kept])) for name in found}
            curve.append({"step": step + 1, **means, "wall_s": time.monotonic() - began})
            said = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
            log(f"step {step + 1} of {course.steps}, {said}, {time.monotonic() - began:.0f} s")
            kept.clear()
    return curve


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a model is asked to learn: the words for its manifest, and all that makes it again."""

    kind: str
    family: str
    about: str
    pattern: str
    seed: int
    steps: int
    n_images: int

    def written(
        self, out: Path, *, planted: Iterable[float], curve: list[dict[str, float]], wall_s: float
    ) -> dict[str, Any]:
        """The manifest of the model in `out`, written beside its weights."""
        about = {
            "about": f"{self.about}, planted pattern {self.pattern}",
            "family": self.family,
            "command": f"vlbias {self.kind} train -o {out.name} --pattern {self.pattern} --seed {self.seed} "
            f"--steps {self.steps} --images {self.n_images}",
            "planted_cells": list(planted),
            "curve": curve,
            "wall_s": wall_s,
            "seed": self.seed,
        }
        manifest.write(out, about)
        return about
