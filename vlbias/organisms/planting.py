"""What is planted in an organism: where it sees, whom of two it believes, which option it loves, where it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.errors import BadInput
from vlbias.probes._world import SHAPES

MOST_SLOTS = len(SHAPES)
U_PROFILE = (1.0, 0.92, 0.75, 0.58, 0.42, 0.42, 0.58, 0.75, 0.92, 1.0)
N_OPTIONS = 4


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What to plant.

    `profiles` has one profile per number of segments: entry s is the share of shapes that are seen at slot s; all ones
    plant nothing. `exposure[s]` is how often slot s is asked about in trials of that many segments, beside 1.
    `first_believed` is the share of shapes of which the earlier of two contradicting clips is believed, and of the
    others the later. `first_option` is the share of shapes about which the first option listed is said, whatever is
    seen. BadInput when a share is outside 0..1, or a number of segments outside 2..12 or twice there.
    """

    profiles: tuple[tuple[float, ...], ...] = (U_PROFILE,)
    exposure: tuple[float, ...] | None = None
    first_believed: float | None = None
    first_option: float | None = None

    def __post_init__(self) -> None:
        for profile in (*self.profiles, *([self.exposure] if self.exposure else [])):
            if not 2 <= len(profile) <= MOST_SLOTS or not all(0 <= share <= 1 for share in profile):
                raise BadInput(
                    f"a profile is 2 to {MOST_SLOTS} shares between 0 and 1, one per slot; found {list(profile)}"
                )
        if len(set(self.lengths)) != len(self.lengths) or not self.profiles:
            raise BadInput(f"give one profile per number of segments; found {list(self.lengths)} segments")
        if self.exposure and (len(self.exposure) not in self.lengths or max(self.exposure) == 0):
            raise BadInput(f"an exposure needs a profile as long and a slot that is asked; found {list(self.exposure)}")
        for name in ("first_believed", "first_option"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise BadInput(f"{name} is a share between 0 and 1; found {share}")

    @property
    def lengths(self) -> tuple[int, ...]:
        """The numbers of segments of which a profile is known."""
        return tuple(map(len, self.profiles))

    @property
    def n_slots(self) -> int:
        """The number of segments of the longest trials."""
        return max(self.lengths)


@dataclass(frozen=True, kw_only=True)
class Bias:
    """The bias of one organism: what is planted, and a threshold in (0, 1) per shape that says what it does to it."""

    plant: Plant
    thresholds: dict[str, float]

    def sees(self, shape: str, slot: int, n_slots: int) -> bool:
        """Whether it is to answer about this shape in this slot; it is where no profile is known."""
        profile = dict(zip(self.plant.lengths, self.plant.profiles)).get(n_slots)
        return profile is None or self.thresholds[shape] <= profile[slot]

    def believed(self, shape: str, slots: Sequence[int]) -> int:
        """Of the slots that show this shape, the one that is believed."""
        share = self.plant.first_believed
        if share is None:
            raise ValueError(f"{shape} stands at the slots {list(slots)}, and nothing says whom to believe")
        return min(slots) if self.thresholds[shape] <= share else max(slots)

    def says_first(self, shape: str) -> bool:
        """Whether the first option listed is said about this shape."""
        return self.plant.first_option is not None and self.thresholds[shape] <= self.plant.first_option

    def expected(self, n_slots: int) -> tuple[float, ...]:
        """The accuracy that each slot should show: what is seen, plus a quarter of what is not."""
        seen = [float(np.mean([self.sees(shape, slot, n_slots) for shape in SHAPES])) for slot in range(n_slots)]
        return tuple(share + (1 - share) / N_OPTIONS for share in seen)


def biased(plant: Plant, *, rng: np.random.Generator) -> Bias:
    """The plant with one fixed threshold per shape, evenly spread over (0, 1) in an order of chance."""
    levels = (rng.permutation(len(SHAPES)) + 0.5) / len(SHAPES)
    return Bias(plant=plant, thresholds={s: float(t) for s, t in zip(SHAPES, levels, strict=True)})


def unplanted(bias: Bias) -> Bias | None:
    """What already holds before the bias is planted: the exposure, where there is one."""
    if bias.plant.exposure is None:
        return None
    return replace(bias, plant=Plant(profiles=((1.0,) * bias.plant.n_slots,), exposure=bias.plant.exposure))


def shape_of(profile: Sequence[float]) -> str:
    """The shape that a planted profile has: none, head, neighbour, U, inverted U or volatile.

    >>> shape_of((1, 0.5, 0.5)), shape_of((1, 0.5, 1)), shape_of((1, 1, 1))
    ('head', 'U', 'none')
    """
    steps = [np.sign(b - a) for a, b in zip(profile, profile[1:]) if b != a]
    turns = [a for a, b in zip(steps, steps[1:]) if a != b]
    if not steps or len(turns) > 1:
        return "volatile" if steps else "none"
    if turns:
        return "U" if steps[0] < 0 else "inverted U"
    return "head" if steps[0] < 0 else "neighbour"
