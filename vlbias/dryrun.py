"""What a run would cost and find, before it starts: trials, forwards, tokens, and the smallest effect."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vlbias import forecast, rooms, schedule, session
from vlbias.config import RunConfig
from vlbias.errors import DecodeError
from vlbias.plan import Plan
from vlbias.prompts import prompt
from vlbias.run import seen

SAMPLE = 11


def lines(plan: Plan, config: RunConfig) -> Iterator[str]:
    """The plan in words; tokens are counted by the model's own processor on the first trials."""
    clusters = {p.cluster_id for p in plan.probes}
    clips = {s.segment_id for t in plan.trials for s in t.segments if s.kind in ("clip", "image")}
    yield f"suite {plan.suite_name}: {len(plan.probes)} probes in {len(clusters)} clusters"
    largest = max((len(batch) for batch in plan.batches), default=0)
    yield f"trials {len(plan.trials)}, forwards {len(plan.batches)} of at most {largest} prompts"
    yield forecast.sentence(plan, seed=config.seed)
    yield f"clips to decode {len(clips)}, {plan.num_frames} frames each, decoder {config.video_backend}"
    counter = getattr(rooms.find("models", config.model), "tokens", None)
    if counter is None:
        yield f"tokens: the adapter {config.model} cannot count without loading a model"
        return
    n_segments, counted = _tokens(plan, config, counter)
    if not counted:
        yield "tokens: not known: no clip of the first trials can be read"
        return
    total = round(statistics.fmean(counted) * len(plan.trials))
    yield f"tokens about {total} ({min(counted)} to {max(counted)} a trial, counted on the first {len(counted)})"
    yield sharing(schedule.pieces(plan.batches), n_segments, counted)


def sharing(pieces: schedule.Pieces, n_segments: Sequence[int], n_tokens: Sequence[int]) -> str:
    """What a model that can share prefills, in words; tokens of a segment by a line through sampled prompts.

    `n_tokens[k]` are the tokens of a prompt of `n_segments[k]` segments. Where all have as many segments, the words
    around them cannot be told from them and count as segments.
    """
    per_segment, around = 0.0, 0.0
    if len(set(n_segments)) > 1:
        per_segment, around = (float(x) for x in np.polyfit(n_segments, n_tokens, 1))
    if per_segment <= 0:
        per_segment, around = sum(n_tokens) / sum(n_segments), 0.0
    shared, apart, closed = (
        None if count is None else round(count * per_segment + pieces.trials * around)
        for count in (pieces.segments_shared, pieces.segments_apart, pieces.segments_closed)
    )
    assert shared is not None and apart is not None  # these two are always counted
    form = "no closed form: not every slot is asked" if closed is None else f"by the closed form {closed}"
    return (
        f"prefill about {shared} tokens where the model can share ({form}), {apart} asked apart: about "
        f"{apart / shared:.1f} times fewer; {pieces.clips} segments to encode in place of {pieces.segments_apart}"
    )


def _tokens(plan: Plan, config: RunConfig, counter: Any) -> tuple[list[int], list[int]]:
    """The segments and the tokens of the first trials whose clips can be read."""
    prompts = []
    with session.reader(config, plan) as reader:
        for trial in plan.trials[:SAMPLE]:
            try:
                prompts.append(prompt(trial, seen(trial, reader), plan.style))
            except DecodeError:
                continue
    n_segments = [sum(part.place is not None for part in asked.parts) for asked in prompts]
    return n_segments, counter(prompts, **session.model_arguments(config)) if prompts else []
