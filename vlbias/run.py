"""The main job: ask a model every trial of a plan, and keep each answer before it counts.

    plan ─> claim the folder ─> load the model ─> canary ─> for each batch: frames ─> prompts ─> answers ─> store

A batch is asked whole and stored in one synced write. After an interruption a batch that misses a row is asked whole
again and only its missing rows are added: its composition, and with it every last bit, is that of an undisturbed run.
While the model answers a batch, a thread decodes and prepares the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from vlbias.ahead import ahead
from vlbias.answers import Answer, Asked, Audit, Failure, FrameAudit, asked, likeliest
from vlbias.errors import DecodeError
from vlbias.models import Model, Preparing
from vlbias.places import FEWEST_TOKENS, asked_place, read_place
from vlbias.plan import Plan
from vlbias.prompts import Style, prompt
from vlbias.records import FailureKind, Fault, Frames, OptionScores, Prompt, Reply, Segment, Trial
from vlbias.replies import parse
from vlbias.store import Store
from vlbias.videos.cache import FrameCache, template


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: trials with a stored row, of all."""

    done: int
    total: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What one session cost."""

    wall_s: float
    decode_s: float
    model_s: float
    n_forwards: int
    n_tokens: int
    n_clips_decoded: int


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a batch is asked: the model and its settings; `through` asks by a correction in place of plainly."""

    model: Model
    reader: FrameCache
    style: Style
    mode: str
    max_new_tokens: int
    through: Callable[[Sequence[Prompt], Asking], list[Answer | Failure]] | None = None


def ask_all(
    plan: Plan,
    asking: Asking,
    store: Store,
    *,
    retry_failed: bool = False,
    tell: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Spent:
    """Asks every trial that has no row yet; rows are stored batch by batch."""
    start, model_s, n_forwards, n_tokens = clock(), 0.0, 0, 0
    done: Mapping[str, Any] = store.done()
    kept = {name for name, row in done.items() if isinstance(row, Answer) or not retry_failed}
    failed = sum(isinstance(done[name], Failure) for name in kept)
    tell(Progress(done=len(kept), total=len(plan.trials), failed=failed))
    todo = [batch for batch in plan.batches if not all(trial.trial_id in kept for trial in batch)]
    with closing(ahead(todo, lambda batch: _ready(batch, asking))) as ready:
        for batch, (prompts, unread) in zip(todo, ready):
            began = clock()
            rows = _told(batch, prompts, unread, asking)
            model_s += clock() - began
            fresh = [row for row in rows if row.asked.trial_id not in kept]
            store.append(fresh)
            kept |= {row.asked.trial_id for row in fresh}
            failed += sum(isinstance(row, Failure) for row in fresh)
            n_forwards += 1
            n_tokens += sum(row.audit.n_tokens or 0 for row in fresh if row.audit)
            tell(Progress(done=len(kept), total=len(plan.trials), failed=failed))
    return Spent(
        wall_s=clock() - start,
        decode_s=asking.reader.decode_s,
        model_s=model_s,
        n_forwards=n_forwards,
        n_tokens=n_tokens,
        n_clips_decoded=asking.reader.n_decoded,
    )


def ask(batch: Sequence[Trial], asking: Asking) -> list[Answer | Failure]:
    """One row per trial of a batch, in its order."""
    return _told(batch, *shown(batch, asking), asking)


def _told(
    batch: Sequence[Trial], prompts: Sequence[Prompt], unread: Mapping[str, Answer | Failure], asking: Asking
) -> list[Answer | Failure]:
    found = answered(prompts, asking) if asking.through is None else asking.through(prompts, asking)
    window = asking.model.identity.context_window
    rows = {**unread, **{row.asked.trial_id: _in_window(row, window) for row in found}}
    return [rows[trial.trial_id] for trial in batch]


def _ready(batch: Sequence[Trial], asking: Asking) -> tuple[list[Prompt], dict[str, Answer | Failure]]:
    """What `shown` gives; a model that can prepare prompts before they are asked is told of them."""
    prompts, unread = shown(batch, asking)
    if isinstance(asking.model, Preparing) and asking.mode == "score" and not _for_places(prompts):
        asking.model.prepare(prompts)
    return prompts, unread


def shown(batch: Sequence[Trial], asking: Asking) -> tuple[list[Prompt], dict[str, Answer | Failure]]:
    """The prompts of a batch with their frames, and the failures of trials whose clips cannot be read."""
    rows: dict[str, Answer | Failure] = {}
    prompts: list[Prompt] = []
    looks = asking.model.capabilities.needs_frames
    held = asking.reader.several(s for trial in batch for s in trial.segments) if looks else {}
    for trial in batch:
        try:
            frames = seen(trial, asking.reader, held) if looks else {}
        except DecodeError as error:
            rows[trial.trial_id] = Failure(
                asked=asked(trial), kind="decode", reason=error.reason, path=_shown(error.path), decoder=error.decoder
            )
            continue
        prompts.append(prompt(trial, frames, asking.style))
    return prompts, rows


def answered(prompts: Sequence[Prompt], asking: Asking) -> list[Answer | Failure]:
    """One row per prompt, all asked as one batch."""
    boxes = asking.model.identity.box_format
    replies = _replies(prompts, asking)
    return [row(p, given, batch_size=len(prompts), box_format=boxes) for p, given in zip(prompts, replies)]


def seen(trial: Trial, reader: FrameCache, held: dict[Segment, Frames] | None = None) -> dict[str, Frames]:
    """The pixels of every segment of a trial that is not text; template frames are shaped like the evidence.

    What `held` has is not read again; what is read is added to it.
    """
    held = {} if held is None else held
    frames: dict[str, Frames] = {}
    for segment in trial.segments:
        if segment.kind in ("clip", "image"):
            if segment not in held:
                held[segment] = reader.frames(segment)
            frames[segment.segment_id] = held[segment]
    for segment in trial.segments:
        if segment.kind == "template":
            like = frames[trial.probe.evidence.segment_id]
            frames[segment.segment_id] = template(like, len(like.frames_THWC))
    return frames


def _replies(prompts: Sequence[Prompt], asking: Asking) -> Sequence[OptionScores | Reply | Fault]:
    if not prompts:
        return []
    if _for_places(prompts):  # a place is never among options, so it comes in words whatever the mode
        return asking.model.generate(prompts, max_new_tokens=max(asking.max_new_tokens, FEWEST_TOKENS))
    if asking.mode == "generate":
        return asking.model.generate(prompts, max_new_tokens=asking.max_new_tokens)
    return asking.model.score(prompts)


def _for_places(prompts: Sequence[Prompt]) -> bool:
    return any(prompt.trial is not None and asked_place(prompt.trial) for prompt in prompts)


def row(
    given_to: Prompt, given: OptionScores | Reply | Fault, *, batch_size: int, box_format: str | None = None
) -> Answer | Failure:
    """What is stored of what a model gave back; `box_format` is how the model writes places."""
    trial = given_to.trial
    assert trial is not None
    what = asked(trial)
    audit = _audit(given_to, given, batch_size=batch_size)
    if isinstance(given, Fault):
        return Failure(asked=what, kind=given.kind, reason=given.reason, reply=given.reply, audit=audit)
    if isinstance(given, OptionScores):
        return Answer(
            asked=what,
            chosen=likeliest(given.logprobs, what),
            logprobs=given.logprobs,
            level=given.level,
            reply=given.reply,
            audit=audit,
            segment_attention_LS=given.segment_attention_LS,
        )
    if asked_place(trial):
        return read_place(what, given, trial, audit, box_format=box_format)
    named = () if given_to.options == trial.options else given_to.options
    return _read_reply(what, given, trial, audit, labels=named)


def _read_reply(what: Asked, given: Reply, trial: Trial, audit: Audit, *, labels: Sequence[str]) -> Answer | Failure:
    read = parse(given.text, options=trial.options, labels=labels)
    if read.index is None:
        kind: FailureKind = "refused" if read.method == "refused" else "parse"
        return Failure(
            asked=what, kind=kind, reason=read.reason or "no option is plainly named", reply=given.text, audit=audit
        )
    return Answer(
        asked=what,
        chosen=trial.option_order[read.index],
        logprobs=None,
        level="generated",
        reply=given.text,
        audit=audit,
    )


def _in_window(row: Answer | Failure, window: int | None) -> Answer | Failure:
    """The row with the size of the context window it was asked in, in tokens."""
    return row if row.audit is None else replace(row, audit=replace(row.audit, context_window=window))


def _audit(given_to: Prompt, given: OptionScores | Reply | Fault, *, batch_size: int) -> Audit:
    trial = given_to.trial
    assert trial is not None
    shown = {part.place: part.frames for part in given_to.parts if part.place is not None}
    return Audit(
        prompt_sha256=given_to.sha256,
        segments=tuple(_frame_audit(segment, shown.get(place)) for place, segment in enumerate(trial.segments)),
        segment_spans=() if isinstance(given, Fault) else given.segment_spans,
        n_tokens=None if isinstance(given, Fault) else given.n_tokens,
        n_frames=sum(len(frames.frames_THWC) for frames in shown.values() if frames),
        batch_size=batch_size,
    )


def _frame_audit(segment: Segment, frames: Frames | None) -> FrameAudit:
    return FrameAudit(
        segment_id=segment.segment_id,
        media_sha256=segment.sha256,
        frames_sha256=frames.sha256 if frames else None,
        timestamps_s=frames.timestamps_s if frames else (),
        decoder=frames.decoder if frames else None,
        decoder_version=frames.decoder_version if frames else None,
    )


def _shown(path: str) -> str:
    """A path as it may stand in a results file: without the user's folders."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]
