"""Carries a saved correction to another number of slots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CELL = re.compile(r"(?P<rest>.*, )slot (?P<slot>\d+) of (?P<n_slots>\d+)")


def stretched(saved: Mapping[str, Any], *, n_slots: int) -> dict[str, Any]:
    """The saved correction with its cells for `n_slots` slots: each takes the numbers of the slot nearest in place.

    Places run from the head (0) to the question (1). Cells without a slot stay as they are.
    """
    return {key: _cells(value, n_slots) if isinstance(value, Mapping) else value for key, value in saved.items()}


def _cells(table: Mapping[str, Any], n_slots: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, numbers in table.items():
        found = CELL.fullmatch(name)
        if found is None:
            out[name] = numbers
            continue
        slot, old = int(found["slot"]), int(found["n_slots"])
        for new in range(n_slots):
            if _nearest(new, n_slots, old) == slot:
                out[f"{found['rest']}slot {new} of {n_slots}"] = numbers
    return out


def _nearest(slot: int, n_slots: int, n_old: int) -> int:
    place = slot / (n_slots - 1) if n_slots > 1 else 0.0
    return int(place * (n_old - 1) + 0.5)
