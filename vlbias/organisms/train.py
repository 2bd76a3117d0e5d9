"""Trains an organism with a planted slot profile: it learns to see, then to name, then to answer, then to be biased."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForImageTextToText

from vlbias.errors import BadInput
from vlbias.organisms import architecture, sight, world
from vlbias.organisms.architecture import Size, family_of
from vlbias.organisms.pool import Pool, pool

U_PROFILE = (1.0, 0.92, 0.75, 0.58, 0.42, 0.42, 0.58, 0.75, 0.92, 1.0)
SIGHT_STEPS, STEPS = 2000, 3600
_RATE = 1e-3
_WARM_UP_STEPS = 100
_LOG_EVERY = 100
_STD = 0.05


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the training: from share `start` of all steps on, trials of `n_slots` clips.

    A share `captions` of the batches names what the clips show; the others ask questions about them.
    """

    start: float
    n_slots: int
    rows: int
    captions: float
    n_questions: int = 0
    planted: bool = False


@dataclass(frozen=True, kw_only=True)
class Span:
    """The steps from `first` to before `last`, of `steps` in all."""

    first: int
    last: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """The mean over the last steps of a stage: the loss, and the share of unplanted words that are right."""

    step: int
    n_slots: int
    loss: float
    captions_accuracy: float | None
    accuracy: float | None
    wall_s: float


@dataclass(frozen=True, kw_only=True)
class TrainingCurve:
    """How the training went. `expected_accuracy[s]` is what slot s should show over four options.

    `sight` is the share of what clips show that the visual tokens hold; None when a trained trunk was taken over.
    """

    sight: float | None
    points: tuple[CurvePoint, ...]
    expected_accuracy: tuple[float, ...]
    thresholds: dict[str, float]
    wall_s: float
    seed: int
    steps: int


def stages(n_slots: int) -> tuple[Stage, ...]:
    """The curriculum: names before questions, few clips before many, the bias last.

    Naming binds a shape to its clip within some hundred steps; whole questions alone do not get there, they stay at
    guessing by elimination.
    """
    few = min(2, n_slots)
    return (
        Stage(start=0.0, n_slots=few, rows=48, captions=1.0),
        Stage(start=0.08, n_slots=min(3, n_slots), rows=40, captions=1.0),
        Stage(start=0.1, n_slots=min(5, n_slots), rows=32, captions=1.0),
        Stage(start=0.12, n_slots=n_slots, rows=20, captions=1.0),
        Stage(start=0.15, n_slots=few, rows=48, captions=0.3, n_questions=4),
        Stage(start=0.42, n_slots=min(5, n_slots), rows=24, captions=0.25, n_questions=8),
        Stage(start=0.5, n_slots=n_slots, rows=14, captions=0.2, n_questions=12),
        Stage(start=0.7, n_slots=n_slots, rows=14, captions=0.0, n_questions=12, planted=True),
    )


def train(
    *,
    out: Path,
    profile: Sequence[float] = U_PROFILE,
    seed: int = 0,
    steps: int = STEPS,
    sight_steps: int = SIGHT_STEPS,
    device: str = "cpu",
    log: Callable[[str], None],
    n_clips: int = 14000,
    size: Size = Size(),  # noqa: B008 - frozen
    trunk: Path | None = None,
    keep_trunk: Path | None = None,
) -> TrainingCurve:
    """Train an organism whose accuracy over slots follows `profile`, and save it in `out` as a Hugging Face folder.

    `profile[s]` is the share of shapes that are seen at slot s; all ones plant nothing. `keep_trunk` is where to save
    the organism as it is before anything is planted; `trunk` is such a folder, taken over so that only the planting is
    left to do. On one machine with as many threads, the same arguments give the same weights. BadInput when the profile
    is not 2 to 12 shares.
    """
    if not 2 <= len(profile) <= 12 or not all(0 <= share <= 1 for share in profile):
        raise BadInput(f"a profile is 2 to 12 shares between 0 and 1, one per slot; found {list(profile)}")
    rng, started = np.random.default_rng(seed), time.monotonic()
    organism = (_born(size, seed) if trunk is None else taken_over(trunk)).to(device)
    log(f"{sum(p.numel() for p in organism.parameters())} weights")
    bias = world.planted(profile, rng=rng)
    clips = pool(n_clips, family_of(organism), rng=rng, log=log)
    sighted = _sighted(organism, clips, steps=sight_steps, rng=rng, log=log) if trunk is None else None
    seen_CPH = sight.see_all(organism, clips, rng=rng)
    planting = next(round(stage.start * steps) for stage in stages(len(profile)) if stage.planted)
    points = []
    for first, last in ((0, planting), (planting, steps)) if trunk is None else ((planting, steps),):
        span = Span(first=first, last=last, steps=steps)
        for point in _learn_to_answer(organism, clips, seen_CPH, bias=bias, span=span, rng=rng):
            points.append(point)
            log(_line(point))
        if last == planting and keep_trunk is not None:
            architecture.save(organism, keep_trunk)
    architecture.save(organism, out)
    return TrainingCurve(
        sight=sighted,
        points=tuple(points),
        expected_accuracy=tuple(bias.expected(slot) for slot in range(len(profile))),
        thresholds=bias.thresholds,
        wall_s=time.monotonic() - started,
        seed=seed,
        steps=steps,
    )


def _sighted(organism: Any, clips: Pool, *, steps: int, rng: np.random.Generator, log: Callable[[str], None]) -> float:
    """Teaches the organism to see; its words for answers begin as its words for what it sees."""
    share = sight.learn_to_see(organism, clips, steps=steps, rng=rng, log=log)
    organism.lm_head.weight.data.copy_(organism.get_input_embeddings().weight.data)
    return share


def _born(size: Size, seed: int) -> Any:
    """A new organism; its weights start larger than usual, since so narrow a model hardly moves from smaller ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        organism = architecture.family("qwen2_vl").model(size)
        for weight in organism.model.language_model.parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=_STD)
        torch.nn.init.normal_(organism.get_input_embeddings().weight, std=size.hidden**-0.5)
    return organism


def taken_over(trunk: Path) -> Any:
    """The organism of a folder, in float32."""
    try:
        return AutoModelForImageTextToText.from_pretrained(trunk, dtype=torch.float32)
    except OSError as error:
        raise BadInput(f"{trunk}: holds no organism to start from: {error}") from error


def _learn_to_answer(
    organism: Any,
    clips: Pool,
    seen_CPH: torch.Tensor,
    *,
    bias: world.Planted,
    span: Span,
    rng: np.random.Generator,
) -> Iterator[CurvePoint]:
    plan, began, steps = stages(len(bias.profile)), time.monotonic(), span.steps
    seeing = set(map(id, sight.tower(organism)))
    weights = [weight for weight in organism.parameters() if id(weight) not in seeing]
    optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    seen: list[tuple[bool, float, float]] = []
    for step in range(span.first, span.last):
        stage = [s for s in plan if step >= round(s.start * steps)][-1]
        for group in optimizer.param_groups:
            group["lr"] = _RATE * _schedule(step, span)
        naming = rng.random() < stage.captions
        if naming:
            rows = world.captions(clips, stage.rows, n_slots=stage.n_slots, rng=rng)
        else:
            planted = bias if stage.planted else None
            rows = world.batch(
                clips, stage.rows, n_slots=stage.n_slots, n_questions=stage.n_questions, bias=planted, rng=rng
            )
        seen.append((naming, *_step(organism, rows, seen_CPH, optimizer, weights)))
        if step % _LOG_EVERY == _LOG_EVERY - 1 or step == span.last - 1:
            yield CurvePoint(
                step=step + 1,
                n_slots=stage.n_slots,
                loss=float(np.mean([loss for _, loss, _ in seen])),
                captions_accuracy=_mean([right for naming, _, right in seen if naming]),
                accuracy=_mean([right for naming, _, right in seen if not naming]),
                wall_s=time.monotonic() - began,
            )
            seen.clear()


def _schedule(step: int, span: Span) -> float:
    """The share of the full rate: a warm-up, a plateau, and a fall to a twentieth over the last fifth."""
    fall = max(0.0, (step / span.steps - 0.8) / 0.2)
    return min(1.0, (step - span.first + 1) / _WARM_UP_STEPS) * (1 - 0.95 * fall)


def _step(
    organism: Any,
    rows: world.Batch,
    seen_CPH: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    weights: Sequence[torch.nn.Parameter],
) -> tuple[float, float]:
    logits_KV = predict(organism, rows, seen_CPH)
    targets_KV = rows.targets_KV.to(logits_KV.device)
    loss = -(targets_KV * logits_KV.log_softmax(-1)).sum(-1).mean()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    optimizer.step()
    # The end that follows every answer is not worth counting.
    counted_K = (targets_KV.max(-1).values == 1) & (targets_KV.argmax(-1) != organism.config.text_config.eos_token_id)
    right_K = logits_KV.argmax(-1) == targets_KV.argmax(-1)
    return float(loss.detach()), float(right_K[counted_K].float().mean())


def predict(organism: Any, rows: world.Batch, seen_CPH: torch.Tensor) -> torch.Tensor:
    """The logits at the places that have a target: [K, vocabulary]; `seen_CPH` are the visual tokens of the pool."""
    device = organism.device
    ids_BL = rows.input_ids_BL.to(device)
    visual_BL = ids_BL == organism.config.video_token_id
    # All rows have their clips in front, so one row's positions serve for the clips of all.
    position_1L = family_of(organism).positions(organism, ids_BL[:1])
    block_BL = rows.block_BL.to(device)
    shown = seen_CPH[torch.from_numpy(rows.clip_S)].flatten(0, 1).to(device)
    embedded_BLH = organism.get_input_embeddings()(ids_BL).masked_scatter(visual_BL[..., None], shown)
    hidden_BLH = organism.model.language_model(
        inputs_embeds=embedded_BLH,
        position_ids=_positions(position_1L, block_BL),
        attention_mask=_sight_of(block_BL),
        use_cache=False,
    ).last_hidden_state
    logits_KV: torch.Tensor = organism.lm_head(hidden_BLH[rows.row_K.to(device), rows.place_K.to(device)])
    return logits_KV


def _positions(position_1L: torch.Tensor, block_BL: torch.Tensor) -> torch.Tensor:
    """[..., B, L] from [..., 1, L]: every block of words begins where the clips end."""
    length = block_BL.shape[1]
    at_L = torch.arange(length, device=block_BL.device)
    begins_BL = torch.cat([torch.ones_like(block_BL[:, :1]), (block_BL.diff(dim=1) != 0).int()], dim=1)
    since_BL = at_L - torch.where(begins_BL.bool(), at_L, 0).cummax(dim=1).values
    n_shared = int((block_BL[0] == 0).sum())
    words_BL = position_1L.flatten(0, -2)[0, n_shared] + since_BL
    return torch.where(block_BL == 0, position_1L, words_BL)


def _sight_of(block_BL: torch.Tensor) -> torch.Tensor:
    """[B, 1, L, L], True where a token may look: back, at what is shared and at its own block."""
    length = block_BL.shape[1]
    back_LL = torch.ones(length, length, dtype=torch.bool, device=block_BL.device).tril()
    own_BLL = block_BL[:, :, None] == block_BL[:, None, :]
    shared_B1L = (block_BL == 0)[:, None, :]
    return (back_LL & (own_BLL | shared_B1L))[:, None]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _line(point: CurvePoint) -> str:
    named = "" if point.captions_accuracy is None else f" named {point.captions_accuracy:.3f}"
    answered = "" if point.accuracy is None else f" answered {point.accuracy:.3f}"
    return f"step {point.step} slots {point.n_slots} loss {point.loss:.3f}{named}{answered} {point.wall_s:.0f} s"
