"""Reads an option out of a model's own words. It never guesses: what is not plainly an answer is not read.

Video-LevelGauge's parser takes the first letter of a reply, so "Based on the video, D." counts as B; see `parse` for
what counts here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 100_000
TAIL = 2_000
END_OF_THINKING = re.compile(r"</think(?:ing)?>", re.I)
OPEN_THINKING = re.compile(r"<think(?:ing)?>", re.I)
REFUSAL = re.compile(
    r"\b(i'?m sorry|i am sorry|i can(?:no|')t (?:help|assist|answer|comply|see|watch|view)|i am unable|i'm unable|"
    r"as an ai|cannot be determined|can(?:no|')t be determined|not possible to (?:tell|determine|say))",
    re.I,
)
# "The answer is A Dog" may name the label A or say an article, so it names nothing.
NO_ARTICLE = r"(?!(?<=\b[AaIi])[^\S\n]+\w)"
CLAIM = r"(?:answer|option|choice|letter)(?:\s+(?:is|would\s+be|should\s+be|must\s+be))?\s*[:=]?\s*"


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """The displayed index of the option that was answered, or None with the reason why none was read."""

    index: int | None
    method: str
    reason: str


def parse(reply: str, *, options: Sequence[str], labels: Sequence[str]) -> Parsed:
    """The option that a reply plainly names.

    In this order: the whole reply is a label or an option; a label is claimed ("the answer is C", "Answer: C"); a
    leading label is set apart ("D. ...", "(b)"); a label stands alone at the end after a comma or colon. Two different
    labels in the first rule that finds any, or none in all, is no answer. No rule looks for an option inside a reply,
    so options may contain each other.
    """
    text = _said(reply)
    if text is None:
        return Parsed(index=None, method="unparsed", reason="thinking was never closed: the reply was cut off")
    if not text:
        return Parsed(index=None, method="unparsed", reason="the reply is empty")
    whole = _whole(text, options, labels)
    if whole is not None:
        return Parsed(index=whole, method="whole", reason="the reply is one label or one option")
    several = _only_labels(text, labels)
    if len(several) > 1:
        return Parsed(index=None, method="unparsed", reason=f"names several options: {', '.join(several)}")
    for method, pattern in _patterns(labels):
        found = {m.upper() for m in re.findall(pattern, text[:TAIL] + "\n" + text[-TAIL:])}
        if len(found) > 1:
            return Parsed(index=None, method="unparsed", reason=f"names several options: {', '.join(sorted(found))}")
        if found:
            return Parsed(index=list(labels).index(found.pop()), method=method, reason="one label is named")
    if REFUSAL.search(text[:TAIL]):
        return Parsed(index=None, method="refused", reason="the model declines to answer")
    return Parsed(index=None, method="unparsed", reason="no option is plainly named")


def _said(reply: str) -> str | None:
    """The reply without its thinking, in plain letters; None when the thinking never ends."""
    text = unicodedata.normalize("NFKC", reply if len(reply) <= LONGEST else reply[:LONGEST] + reply[-TAIL:])
    text = END_OF_THINKING.split(text)[-1]
    return None if OPEN_THINKING.search(text) else _without_markup(text)


def _without_markup(text: str) -> str:
    return re.sub(r"[*_`#]+", "", text).strip()


def _bare(text: str) -> str:
    """The words alone; of signs alone ("*", "#"), the signs."""
    return _without_markup(text).strip(" \n\t.()[]:\"'").casefold() or text.strip()


def _whole(text: str, options: Sequence[str], labels: Sequence[str]) -> int | None:
    for names in (labels, options):
        hits = [k for k, name in enumerate(names) if _bare(unicodedata.normalize("NFKC", name)) == _bare(text)]
        if len(hits) == 1:
            return hits[0]
    return None


def _only_labels(text: str, labels: Sequence[str]) -> list[str]:
    """The labels of a reply that holds nothing but labels and the words that join them, as "A, B" or "(A) and (B)"."""
    words = re.findall(r"\w+", text[:TAIL])
    named = sorted({word.upper() for word in words if word.upper() in labels})
    others = [word for word in words if word.upper() not in labels and word.casefold() not in ("and", "or", "either")]
    return named if not others else []


def _patterns(labels: Sequence[str]) -> list[tuple[str, re.Pattern[str]]]:
    if not labels:
        return []
    either = "|".join(re.escape(label) for label in labels)
    both = f"(?:{either}|{either.lower()})"
    end = rf"(?=[\s.,;:)\]!?]|$){NO_ARTICLE}"
    return [
        ("claimed", re.compile(rf"(?i:{CLAIM})\(?({both})\)?{end}(?!\s+(?:or|and)\b)(?!\s+[a-z])")),
        ("leading", re.compile(rf"^\(?({both})[.):](?=\s|$)")),
        (
            "named",
            re.compile(
                rf"(?i:\b(?:it is|it's|think|choose|pick|select))\s+(?:option\s+)?\(?({either})\)?{end}(?!\s+[a-z])"
            ),
        ),
        ("closing", re.compile(rf"[,:]\s*\(?({either})\)?\.?\s*$")),
    ]
