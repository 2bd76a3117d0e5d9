"""Sends segments of one shape through a model's input path together, and cuts what comes back into one each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch

from vlbias.models._batch import in_groups
from vlbias.models._chat import Encoded
from vlbias.models._features import Features, features, is_small
from vlbias.models._room import Room
from vlbias.records import Fault

Batch = Callable[[Sequence[tuple[Encoded, tuple[int, ...]]]], Mapping[str, Any]]
WAITING_TOKENS = 16384


class Encoder:
    """Processed segments to features, several in one call where they are of one shape and `together` is set.

    `together` is off until a trial shows that a batch gives what its segments give one by one. `n_calls` counts the
    calls of the model's input path. A call holds as many tokens as `room` allows, as a forward does.
    """

    def __init__(self, model: Any, batch: Batch, room: Room) -> None:
        self.model, self.room = model, room
        self.together = False
        self.n_calls = 0
        self._batch = batch

    @property
    def most_waiting(self) -> int:
        """How many tokens of processed segments may wait for their call: no more than one call can hold."""
        return WAITING_TOKENS if self.room.most_tokens is None else self.room.most_tokens

    def features(self, segments: Sequence[Encoded]) -> list[Features | Fault]:
        """The features of segments, in their order; one that does not fit in memory alone is a Fault."""
        key = shape if self.together else id
        return in_groups(segments, key=key, size=lambda segment: segment.n_tokens, run=self.call, room=self.room)

    def call(self, segments: Sequence[Encoded]) -> list[Features]:
        """The features of segments of one shape from a single call."""
        self.n_calls += 1
        return features(self.model, self._batch([(segment, ()) for segment in segments]), segments)

    def difference(self, segments: Sequence[Encoded], *, tolerance: float) -> tuple[float, float]:
        """How far a batch of segments of one shape is at most from the same one by one, and how far it may be.

        The second is `tolerance` as a share of the largest feature, but less than half of the smallest distance between
        two of the segments: what is farther off is as near to another segment.
        """
        alone = [_flat(found) for segment in segments for found in self.call([segment])]
        together = [_flat(found) for found in self.call(segments)]
        worst = max(_distance(a, b) for a, b in zip(alone, together, strict=True))
        between = min(_distance(a, b) for k, a in enumerate(alone) for b in alone[:k])
        return worst, min(tolerance * max(float(a.abs().max()) for a in alone), between / 2)


def shape(segment: Encoded) -> Hashable:
    """Equal for segments that may stand in one call: the same tokens and grids, and pixels of the same shape."""
    told = (
        (name, value.dtype, tuple(value.shape), value.numpy().tobytes() if is_small(name, value) else b"")
        for name, value in sorted(segment.inputs.items())
    )
    return (tuple(told), segment.spans, segment.replacements)


def _flat(found: Features) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in (found.embeds_LD, *found.deep_VD)])


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max()) if one.shape == other.shape else float("inf")
