"""Finds items whose wording refers to a place among the options or images, which another order would make wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlbias.records import Probe

_ORDINAL = r"(?:first|second|third|fourth|fifth|last|former|latter|previous|next|\d+(?:st|nd|rd|th))"
_THING = r"(?:options?|choices?|answers?|images?|pictures?|photos?|statements?|candidates?|captions?)"
_ANYWHERE = {
    "names a place among the options or images": re.compile(rf"\b(?:the\s+)?{_ORDINAL}\s+(?:\w+\s+)?{_THING}\b", re.I),
    "names an option or image by its label": re.compile(rf"\b{_THING}\s+(?:no\.?\s*)?(?:[A-Z]|\d+)\b(?!\w)"),
    "points to what stands around it": re.compile(rf"\b(?:above|below|preceding|following)\s+{_THING}\b", re.I),
}
_IN_OPTION = {
    "sums up the other options": re.compile(
        r"^\W*(?:all|none|both|neither|either|any)(?:\s+of)?(?:\s+(?:the|these|those|them))?"
        r"(?:\s+(?:is|are|above|below|others?|options?|answers?|choices?|correct|right|wrong)){0,3}\W*$"
        r"|\bof\s+the\s+(?:above|below|others?)\b",
        re.I,
    ),
    "joins options by their labels": re.compile(
        r"^\W*(?:(?i:both|either|neither|only)\s+)?\(?[A-H]\)?(?:\s*(?:,|(?i:and|or|nor)|&)\s*\(?[A-H]\)?)+\W*$"
    ),
    "is a place in an order": re.compile(rf"^\W*the\s+{_ORDINAL}\b", re.I),
}


def position_words(probe: Probe) -> str | None:
    """Why the item must not be asked in another order, or None.

    Wording that asks about one order in time ("what happens first?") or in space ("above") is kept; so is "which of
    the following". A rule, not a reader: it may drop an item that is sound.
    """
    for text in (probe.question, *probe.options):
        for reason, pattern in _ANYWHERE.items():
            if match := pattern.search(text):
                return f"{text!r} {reason} ({match[0]!r})"
    for option in probe.options:
        for reason, pattern in _IN_OPTION.items():
            if pattern.search(option):
                return f"the option {option!r} {reason}"
    return None


def screened(probes: Sequence[Probe]) -> tuple[list[Probe], tuple[str, ...]]:
    """The probes that may be asked in any order, and one sentence on each of the others."""
    why = {probe.probe_id: position_words(probe) for probe in probes}
    kept = [probe for probe in probes if why[probe.probe_id] is None]
    dropped = tuple(f"probe {name} is left out: {reason}" for name, reason in why.items() if reason)
    return kept, dropped
