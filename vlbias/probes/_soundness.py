"""What makes a multiple-choice item unfit to be asked, whatever the kind of probe."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from vlbias.errors import BadSuite
from vlbias.probes._paths import listed
from vlbias.records import Probe, Segment

MOST_LABELS = 26
# A number with its sign and its fraction, a word, or signs that are no punctuation: "-5", "1.5", "c", "++".
WORD = re.compile(r"(?:(?<!\w)[-+−])?\d+(?:[.,:/]\d+)*\w*|\w+|[^\w\s.,;:!?…'\"()\[\]{}-]+")


def option_faults(options: Sequence[str], *, most: int = MOST_LABELS, contained: bool = True) -> list[str]:
    """Options that are too few, more than there are labels, the same, or contained in each other, word by word.

    Candidates of a judge are whole answers, of which one may hold the other: for them `contained` is False.
    """
    faults = []
    if not 2 <= len(options) <= most:
        faults.append(f"options: found {len(options)}, and there are {most} labels; give 2 to {most}")
    words = [_words(option) for option in options]
    for (one, first), (other, second) in combinations(zip(options, words, strict=True), 2):
        if first == second:
            faults.append(f"options: {one!r} and {other!r} are the same; make them differ")
        elif contained and (_within(first, second) or _within(second, first)):
            faults.append(f"options: one of {one!r} and {other!r} contains the other; word them apart")
    return faults


def holds(text: str, options: Sequence[str]) -> str | None:
    """The first option whose wording stands in the text, word by word; None where none does."""
    return next((option for option in options if _within(_words(option), _words(text))), None)


def twice(probes: Sequence[Probe]) -> list[str]:
    """Probes that share a name."""
    counts = Counter(probe.probe_id for probe in probes)
    return [f"probe {name}: {n} probes have this name; rename them" for name, n in counts.items() if n > 1]


def same(one: Segment, other: Segment) -> bool:
    """True when two segments show the same thing: one file and part, the same bytes, scenes or text."""
    if one.kind != other.kind:
        return False
    if one.kind == "text":
        return one.text == other.text
    by_file = one.path is not None and (one.path, one.start_s, one.end_s) == (other.path, other.start_s, other.end_s)
    by_bytes = one.sha256 is not None and one.sha256 == other.sha256
    return by_file or by_bytes or (bool(one.scenes) and one.scenes == other.scenes)


def refuse(problems: Sequence[str], *, suite: str) -> None:
    """Raises BadSuite with every problem, the first 20 in full; does nothing when there is none."""
    if problems:
        raise BadSuite(listed([f"suite {suite}: {problem}" for problem in problems]))


def _words(text: str) -> tuple[str, ...]:
    # A text of signs only ("->", "...") may have no words; then the signs themselves are compared.
    return tuple(WORD.findall(text.casefold())) or (text.strip(),)


def _within(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    return any(long[k : k + len(short)] == short for k in range(len(long) - len(short) + 1))
