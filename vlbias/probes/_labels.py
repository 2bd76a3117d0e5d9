"""What names an option in a prompt: letters, numbers, symbols, or nothing."""

from __future__ import annotations

import string
from types import MappingProxyType
from typing import Literal

from vlbias.errors import BadSuite
from vlbias.records import Trial

LabelStyle = Literal["letters", "numbers", "symbols", "none"]
# Symbols that mean no order and stand in every vocabulary as one token.
LABELS = MappingProxyType[str, tuple[str, ...]](
    {
        "letters": tuple(string.ascii_uppercase),
        "numbers": tuple(str(number) for number in range(1, 27)),
        "symbols": ("@", "#", "$", "%", "&", "*", "+", "="),
        "none": (),
    }
)
WORDS = MappingProxyType({"letters": "letter", "numbers": "number", "symbols": "symbol", "none": "text"})


def label_style(trial: Trial) -> str:
    """The label style of a trial, by its factor `labels`; letters where it has none."""
    return dict(trial.factors).get("labels", "letters")


def labels(count: int, style: str = "letters") -> tuple[str, ...]:
    """The labels of `count` options, in displayed order; none for the style `none`. Too many options are an error."""
    known = LABELS[style]
    if style != "none" and count > len(known):
        raise BadSuite(f"{count} options cannot be named by {style}: there are {len(known)}; give at most {len(known)}")
    return known[:count]
