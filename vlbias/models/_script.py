"""The arguments of the scripted model, checked: the whole truth about how it will answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from vlbias.errors import ModelError, nearest
from vlbias.models._box_writing import WRITES

CHOICES: dict[str, tuple[str, ...]] = {
    "policy": ("profile", "uniform", "first_mentioned", "longest", "yes"),
    "noise": ("independent", "shared", "sticky"),
    "scores": ("sure", "graded"),
    "phrase": ("option", "sentence", "article", "adversarial", "hedged"),
    "spatial": ("none", "centre", "bottom_right", "left", "checkerboard"),
    "box_format": WRITES,
}
SHARES = (
    "accuracy",
    "alone",
    "preference",
    "refusals",
    "clip_correlation",
    "other",
    "effect",
    "crash_share",
    "pull",
    "ego",
)
AT_LEAST_0 = ("difficulty", "decay", "latency_s")


@dataclass(frozen=True, kw_only=True)
class Script:
    """How a scripted model answers. Shares and chances run from 0 to 1; log-odds are natural.

    Right or wrong: `accuracy` is the chance of the right answer at every slot; `profile` gives one per slot, as
    `1:.8:.6:.8:1`; `alone` is the chance without context (default: the largest of the profile). `difficulty` is the
    standard deviation of the items in log-odds; the chance over items stays the one that is asked for. `noise` says
    what the slots of a probe share: nothing (independent), most of their luck (sticky) or all (shared);
    `clip_correlation` is the correlation of the luck of the questions of one cluster at one slot.

    Options: `prior` multiplies the chance of the option displayed at each place, as `2:1:1:1`; `home` is the log-odds
    that the option displayed first gains; `sway` says for each slot of the evidence how strong both are there, as
    `0:.5:1`, and without context they are as strong as in the weakest slot; `prefer` is a displayed letter chosen with
    chance `preference` whatever is right. `policy` other than `profile` ignores the evidence: a uniform draw, the
    option mentioned first, the longest, or "yes" (the first displayed where no option says yes).

    Two segments that contradict each other: `head` is the log-odds of believing the one nearer the head of two
    neighbouring slots (negative: nearer the question), shrunk by exp(-`decay`) per slot more between them; `other` is
    the share that believes neither.

    Space: in a grid, `spatial` names the cells that are answered better, by `effect` from the best cell to the worst.
    Where a place is asked for, `pull` is the share of the way to the middle of the image by which what is found is
    said too near to it, and `box_format` how boxes are written. Where another's view is asked for, `ego` is the share
    of answers that tell the viewer's own.

    How it is said: `scores=sure` puts most of the probability on the chosen option, `graded` gives log-probabilities
    that are log prior + content (the content of an option does not depend on where it is displayed); `phrase` is the
    wording of generated answers; `refusals` is a share; `crash` is a 0-based slot at which a share
    `crash_share` of the trials has no answer;
    `latency_s` is waited per prompt.
    """

    accuracy: float = 0.75
    profile: tuple[float, ...] | None = None
    alone: float | None = None
    difficulty: float = 0.0
    noise: str = "independent"
    clip_correlation: float = 0.0
    prior: tuple[float, ...] | None = None
    home: float = 0.0
    sway: tuple[float, ...] | None = None
    prefer: str | None = None
    preference: float = 0.0
    policy: str = "profile"
    head: float = 0.0
    decay: float = 0.0
    other: float = 0.0
    spatial: str = "none"
    effect: float = 0.0
    pull: float = 0.0
    ego: float = 0.0
    box_format: str = "qwen3_vl"
    scores: str = "sure"
    phrase: str = "option"
    refusals: float = 0.0
    crash: int | None = None
    crash_share: float = 1.0
    latency_s: float = 0.0
    seed: int = 0


def script(arguments: Mapping[str, Any]) -> Script:
    """The script that arguments make; an unknown or impossible one is a ModelError that names it."""
    known = {field.name for field in fields(Script)}
    for name in sorted(set(arguments) - known):
        raise ModelError(f"scripted: unknown argument {name!r}; {nearest(name, known)}")
    values = dict(arguments)
    for name in ("profile", "prior", "sway"):
        if values.get(name) is not None:
            values[name] = _numbers(name, values[name])
    made = replace(Script(), **values)
    for name, choices in CHOICES.items():
        found = getattr(made, name)
        if found not in choices:
            raise ModelError(f"scripted: {name}={found!r}; {nearest(str(found), choices)}")
    _check_numbers(made)
    _check_letters(made)
    return made


def _check_numbers(made: Script) -> None:
    for name in (*SHARES, *AT_LEAST_0, "home", "head"):
        value = getattr(made, name)
        if value is None and name == "alone":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ModelError(f"scripted: {name}={value!r} is not a number")
        if name in SHARES and not 0 <= value <= 1:
            raise ModelError(f"scripted: {name}={value} is not a share; give a number from 0 to 1")
        if name in AT_LEAST_0 and value < 0:
            raise ModelError(f"scripted: {name}={value} is below 0; give 0 or more")
    for name in ("seed", "crash"):
        value = getattr(made, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise ModelError(f"scripted: {name}={value!r} is not a whole number from 0")
    if made.clip_correlation == 1 and made.noise != "independent":
        raise ModelError("scripted: clip_correlation=1 leaves nothing for noise to share; give less than 1")


def _check_letters(made: Script) -> None:
    if made.profile is not None and not all(0 <= value <= 1 for value in made.profile):
        raise ModelError(f"scripted: profile={made.profile} must hold shares from 0 to 1")
    if made.prior is not None and not (all(v >= 0 and math.isfinite(v) for v in made.prior) and min(made.prior) > 0):
        raise ModelError(f"scripted: prior={made.prior} must hold numbers above 0, one per displayed option")
    if made.sway is not None and not all(math.isfinite(value) and value >= 0 for value in made.sway):
        raise ModelError(f"scripted: sway={made.sway} must hold numbers from 0, one per slot")
    if made.prefer is not None and not (
        isinstance(made.prefer, str) and len(made.prefer) == 1 and "A" <= made.prefer <= "Z"
    ):
        raise ModelError(f"scripted: prefer={made.prefer!r} is not a letter from A to Z")
    if made.preference > 0 and made.prefer is None:
        raise ModelError("scripted: preference needs prefer, the letter that is preferred")
    if made.effect > 0 and made.spatial == "none":
        raise ModelError("scripted: effect needs spatial, the cells that are answered better")


def _numbers(name: str, text: Any) -> tuple[float, ...]:
    """Numbers written as 1:.8:.6 (or with slashes), or already a sequence of numbers."""
    items = list(text) if isinstance(text, tuple | list) else str(text).replace("/", ":").split(":")
    try:
        return tuple(float(item) for item in items)
    except (TypeError, ValueError) as error:
        raise ModelError(f"scripted: {name}={text!r} is not numbers; give them as {name}=1:.8:.6") from error
