"""Reports: estimates become what a person or another program reads. Nothing here imports torch or measures.

Contract of a file here: `write(report, *, folder) -> list[Path]`, the files written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vlbias.answers import Outcome
from vlbias.estimates import Estimate, Proof, RunInfo


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report is made of; `proof` is what corrections did, where some were tried."""

    run: RunInfo
    estimates: Sequence[Estimate]
    outcomes: Sequence[Outcome]
    proof: Proof | None = None


class Writer(Protocol):
    """A file of this room."""

    def write(self, report: Report, *, folder: Path) -> list[Path]:
        """Writes into `folder`, each file whole or not at all, and names what it wrote."""
