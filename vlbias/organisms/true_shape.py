"""Reads off a true profile which shape an organism has, and which labels may rightly be said of it.

It shares no statistics with the instrument that is held to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from vlbias.organisms.planting import shape_of

MARGIN = 0.05
LEVEL = 0.01
UNSHAPED = ("none", "undetermined")


@dataclass(frozen=True, kw_only=True)
class TrueShape:
    """The true shape, and the labels that are right to say of it.

    `small` says that all slots lie within the margin and yet differ: a bias that is true and does not matter.
    """

    name: str
    right: tuple[str, ...]
    small: bool = False

    @property
    def flat(self) -> bool:
        """Whether nothing was found in the truth, so that any shape said of it is a miss."""
        return self.name == "none"

    def __str__(self) -> str:
        return f"{self.name}, within the margin" if self.small else self.name


def true_shape(about: Mapping[str, Any], truth: Mapping[str, Any]) -> TrueShape:
    """The true shape of the profile `truth` of the organism of the manifest `about`.

    Slots that differ by more than the margin have the planted shape, or where none was planted the one that they show,
    and no other label is right. Slots within the margin are flat, and no shape is right, unless the trials of the truth
    themselves tell a lean (see `lean`): then that shape is right, and so is "none", which claims no more than the
    margin. "undetermined" is never wrong of what lies within the margin, and always of what does not.
    """
    curve = truth["accuracy"]
    profiles = {len(profile): profile for profile in about.get("plant", {}).get("profiles", [])}
    planted = shape_of(profiles[len(curve)]) if len(curve) in profiles else "none"
    shown = shape_shown(curve)
    if shown != "none":
        name = shown if planted == "none" else planted
        return TrueShape(name=name, right=(name,))
    leaning = lean(curve, truth["n"])
    if leaning is None:
        return TrueShape(name="none", right=UNSHAPED)
    return TrueShape(name=leaning, right=(leaning, *UNSHAPED), small=True)


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


def lean(curve: Sequence[float], n: Sequence[int]) -> str | None:
    """The shape of a slope or a bend that `n` trials at each slot find at .01 (Bonferroni over the two), else None.

    The larger of the two in standard errors names the shape. Trials are fresh ones, so slots are independent shares.

    >>> lean([0.95, 0.96, 0.97], [4000] * 3), lean([0.95, 0.951, 0.95], [4000] * 3)
    ('neighbour', None)
    """
    share_S, n_S = np.asarray(curve, dtype=np.float64), np.asarray(n, dtype=np.float64)
    x_S = np.linspace(-0.5, 0.5, len(share_S))
    weight_2S = np.stack([x_S, x_S**2 - (x_S**2).mean()])
    # Half a trial of each kind is added, so that a slot without an error has a variance too.
    kept_S = (share_S * n_S + 0.5) / (n_S + 1)
    error_2 = np.sqrt(weight_2S**2 @ (kept_S * (1 - kept_S) / n_S))
    z_2 = weight_2S @ share_S / np.maximum(error_2, 1e-12)
    which = int(np.argmax(np.abs(z_2)))
    if 2 * len(z_2) * float(stats.norm.sf(abs(z_2[which]))) > LEVEL:
        return None
    return (("head", "neighbour"), ("inverted U", "U"))[which][int(z_2[which] > 0)]


def _slopes(part: Sequence[float], *, up: bool) -> bool:
    """Whether no later value lies more than half the margin on the wrong side of an earlier one."""
    sign = 1 if up else -1
    return all(sign * (a - b) <= MARGIN / 2 for k, a in enumerate(part) for b in part[k + 1 :])
