"""Segments that were processed before their turn, until the encoder takes them."""

from __future__ import annotations

from collections.abc import Hashable

from vlbias.models._chat import Encoded


class Prepared:
    """Processed segments by content. No more are wanted while they hold `limit_bytes`, so one more may go beyond it.

    One thread puts, another takes; each step is a single one on a dictionary.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.n_put = self.n_taken = 0
        self._held: dict[Hashable, Encoded] = {}

    def wants(self, key: Hashable) -> bool:
        """Whether `key` is not there yet and there is room."""
        return key not in self._held and self.n_bytes < self.limit_bytes

    def put(self, key: Hashable, encoded: Encoded) -> None:
        """Keeps a segment until it is taken."""
        self._held[key] = encoded
        self.n_put += 1

    def take(self, key: Hashable) -> Encoded | None:
        """The segment, let go; None where it was not prepared."""
        found = self._held.pop(key, None)
        self.n_taken += found is not None
        return found

    @property
    def n_bytes(self) -> int:
        """What is held, in bytes."""
        held = list(self._held.values())
        return sum(value.numel() * value.element_size() for one in held for value in one.inputs.values())
