"""Every error raised on purpose, in one tree.

VlbiasError                 anything this package says on purpose
├── BadInput                the user's file, flag or name is wrong                      (exit code 2)
│   ├── UnknownName         a name that no room holds; tells the nearest known ones
│   ├── BadSuite            a suite that cannot be asked
│   ├── BadConfig           a config with an unknown key or a bad value
│   ├── NotApplicable       a correction or a metric that this run cannot have; says what is missing
│   └── NotARun             a folder that is not a results folder, or one that is damaged
├── RunRefused              the run must not start or go on                              (exit code 4)
│   ├── RunLocked           another process writes to this folder
│   ├── ConfigChanged       the folder holds a run of another config
│   ├── CanaryDied          three different clips gave one answer
│   └── SharingDiffers      a prompt asked apart has another answer than one that shared
├── ModelError              a model cannot be loaded or does not do what is asked        (exit code 2)
└── DecodeError             a clip cannot be read; becomes a `Failure`, never ends a run
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class VlbiasError(Exception):
    """Anything this package says on purpose."""

    exit_code = 1


class BadInput(VlbiasError):
    """The user's file, flag or name is wrong."""

    exit_code = 2


class UnknownName(BadInput):
    """A name that no room holds; the message tells the nearest known ones."""

    def __init__(self, *, what: str, name: str, known: Iterable[str], where: str = "") -> None:
        known = sorted(known)
        super().__init__(f"{where + ': ' if where else ''}unknown {what} {name!r}; {nearest(name, known)}")


class BadSuite(BadInput):
    """A suite that cannot be asked."""


class BadConfig(BadInput):
    """A config with an unknown key or a bad value."""


class NotApplicable(BadInput):
    """A correction or a metric that this run cannot have; says what is missing and what would give it."""


class NotARun(BadInput):
    """A folder that is not a results folder, or one that is damaged."""


class RunRefused(VlbiasError):
    """The run must not start or go on."""

    exit_code = 4


class RunLocked(RunRefused):
    """Another process writes to this folder."""


class ConfigChanged(RunRefused):
    """The folder holds a run of another config."""


class CanaryDied(RunRefused):
    """Three different clips gave one answer: a cache or an adapter ignores the pixels."""


class SharingDiffers(RunRefused):
    """A prompt asked apart has another answer than one that shared; `evidence` is the prompt and both answers."""

    def __init__(self, message: str, *, evidence: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.evidence = evidence


class ModelError(VlbiasError):
    """A model cannot be loaded, or cannot do what is asked of it."""

    exit_code = 2


class DecodeError(VlbiasError):
    """A clip cannot be read; the run turns it into a `Failure` and goes on."""

    def __init__(self, *, path: str, decoder: str, reason: str) -> None:
        super().__init__(f"{path}: {decoder}: {reason}")
        self.path, self.decoder, self.reason = path, decoder, reason


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that names the known names closest to `name`, or all of them.

    >>> nearest("levelguage", ["curve", "levelgauge"])
    'did you mean levelgauge? Known: curve, levelgauge'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    ask = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{ask}Known: {', '.join(names) or 'none'}"
