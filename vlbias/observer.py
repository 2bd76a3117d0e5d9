"""An observer that reads prompts by their pixels and words, with a bias that is chosen: what corrections are tried on.

It sees, in each segment, how far the mean colour is from a neutral one towards each option's colour, and answers by the
segment that shows most. So a prompt that a method changes is answered by what it now shows, not by a script.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vlbias.errors import ModelError
from vlbias.metrics._blocks import Floats
from vlbias.records import (
    Capabilities,
    Fault,
    Frames,
    Identity,
    OptionScores,
    Probe,
    Prompt,
    Reply,
    Segment,
    Trial,
    digest,
)

# What the names of colours mean to the observer: directions away from the neutral colour, with the mean 0.
COLOURS = {
    "red": (2.0, -1.0, -1.0),
    "green": (-1.0, 2.0, -1.0),
    "blue": (-1.0, -1.0, 2.0),
    "yellow": (1.0, 1.0, -2.0),
}
NAMES = tuple(COLOURS)
DIRECTION_OC = np.array([COLOURS[name] for name in NAMES]) / np.sqrt(6.0)
QUESTION = "Which colour does one of the clips have?"
FRAME_SHAPE = (4, 6, 6, 3)
NEUTRAL_C = np.array([124.0, 116.0, 104.0])  # the ImageNet mean, which template frames have: no colour at all
GRAIN = 25.0
TINT = (4.0, 40.0)  # grey levels towards the colour, between the hardest and the easiest clip
READING = 0.12  # log-odds per grey level
LED, NOTED = 0.5, 1.0  # log-odds that a leading question and an own note add to the option they name


@dataclass(frozen=True, kw_only=True)
class Bias:
    """What is planted: `sight_S` multiplies what is seen at each place of four; `prior_SO` the chance of each displayed
    option when the evidence stands in a slot. None plants nothing."""

    sight_S: tuple[float, ...] | None = None
    prior_SO: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """Probes with a tinted clip among grey ones, all slots asked, and the frames of every clip."""

    trials: tuple[Trial, ...]
    frames: dict[str, Frames]


class Shelf:
    """Gives the frames of clips as a reader does."""

    def __init__(self, frames: dict[str, Frames]) -> None:
        self._frames = frames

    def frames(self, segment: Segment) -> Frames:
        """The frames of a clip of the world."""
        return self._frames[segment.segment_id]

    def several(self, segments: Iterable[Segment]) -> dict[Segment, Frames]:
        """The frames of many clips."""
        return {segment: self.frames(segment) for segment in segments}


def world(n_clips: int, *, seed: int, n_slots: int = 4, per_clip: int = 2) -> World:
    """`n_clips` source clips of `per_clip` probes each; the right option stands at every place equally often."""
    rng = np.random.default_rng([seed, 0])
    frames = {f"grey {k}": _clip(np.zeros(3), rng) for k in range(2 * n_slots)}
    trials: list[Trial] = []
    for clip in range(n_clips):
        gold = int(rng.integers(len(NAMES)))
        frames[f"clip {clip}"] = _clip(rng.uniform(*TINT) * DIRECTION_OC[gold], rng)
        for question in range(per_clip):
            greys = rng.choice(2 * n_slots, size=n_slots - 1, replace=False)
            backgrounds = tuple(Segment(segment_id=f"grey {k}", path=f"grey{k}.mp4") for k in greys)
            trials += _trials(clip * per_clip + question, clip, gold, backgrounds)
    return World(trials=tuple(trials), frames=frames)


class Observer:
    """Scores options by log prior + what is seen of their colour + luck; it holds no state but its settings.

    `luck` is the standard deviation, in log-odds, of what it likes about an option in a question at a slot whatever it
    sees; `whim` of what changes with every change of the prompt. Neither depends on the slot on average, so without a
    `Bias` its accuracy is the same at every slot.
    """

    capabilities = Capabilities(score=True, generate=True, nll=False, needs_frames=True)

    def __init__(self, *, seed: int, bias: Bias | None = None, luck: float = 1.2, whim: float = 0.0) -> None:
        self.seed, self.bias, self.luck, self.whim = seed, bias or Bias(), luck, whim
        said = f"{self.bias}, luck {luck}, whim {whim}, seed {seed}"
        self.identity = Identity(adapter="observer", name="observer", revision=said)

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The log-probability of every option."""
        return [self._scored(prompt) for prompt in prompts]

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """Probabilities as JSON where the prompt asks for JSON with shares, else a note on the colour it sees."""
        return [self._said(prompt) for prompt in prompts]

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """It has no likelihood of other words."""
        raise ModelError("observer: has no log-likelihood of free text")

    def _scored(self, prompt: Prompt) -> OptionScores:
        logs_O = np.log(self._shares(prompt))
        return OptionScores(logprobs=tuple(map(float, logs_O)), level="exact", n_tokens=_length(prompt))

    def _said(self, prompt: Prompt) -> Reply:
        shares_O = self._shares(prompt)
        if "sum to 1" in _words(prompt):
            told = {option: round(float(share), 4) for option, share in zip(prompt.options, shares_O)}
            text = json.dumps(told)
        else:
            text = f"One clip is {_trial(prompt).options[int(shares_O.argmax())]}."
        return Reply(text=text, n_tokens=_length(prompt), n_new_tokens=len(text.split()))

    def _shares(self, prompt: Prompt) -> Floats:
        trial = _trial(prompt)
        seen = {name: value for name, value in zip(NAMES, self._seen(prompt))}
        liked = {name: value for name, value in zip(NAMES, self._liked(prompt, trial))}
        said = {name: _named(prompt, trial, name) for name in NAMES}
        logs_O = np.array([seen.get(o, 0.0) + liked.get(o, 0.0) + said.get(o, 0.0) for o in trial.options])
        if self.bias.prior_SO is not None and trial.slot is not None:
            logs_O = logs_O + np.log(self.bias.prior_SO[trial.slot])
        raised_O = np.exp(logs_O - logs_O.max())
        return np.asarray(raised_O / raised_O.sum())

    def _seen(self, prompt: Prompt) -> Floats:
        """The log-odds that the segments give each colour: those of the segment that shows most of any."""
        shown = [part for part in prompt.parts if part.place is not None and part.frames is not None]
        if not shown:
            return np.zeros(len(NAMES))
        coloured_NC = np.stack([_colour(part.frames) for part in shown if part.frames is not None])
        towards_NO = READING * coloured_NC @ DIRECTION_OC.T * self._sight(len(shown))[:, None]
        return np.asarray(towards_NO[int(np.abs(towards_NO).max(axis=1).argmax())])

    def _sight(self, n_shown: int) -> Floats:
        sight_S = self.bias.sight_S
        if sight_S is None:
            return np.ones(n_shown)
        if n_shown == 1:
            return np.array([max(sight_S)])
        places = np.linspace(0.0, len(sight_S) - 1.0, n_shown)
        return np.asarray(np.interp(places, np.arange(len(sight_S)), sight_S))

    def _liked(self, prompt: Prompt, trial: Trial) -> Floats:
        liked_O = self.luck * _luck(self.seed, trial.probe.probe_id, trial.slot)
        if self.whim:
            changed = int(prompt.sha256[:12], 16)
            liked_O = liked_O + self.whim * np.random.default_rng([self.seed, 2, changed]).normal(size=len(NAMES))
        return np.asarray(liked_O)


@lru_cache(maxsize=4096)
def _colour(frames: Frames) -> Floats:
    """How far the mean colour is from the neutral one, whatever its brightness, [C]."""
    away_C = frames.frames_THWC.reshape(-1, 3).mean(axis=0) - NEUTRAL_C
    return np.asarray(away_C - away_C.mean())


@lru_cache(maxsize=4096)
def _luck(seed: int, probe_id: str, slot: int | None) -> Floats:
    """Standard normal draws, one for each colour, that depend on their names only, [O]."""
    key = int(digest([probe_id, slot])[:12], 16)
    return np.random.default_rng([seed, 1, key]).normal(size=len(NAMES))


def _named(prompt: Prompt, trial: Trial, name: str) -> float:
    """The log-odds that words add to a colour: a question that leads to it, a note that tells it."""
    led = LED if f"answer is: {name}" in trial.probe.question else 0.0
    noted = any(part.text and part.text.startswith("Notes on what") and name in part.text for part in prompt.parts)
    return led + (NOTED if noted else 0.0)


def _clip(tint_C: Floats, rng: np.random.Generator) -> Frames:
    pixels = np.clip(NEUTRAL_C + tint_C + GRAIN * rng.normal(size=FRAME_SHAPE), 0, 255).astype(np.uint8)
    times = tuple(float(k) for k in range(FRAME_SHAPE[0]))
    return Frames(
        frames_THWC=pixels,
        timestamps_s=times,
        asked_s=times,
        sha256=digest(pixels.tolist()),
        decoder="drawn",
        decoder_version="1",
    )


def _trials(number: int, clip: int, gold: int, backgrounds: tuple[Segment, ...]) -> list[Trial]:
    evidence = Segment(segment_id=f"clip {clip}", path=f"clip{clip}.mp4")
    n_slots = len(backgrounds) + 1
    probe = Probe(
        probe_id=f"p{number:04d}",
        task="colour",
        question=QUESTION,
        options=NAMES,
        gold=gold,
        evidence=evidence,
        backgrounds=backgrounds,
        cluster_id=f"c{clip:04d}",
    )
    out = []
    for slot in range(n_slots):
        turn = (gold - number - slot) % len(NAMES)  # so the right option is displayed at place (number + slot) mod 4
        order = tuple((turn + k) % len(NAMES) for k in range(len(NAMES)))
        shown = (*backgrounds[:slot], evidence, *backgrounds[slot:])
        trial_id = f"{probe.probe_id}/{n_slots:02d}-{slot:02d}"
        out.append(
            Trial(trial_id=trial_id, probe=probe, slot=slot, n_slots=n_slots, segments=shown, option_order=order)
        )
    return out


def _words(prompt: Prompt) -> str:
    return " ".join(part.text for part in prompt.parts if part.text)


def _length(prompt: Prompt) -> int:
    """Tokens as a reader of this kind would have them: one per frame and one per word."""
    n_frames = sum(len(part.frames.frames_THWC) for part in prompt.parts if part.frames is not None)
    return n_frames + len(_words(prompt).split())


def _trial(prompt: Prompt) -> Trial:
    if prompt.trial is None:
        raise ModelError(f"observer: prompt {prompt.trial_id} carries no trial, so its options have no names")
    return prompt.trial
