"""Holds the metrics to the truth: organisms whose profile is known, asked few probes, and what the metrics say of them.

The truth is the profile over 20,000 fresh trials in an organism's manifest; the probes are those of a drawn suite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from vlbias.answers import Answer, Audit, asked
from vlbias.errors import BadInput
from vlbias.estimates import Estimate
from vlbias.metrics import bands, shape
from vlbias.metrics._blocks import gold_points
from vlbias.organisms import manifest, sweep
from vlbias.organisms.true_shape import TrueShape, true_shape
from vlbias.probes import insertion
from vlbias.probes._choices import FramesChoice, PromptChoice
from vlbias.probes._drawn import DrawnSource
from vlbias.prompts import Style, prompt
from vlbias.records import FramesTHWC, Probe, Trial

# The mix of questions of the true profile: who is weak in one task is weak in that share of it.
PROBES, MARGIN_PROBES, QUESTIONS_PER_CLIP, ALL_QUESTIONS = 1000, 1177, 3, 4
GOAL_INSIDE = 0.95
TRUTH_Z = 1.96


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the metrics say of one organism in trials of one length, beside the truth; accuracy in 0..1 by slot.

    `inside` and `gold_inside` count the slots whose true value lies in the simultaneous band, of accuracy and of the
    gold option's probability; `allowing` are the two counts when the truth's own error is allowed for. `shape` is the
    true shape, `label` what the metrics say of accuracy and `gold_label` of the gold option's probability.
    """

    organism: str
    family: str
    n_probes: int
    truth: tuple[float, ...]
    measured: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    inside: int
    gold_inside: int
    allowing: tuple[int, int]
    shape: TrueShape
    label: str
    gold_label: str
    confidence: float | None

    @property
    def n_slots(self) -> int:
        """The number of segments of its trials."""
        return len(self.truth)

    @property
    def right(self) -> bool:
        """Whether what is said of accuracy is right to say of the true shape."""
        return self.label in self.shape.right


def trials(n_slots: int, *, probes: int, seed: int) -> list[Trial]:
    """The trials of a drawn suite: each probe at every slot, asked without options.

    Three questions of every clip: of four, one is left out by chance, as the true profile asks each clip equally often.
    Up to 1,177 probes come from the same clips, so that these are filmed once.
    """
    wanted = probes if probes < PROBES else max(probes, MARGIN_PROBES)
    clips = max(24, -(-wanted // QUESTIONS_PER_CLIP))
    asked = suite(n_slots, clips=clips, seed=seed)
    drawn = _evenly(insertion.probes(asked, folder=Path()), rng=np.random.default_rng([seed, 1]))[:probes]
    return list(insertion.trials(drawn, suite=asked, seed=seed))


def suite(n_slots: int, *, clips: int, seed: int) -> insertion.Suite:
    """All that can be asked of as many clips, at every slot, without options."""
    return insertion.Suite(
        name="groundtruth",
        kind="insertion",
        version=1,
        description="Questions about drawn clips.",
        licence="Apache-2.0",
        segments=n_slots,
        include_alone=False,
        prompt=PromptChoice(style="cloze"),
        frames=FramesChoice(num_frames=2, sampling="midpoints"),
        source=insertion.Source(drawn=DrawnSource(clips=clips, seed=seed, questions_per_clip=ALL_QUESTIONS)),
    )


def _evenly(probes: Sequence[Probe], *, rng: np.random.Generator) -> list[Probe]:
    """Three probes of every clip, any of them as likely as any other, in their order."""
    by_clip = [list(group) for _, group in groupby(probes, key=lambda probe: probe.cluster_id)]
    kept = [sorted(rng.permutation(len(group))[:QUESTIONS_PER_CLIP]) for group in by_clip]
    return [group[k] for group, places in zip(by_clip, kept, strict=True) for k in places]


def all_of(names: Sequence[str], *, probes: int, seed: int, scratch: Path, say: Callable[[str], None]) -> list[Finding]:
    """The findings of several organisms; clips are filmed once for all of them."""
    kept: dict[str, FramesTHWC] = {}

    def films(whole: Sequence[Trial]) -> sweep.Films:
        segments = {segment.segment_id for trial in whole for segment in trial.segments}
        if not segments <= kept.keys():
            known = sweep.filmed(whole, scratch=scratch, log=say)
            kept.update(zip(known.names, known.frames_CTHWC, strict=True))
        return sweep.Films(names=tuple(kept), frames_CTHWC=np.stack(list(kept.values())))

    found: list[Finding] = []
    for name in names:
        found += check(
            name, probes=probes, seed=seed, films=films, rng=np.random.default_rng([seed, crc32(name.encode())])
        )
        say(f"{name}: {', '.join(f.label for f in found if f.organism == name)}")
    return found


def check(
    name: str, *, probes: int, seed: int, films: Callable[[Sequence[Trial]], sweep.Films], rng: np.random.Generator
) -> list[Finding]:
    """What the metrics say of a bundled organism at every length of trials of which the truth is known.

    An organism without a bias is asked 1,177 probes, as the figure for "none" wants.
    """
    folder = manifest.folder_of(name)
    about = manifest.read(folder)
    if "measured" not in about:
        raise BadInput(f"{name}: its manifest holds no true profile; vlbias organism verify {name} --write")
    known = [*about.get("measured_lengths", {}).values(), about["measured"]]
    found = []
    for truth in known:
        n_slots, known_shape = len(truth["accuracy"]), true_shape(about, truth)
        n_probes = max(probes, MARGIN_PROBES) if known_shape.flat and probes == PROBES else probes
        whole = trials(n_slots, probes=n_probes, seed=seed)
        said = sweep.logprobs(folder, whole, films(whole))
        answers = [_answer(trial, logprobs) for trial, logprobs in zip(whole, said, strict=True)]
        found.append(_finding(name, about["family"], truth, known_shape, answers, rng=rng))
    return found


def rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Rows {name, value, low, high, goal, ok} of the findings: first over all of them, then of each."""
    slots = sum(f.n_slots for f in findings)
    inside, gold = (sum(getattr(f, name) for f in findings) for name in ("inside", "gold_inside"))
    flat = [f for f in findings if f.shape.flat]
    out = [
        _row("true_value_inside", inside / slots, ">= 0.95 of organisms x slots", inside >= GOAL_INSIDE * slots),
        _row("true_gold_inside", gold / slots, ">= 0.95 of organisms x slots", gold >= GOAL_INSIDE * slots),
        *(
            _row(f"{name}_allowing_for_its_error", sum(f.allowing[k] for f in findings) / slots, "told, not held", True)
            for k, name in enumerate(("true_value_inside", "true_gold_inside"))
        ),
        _row("right_shape", np.mean([f.right for f in findings]), "all", all(f.right for f in findings)),
    ]
    if flat:
        none = [f.label == "none" for f in flat]
        out.append(_row("none_within_margin", np.mean(none), "all without a bias", all(none)))
    for f in findings:
        name = f"{f.organism}_{f.n_slots}"
        out.append(_row(f"{name}_inside", f.inside / f.n_slots, "told, not held alone", True))
        out.append(
            _row(f"{name}_shape_is_{f.label.replace(' ', '_')}", f.confidence, " or ".join(f.shape.right), f.right)
        )
    return out


def _row(name: str, value: Any, goal: str, ok: bool) -> dict[str, Any]:
    return {"name": name, "value": None if value is None else float(value), "low": None, "high": None,
            "goal": goal, "ok": bool(ok)}  # fmt: skip


def _answer(trial: Trial, logprobs: tuple[float, ...]) -> Answer:
    whole = asked(trial)
    return Answer(
        # One task: the metrics measure all probes together, as the truth does.
        asked=replace(whole, task="drawn"),
        chosen=trial.option_order[int(np.argmax(logprobs))],
        logprobs=logprobs,
        level="exact",
        reply=None,
        audit=Audit(
            prompt_sha256=prompt(trial, {}, Style(style="cloze")).sha256,
            segments=(),
            segment_spans=(),
            n_tokens=None,
            n_frames=2 * trial.n_slots,
            batch_size=1,
        ),
    )


def _finding(
    name: str,
    family: str,
    truth: Mapping[str, Any],
    known_shape: TrueShape,
    answers: Sequence[Answer],
    *,
    rng: np.random.Generator,
) -> Finding:
    every = [e for e in bands.measure(answers, rng=rng) if e.task == "all" and e.slot is not None]
    band, gold = ([e for e in every if e.metric == metric] for metric in ("accuracy_band", "gold_probability_band"))
    said = {e.metric: e for e in shape.measure(answers, rng=rng) if e.task == "all"}
    return Finding(
        organism=name,
        family=family,
        n_probes=len({a.asked.probe_id for a in answers}),
        truth=tuple(truth["accuracy"]),
        measured=tuple((e.value or 0.0) / 100 for e in band),
        low=tuple(_limit(e, "low") for e in band),
        high=tuple(_limit(e, "high") for e in band),
        inside=_inside(band, truth["accuracy"]),
        gold_inside=_inside(gold, truth["gold_probability"]),
        allowing=(
            _inside(band, truth["accuracy"], error_S=_share_errors(truth)),
            _inside(gold, truth["gold_probability"], error_S=_gold_errors(answers, truth)),
        ),
        shape=known_shape,
        label=said["shape"].label or "undetermined",
        gold_label=said["shape_gold_probability"].label or "undetermined",
        confidence=said["shape"].value,
    )


def _inside(band: Sequence[Estimate], truth: Sequence[float], *, error_S: Sequence[float] | None = None) -> int:
    """At how many slots the band holds the truth.

    With the standard errors of the truth, whether 0 lies in the interval of the difference of the two, whose limits lie
    as far off as those of both together (root of squares; MOVER, Zou and Donner 2008).
    """
    count = 0
    for e, value, error in zip(band, truth, error_S or [0.0] * len(truth), strict=True):
        mean, own = (e.value or 0.0) / 100, TRUTH_Z * error
        low, high = math.hypot(mean - _limit(e, "low"), own), math.hypot(_limit(e, "high") - mean, own)
        count += mean - low <= value <= mean + high
    return count


def _share_errors(truth: Mapping[str, Any]) -> list[float]:
    """The standard error of the true accuracy at each slot."""
    return [math.sqrt(share * (1 - share) / n) for share, n in zip(truth["accuracy"], truth["n"], strict=True)]


def _gold_errors(answers: Sequence[Answer], truth: Mapping[str, Any]) -> list[float]:
    """The standard error of the true gold probability at each slot, where trials vary as much as these answers do."""
    by_slot: dict[int, list[float]] = {slot: [] for slot in range(len(truth["n"]))}
    for answer in answers:
        points = gold_points(answer)
        if answer.asked.slot is not None and points is not None:
            by_slot[answer.asked.slot].append(points / 100)
    return [float(np.std(by_slot[slot])) / math.sqrt(n) for slot, n in enumerate(truth["n"])]


def _limit(estimate: Estimate, name: str) -> float:
    limit = getattr(estimate, name)
    if limit is None:
        raise BadInput(f"{estimate.metric}: slot {estimate.slot}: has no band: {'; '.join(estimate.notes)}")
    return float(limit) / 100
