"""Probe kinds: a suite becomes trials. One file, one kind; the file's name is the suite's `kind`.

Contract of a file here: `Suite`, a strict pydantic model of what stands in the YAML under this kind, and
`probes(suite, *, folder)` and `trials(...)` below. Balanced by construction: every probe visits every slot, gold
letters are uniform, and `--limit` takes whole probes. A kind whose trials are not a sweep over slots names the metrics
that measure it in a tuple `METRICS`. `SCREENED = True` leaves out, by name, items whose wording refers to a place among
options or images. `--option_orders` sets the `orders` of a suite that has them; `OWN_ORDERS = True` refuses it, because
the kind turns its options itself. What varies between the trials of a probe stands in `Trial.factors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from vlbias.records import Probe, Trial


class Kind(Protocol):
    """A file of this room."""

    Suite: Any

    def probes(self, suite: Any, *, folder: Path) -> list[Probe]:
        """The probes of a suite; relative paths start at `folder`, the place of the suite's file."""

    def trials(
        self, probes: Sequence[Probe], *, suite: Any, seed: int, slots: Sequence[int] | None = None
    ) -> Iterator[Trial]:
        """Each probe in each slot (all of them, or the 0-based `slots`), and alone; same order of backgrounds."""
