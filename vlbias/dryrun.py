"""What a run would cost, before it starts: trials, forwards, tokens."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

import numpy as np

from vlbias import power, rooms, session
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
    yield f"trials {len(plan.trials)}, forwards {len(plan.batches)} of at most {config.batch_size} prompts"
    found = _power(plan, seed=config.seed)
    if found is not None:
        yield found
    yield f"clips to decode {len(clips)}, {plan.num_frames} frames each, decoder {config.video_backend}"
    counter = getattr(rooms.find("models", config.model), "tokens", None)
    if counter is None:
        yield f"tokens: the adapter {config.model} cannot count without loading a model"
        return
    counted = _tokens(plan, config, counter)
    if counted is None:
        yield "tokens: not known: no clip of the first trials can be read"
        return
    total = round(statistics.fmean(counted) * len(plan.trials))
    yield f"tokens about {total} ({min(counted)} to {max(counted)} a trial, counted on the first {len(counted)})"


def _power(plan: Plan, *, seed: int) -> str | None:
    """What a sweep over slots will find, before there is a run to take the scatter from; None for other plans."""
    n_slots = len({t.slot for t in plan.trials} - {None})
    per_clip = Counter(p.cluster_id for p in {t.probe.probe_id: t.probe for t in plan.trials}.values())
    if n_slots < 3 or len(per_clip) < 2 or any(t.factors for t in plan.trials):
        return None
    return power.sentence(power.assumed(n_slots, seed=seed), np.array(list(per_clip.values())), seed=seed)


def _tokens(plan: Plan, config: RunConfig, counter: object) -> list[int] | None:
    prompts = []
    with session.reader(config, plan) as reader:
        for trial in plan.trials[:SAMPLE]:
            try:
                prompts.append(prompt(trial, seen(trial, reader), plan.style))
            except DecodeError:
                continue
    arguments = session.model_arguments(config)
    return counter(prompts, **arguments) if prompts else None  # type: ignore[operator, no-any-return]
