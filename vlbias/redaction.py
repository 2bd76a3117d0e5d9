"""Keeps secrets out of what is written down: a command line without the values of its keys and tokens."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

SECRET = r"(?:(?:api|access|auth|private|secret)[_-]?keys?|keys?|token|secret|passw(?:or)?d|credentials?|authorization)"
SECRET_FLAG = re.compile(rf"(?i)^-[\w.-]*{SECRET}$")
SECRET_PAIR = re.compile(rf"""(?i)((?:\b|[\w.-]*){SECRET}["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^,;&}}]*)""")
LOOKS_SECRET = re.compile(r"(?:\b(?:sk-|hf_|ghp_|github_pat_|xox[abp]-|AKIA)[\w-]{6,}|(?<=Bearer )\S+)")


def redacted(command: Sequence[str]) -> str:
    """The command line as one quoted string, with the values of secret flags, and what looks like a secret, masked.

    >>> redacted(["vlbias", "run", "--api_key", "abc", "--model_args", "name=m,token=xyz"])
    "vlbias run --api_key '***' --model_args 'name=m,token=***'"
    """
    shown = []
    for before, word in zip(("", *command), command):
        shown.append("***" if SECRET_FLAG.match(before) else _masked(word))
    return shlex.join(shown)


def _masked(word: str) -> str:
    return LOOKS_SECRET.sub("***", SECRET_PAIR.sub(r"\1***", word))
