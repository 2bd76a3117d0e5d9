"""What is said of where one thing stands beside another: statements, their twins, the words of several templates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from vlbias.errors import BadSuite

Relation = Literal["left", "right", "above", "below"]
RELATIONS: tuple[Relation, ...] = ("left", "right", "above", "below")
OPPOSITE: MappingProxyType[Relation, Relation] = MappingProxyType(
    {"left": "right", "right": "left", "above": "below", "below": "above"}
)
PHRASE: MappingProxyType[Relation, str] = MappingProxyType(
    {"left": "left of", "right": "right of", "above": "above", "below": "below"}
)
_SIDE = re.compile(r"\b(left|right)\b")
_IS = re.compile(r"\b(is|are)\b")


@dataclass(frozen=True, kw_only=True)
class Template:
    """How a statement is asked: the question with `{statement}`, and the two answers, the one that affirms first."""

    question: str
    options: tuple[str, str]


TEMPLATES: tuple[Template, ...] = (
    Template(question="Is this true of the image? {statement}", options=("yes", "no")),
    Template(question="{statement} Say whether this is true or false.", options=("true", "false")),
    Template(question="Does the image show this: {statement}", options=("it does", "it does not")),
    Template(
        question="Decide whether this caption fits the image: {statement}", options=("it fits", "it does not fit")
    ),
)


def statement(first: str, relation: Relation, second: str) -> str:
    """As `The red ring is left of the blue star.`"""
    return f"The {first} is {PHRASE[relation]} the {second}."


def negated(said: str) -> str:
    """The statement with `not` after its verb.

    BadSuite unless it holds `is` or `are` exactly once: a negation that fails in silence turns every answer round.
    """
    if len(_IS.findall(said)) != 1 or re.search(r"\b(not|no|never)\b|n't\b", said):
        raise BadSuite(f"{said!r} cannot be negated by rule; it needs 'is' or 'are' once and no negation")
    return _IS.sub(r"\1 not", said)


def mirrored(said: str) -> str | None:
    """The statement with left and right exchanged, as is true of the mirrored image; None where it names no side."""
    swapped = _SIDE.sub(lambda found: "right" if found[0] == "left" else "left", said)
    return None if swapped == said else swapped
