"""Counts what did not come back of a run, by the place where it was asked, and names the places for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from vlbias.answers import Answer, Asked, Failure
from vlbias.reports import Report
from vlbias.reports._text import clean


@dataclass(frozen=True, kw_only=True)
class FailureRow:
    """The trials of one slot that have no answer, by kind; `name` is the slot's for people."""

    slot: int | None
    name: str
    asked: int
    kinds: tuple[tuple[str, int], ...]

    @property
    def failed(self) -> int:
        """How many trials of the slot failed."""
        return sum(count for _, count in self.kinds)


def failures(report: Report) -> list[FailureRow]:
    """Failures per slot, the probe alone first; a placement goes by its name."""
    rows = [o for o in report.outcomes if isinstance(o, (Answer, Failure))]
    slots = sorted({o.asked.slot for o in rows}, key=lambda s: -1 if s is None else s)
    found = []
    for slot in slots:
        here = [o for o in rows if o.asked.slot == slot]
        kinds = Counter(str(o.kind) for o in here if isinstance(o, Failure))
        found.append(
            FailureRow(slot=slot, name=place_name(here[0].asked), asked=len(here), kinds=tuple(sorted(kinds.items())))
        )
    return found


def place_word(report: Report) -> str:
    """What the places of a run are: slots, or placements that have names."""
    rows = [o for o in report.outcomes if isinstance(o, (Answer, Failure))]
    return "placement" if rows and all("placement" in dict(o.asked.factors) for o in rows) else "slot"


def place_name(asked: Asked) -> str:
    """The place of a trial for people: its placement, or its slot counted from 1."""
    named = dict(asked.factors).get("placement")
    return slot_name(asked.slot) if named is None else clean(named, 40)


def first_reasons(report: Report, limit: int = 5) -> list[tuple[str, str]]:
    """The first reason of each kind of failure."""
    found: dict[str, str] = {}
    for outcome in report.outcomes:
        if isinstance(outcome, Failure):
            found.setdefault(outcome.kind, clean(outcome.reason, 200))
    return list(found.items())[:limit]


def slot_name(slot: int | None) -> str:
    """A slot for people: counted from 1."""
    return "alone" if slot is None else str(slot + 1)
