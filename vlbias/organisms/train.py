"""Trains an organism with a planted slot profile: it learns to see, then to name, then to answer, then to be biased."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForImageTextToText, PretrainedConfig

from vlbias.errors import BadInput
from vlbias.organisms import architecture, learning_rate, sight, world
from vlbias.organisms.architecture import Size, family, family_of
from vlbias.organisms.planting import Bias, Plant, biased, unplanted
from vlbias.organisms.pool import Pool, pool
from vlbias.organisms.stages import LANGUAGE_STARTS, TRUNK_ENDS, Stage, stages

SIGHT_STEPS, STEPS = 2000, 3600
_RATE, _FALL_AT = 1e-3, 0.8
_LOG_EVERY = 100
_STD = 0.05


@dataclass(frozen=True, kw_only=True)
class Course:
    """How an organism is trained: the seed, the steps, the clips it learns from, and what it starts with.

    `trunk` is the folder of an unbiased organism, taken over so that only the planting is left to do; `keep_trunk` is
    where to save the organism as it is before anything is planted. `eyes` is the folder of an organism whose visual
    tower and words are taken over, so that seeing is not learned again. `language` is the folder of an organism of any
    family whose language model is taken over: only the tower learns to see, towards the words as they are, and what is
    learned of naming and answering is how it does so with these tokens. `encoding` is of the family that has a choice,
    plain_decoder. `longest` is the most clips in a trial of the training, `rows` the share of the usual trials a batch.
    """

    family: str = "qwen2_vl"
    seed: int = 0
    steps: int = STEPS
    sight_steps: int = SIGHT_STEPS
    n_clips: int = 14000
    size: Size = Size()
    device: str = "cpu"
    trunk: Path | None = None
    keep_trunk: Path | None = None
    eyes: Path | None = None
    language: Path | None = None
    encoding: str | None = None
    longest: int | None = None
    rows: float = 1.0

    def __post_init__(self) -> None:
        if (self.encoding is not None) != (self.family == "plain_decoder"):
            found = f"family {self.family!r} and encoding {self.encoding!r}"
            raise BadInput(f"an encoding is chosen for the family plain_decoder, and for no other; found {found}")


@dataclass(frozen=True, kw_only=True)
class Span:
    """The steps from `first` to before `last`, of `steps` in all, that follow this curriculum."""

    first: int
    last: int
    steps: int
    plan: tuple[Stage, ...]


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


def train(plant: Plant, course: Course, *, out: Path, log: Callable[[str], None]) -> TrainingCurve:
    """Train an organism with this bias and save it in `out` as a Hugging Face folder.

    On one machine with as many threads, the same arguments give the same weights.
    """
    rng, started = np.random.default_rng(course.seed), time.monotonic()
    organism = (_born(course) if course.trunk is None else _grown(taken_over(course.trunk), course.seed)).to(
        course.device
    )
    if organism.config.model_type != course.family:
        raise BadInput(f"{course.trunk}: an organism of the family {organism.config.model_type}, not {course.family}")
    log(f"{sum(p.numel() for p in organism.parameters())} weights")
    bias = biased(plant, rng=rng)
    clips = pool(course.n_clips, family_of(organism), rng=rng, log=log)
    sighted = _sighted(organism, clips, course, rng=rng, log=log) if course.trunk is None else None
    seen_CPH = sight.see_all(organism, clips, rng=rng)
    start = round(LANGUAGE_STARTS * course.steps) if course.language else 0
    planting, plan = round(TRUNK_ENDS * course.steps), stages(plant, longest=course.longest, rows=course.rows)
    points = []
    for first, last in (
        ((start, planting), (planting, course.steps)) if course.trunk is None else ((planting, course.steps),)
    ):
        span = Span(first=first, last=last, steps=course.steps, plan=plan)
        for point in _learn_to_answer(organism, clips, seen_CPH, bias=bias, span=span, rng=rng):
            points.append(point)
            log(_line(point))
        if last == planting and course.keep_trunk is not None:
            architecture.save(organism, course.keep_trunk)
    architecture.save(organism, out)
    return TrainingCurve(
        sight=sighted,
        points=tuple(points),
        expected_accuracy=bias.expected(plant.n_slots),
        thresholds=bias.thresholds,
        wall_s=time.monotonic() - started,
        seed=course.seed,
        steps=course.steps,
    )


def _sighted(
    organism: Any, clips: Pool, course: Course, *, rng: np.random.Generator, log: Callable[[str], None]
) -> float | None:
    """Teaches the organism to see, or gives it eyes; its words for answers begin as its words for what it sees."""
    if course.language is not None:
        return sight.learn_to_see(organism, clips, steps=course.sight_steps, rng=rng, log=log, learn_words=False)
    if course.eyes is None:
        share = sight.learn_to_see(organism, clips, steps=course.sight_steps, rng=rng, log=log)
    else:
        share, given = None, _grown(taken_over(course.eyes), course.seed).to(course.device)
        for weight, known in zip(sight.tower(organism), sight.tower(given), strict=True):
            weight.data.copy_(known.data)
        organism.get_input_embeddings().load_state_dict(given.get_input_embeddings().state_dict())
    organism.lm_head.weight.data.copy_(organism.get_input_embeddings().weight.data)
    return share


def _born(course: Course) -> Any:
    """A new organism; its weights start larger than usual, since so narrow a model hardly moves from smaller ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(course.seed)
        organism = family(course.family).model(replace(course.size, encoding=course.encoding))
        for weight in organism.model.language_model.parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=_STD)
        torch.nn.init.normal_(organism.get_input_embeddings().weight, std=course.size.hidden**-0.5)
    if course.language is not None:
        speaker = _grown(taken_over(course.language), course.seed)
        organism.model.language_model.load_state_dict(speaker.model.language_model.state_dict())
        organism.lm_head.load_state_dict(speaker.lm_head.state_dict())
    return organism


def taken_over(trunk: Path) -> Any:
    """The organism of a folder, in float32."""
    try:
        # A family of our own is known to transformers once its file is imported.
        family(PretrainedConfig.get_config_dict(trunk)[0]["model_type"])
        return AutoModelForImageTextToText.from_pretrained(trunk, dtype=torch.float32)
    except OSError as error:
        raise BadInput(f"{trunk}: holds no organism to start from: {error}") from error


def _grown(organism: Any, seed: int) -> Any:
    """The organism with as many words as there are now; those it did not know begin as chance."""
    known, wanted = organism.get_input_embeddings().num_embeddings, len(architecture.vocabulary())
    if known < wanted:
        organism.resize_token_embeddings(wanted, mean_resizing=False)
        width = organism.config.text_config.hidden_size
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            new_VH = torch.nn.init.normal_(torch.empty(wanted - known, width), std=width**-0.5)
            for table in (organism.get_input_embeddings(), organism.get_output_embeddings()):
                table.weight[known:] = new_VH
    return organism


def _learn_to_answer(
    organism: Any,
    clips: Pool,
    seen_CPH: torch.Tensor,
    *,
    bias: Bias,
    span: Span,
    rng: np.random.Generator,
) -> Iterator[CurvePoint]:
    began, steps = time.monotonic(), span.steps
    before = unplanted(bias)
    seeing = set(map(id, sight.tower(organism)))
    weights = [weight for weight in organism.parameters() if id(weight) not in seeing]
    optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    seen: list[tuple[bool, float, float]] = []
    for step in range(span.first, span.last):
        stage = [s for s in span.plan if step >= round(s.start * steps)][-1]
        for group in optimizer.param_groups:
            group["lr"] = _RATE * learning_rate.share(step, steps=steps, fall_at=_FALL_AT, first=span.first)
        naming = rng.random() < stage.captions
        n_slots = stage.lengths[0] if len(stage.lengths) == 1 else int(rng.choice(stage.lengths))
        sheet = world.Sheet(rows=stage.rows, n_slots=n_slots, n_questions=stage.n_questions, listed=stage.listed)
        make = world.captions if naming else world.batch
        rows = make(clips, sheet, bias=bias if stage.planted else before, rng=rng)
        seen.append((naming, *_step(organism, rows, seen_CPH, optimizer, weights)))
        if step % _LOG_EVERY == _LOG_EVERY - 1 or step == span.last - 1:
            yield CurvePoint(
                step=step + 1,
                n_slots=n_slots,
                loss=float(np.mean([loss for _, loss, _ in seen])),
                captions_accuracy=_mean([right for naming, _, right in seen if naming]),
                accuracy=_mean([right for naming, _, right in seen if not naming]),
                wall_s=time.monotonic() - began,
            )
            seen.clear()


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
