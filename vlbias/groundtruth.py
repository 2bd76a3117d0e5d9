"""Holds the metrics to the truth: organisms whose profile is known, asked few probes, and what the metrics say of them.

The truth is the profile over 20,000 fresh trials in an organism's manifest; the probes are those of a drawn suite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from vlbias.answers import Answer, Audit, asked
from vlbias.errors import BadInput
from vlbias.estimates import Estimate
from vlbias.metrics import bands, shape
from vlbias.organisms import manifest, sweep
from vlbias.organisms.planting import shape_of
from vlbias.probes import insertion
from vlbias.probes._choices import FramesChoice, PromptChoice
from vlbias.probes._drawn import DrawnSource
from vlbias.prompts import Style, prompt
from vlbias.records import FramesTHWC, Trial

# All that can be asked of a clip, as in the true profile: who is weak in one task is weak in that share of it.
PROBES, MARGIN_PROBES, QUESTIONS_PER_CLIP = 1000, 1177, 4
MARGIN = shape.MARGIN_POINTS / 100
GOAL_INSIDE = 0.95
FLAT = ("none", "undetermined")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the metrics say of one organism in trials of one length, beside the truth; accuracy in 0..1 by slot.

    `inside` and `gold_inside` count the slots whose true value lies in the simultaneous band, of accuracy and of the
    gold option's probability. `shape` is the true shape, `label` what the metrics say, None where slots are too few.
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
    shape: str
    label: str
    gold_label: str
    confidence: float | None

    @property
    def n_slots(self) -> int:
        """The number of segments of its trials."""
        return len(self.truth)

    @property
    def right(self) -> bool:
        """Whether the true shape is said; where there is none, whether no other is."""
        return self.label == self.shape or (self.shape == "none" and self.label in FLAT)


def trials(n_slots: int, *, probes: int, seed: int) -> list[Trial]:
    """The trials of a drawn suite: each probe at every slot, asked without options.

    Up to 1,177 probes come from the same clips, so that these are filmed once.
    """
    wanted = probes if probes < PROBES else max(probes, MARGIN_PROBES)
    clips = max(24, -(-wanted // (QUESTIONS_PER_CLIP - 1)))  # some clips hold one question less
    suite = insertion.Suite(
        name="groundtruth",
        kind="insertion",
        version=1,
        description="Questions about drawn clips.",
        licence="Apache-2.0",
        segments=n_slots,
        include_alone=False,
        prompt=PromptChoice(style="cloze"),
        frames=FramesChoice(num_frames=2, sampling="midpoints"),
        source=insertion.Source(drawn=DrawnSource(clips=clips, seed=seed, questions_per_clip=QUESTIONS_PER_CLIP)),
    )
    drawn = insertion.probes(suite, folder=Path())[:probes]
    return list(insertion.trials(drawn, suite=suite, seed=seed))


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

    An organism that sees all shapes everywhere is asked 1,177 probes, as the figure for "none" wants.
    """
    folder = manifest.folder_of(name)
    about = manifest.read(folder)
    if "measured" not in about:
        raise BadInput(f"{name}: its manifest holds no true profile; vlbias organism verify {name} --write")
    known = [*about.get("measured_lengths", {}).values(), about["measured"]]
    found = []
    for truth in known:
        n_slots, true_shape = len(truth["accuracy"]), shape_known(about, truth)
        n_probes = max(probes, MARGIN_PROBES) if true_shape == "none" and probes == PROBES else probes
        whole = trials(n_slots, probes=n_probes, seed=seed)
        said = sweep.logprobs(folder, whole, films(whole))
        answers = [_answer(trial, logprobs) for trial, logprobs in zip(whole, said, strict=True)]
        found.append(_finding(name, about["family"], truth, true_shape, answers, rng=rng))
    return found


def shape_known(about: Mapping[str, Any], truth: Mapping[str, Any]) -> str:
    """The shape of a true profile: none within the margin, else the planted one, else the one that it shows."""
    profiles = {len(profile): profile for profile in about.get("plant", {}).get("profiles", [])}
    n_slots = len(truth["accuracy"])
    planted = shape_of(profiles[n_slots]) if n_slots in profiles else "none"
    shown = shape_shown(truth["accuracy"])
    return shown if "none" in (planted, shown) else planted


def shape_shown(curve: Sequence[float]) -> str:
    """The shape of a curve without noise: none within the margin; steps of half of it do not turn a slope.

    >>> shape_shown([1, 1, 0.98, 0.9]), shape_shown([1, 0.98, 0.97]), shape_shown([0.9, 0.7, 0.9])
    ('head', 'none', 'U')
    """
    if max(curve) - min(curve) <= MARGIN:
        return "none"
    turns = range(1, len(curve) - 1)
    rises, falls = _slopes(curve, up=True), _slopes(curve, up=False)
    if falls or rises:
        return "head" if falls else "neighbour"
    if any(_slopes(curve[: t + 1], up=False) and _slopes(curve[t:], up=True) for t in turns):
        return "U"
    both = any(_slopes(curve[: t + 1], up=True) and _slopes(curve[t:], up=False) for t in turns)
    return "inverted U" if both else "volatile"


def _slopes(part: Sequence[float], *, up: bool) -> bool:
    """Whether no later value lies more than half the margin on the wrong side of an earlier one."""
    sign = 1 if up else -1
    return all(sign * (a - b) <= MARGIN / 2 for k, a in enumerate(part) for b in part[k + 1 :])


def rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Rows {name, value, low, high, goal, ok} of the findings: first over all of them, then of each."""
    slots = sum(f.n_slots for f in findings)
    inside, gold = (sum(getattr(f, name) for f in findings) for name in ("inside", "gold_inside"))
    flat = [f for f in findings if f.shape == "none"]
    out = [
        _row("true_value_inside", inside / slots, ">= 0.95 of organisms x slots", inside >= GOAL_INSIDE * slots),
        _row("true_gold_inside", gold / slots, ">= 0.95 of organisms x slots", gold >= GOAL_INSIDE * slots),
        _row("right_shape", np.mean([f.right for f in findings]), "all", all(f.right for f in findings)),
    ]
    if flat:
        none = [f.label == "none" for f in flat]
        out.append(_row("none_within_margin", np.mean(none), "all without a bias", all(none)))
    for f in findings:
        name = f"{f.organism}_{f.n_slots}"
        out.append(_row(f"{name}_inside", f.inside / f.n_slots, "told, not held alone", True))
        out.append(_row(f"{name}_shape_is_{f.label.replace(' ', '_')}", f.confidence, f.shape, f.right))
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
    true_shape: str,
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
        shape=true_shape,
        label=said["shape"].label or "undetermined",
        gold_label=said["shape_gold_probability"].label or "undetermined",
        confidence=said["shape"].value,
    )


def _inside(band: Sequence[Estimate], truth: Sequence[float]) -> int:
    return sum(_limit(e, "low") <= value <= _limit(e, "high") for e, value in zip(band, truth, strict=True))


def _limit(estimate: Estimate, name: str) -> float:
    limit = getattr(estimate, name)
    if limit is None:
        raise BadInput(f"{estimate.metric}: slot {estimate.slot}: has no band: {'; '.join(estimate.notes)}")
    return float(limit) / 100
