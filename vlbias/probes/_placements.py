"""Where the pieces of a prompt stand: for each placement, the pieces of the system turn and of the user's turn."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Piece = Literal["visual", "demos", "instruction", "question", "options", "closing"]
Placement = Literal[
    "visual_first",
    "visual_between",
    "visual_last",
    "visual_system",
    "question_first",
    "instruction_last",
    "instruction_system",
    "no_demos",
    "demos_ssp",
    "demos_esp",
    "demos_sum",
    "demos_eum",
]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The pieces of both turns, in reading order; `moved` is the piece that the placement is about."""

    user: tuple[Piece, ...]
    moved: Piece
    system: tuple[Piece, ...] = ()

    @property
    def turn(self) -> str:
        """The turn in which the moved piece stands."""
        return "system" if self.moved in self.system else "user"


def _demos(*, system: tuple[Piece, ...] = ("instruction",), first: bool = False, last: bool = False) -> Layout:
    before: tuple[Piece, ...] = ("demos",) if first else ()
    after: tuple[Piece, ...] = ("demos",) if last else ()
    return Layout(system=system, user=(*before, "visual", "question", "options", "closing", *after), moved="demos")


# The four places of the demos are those of DPP (arXiv 2507.22887): start and end of the system prompt (which holds the
# instruction), start and end of the user's message. Its default, the baseline of its prediction change, is demos_sum.
LAYOUTS: MappingProxyType[Placement, Layout] = MappingProxyType(
    {
        "visual_first": Layout(user=("visual", "instruction", "question", "options", "closing"), moved="visual"),
        "visual_between": Layout(user=("instruction", "question", "visual", "options", "closing"), moved="visual"),
        "visual_last": Layout(user=("instruction", "question", "options", "visual", "closing"), moved="visual"),
        "visual_system": Layout(
            system=("visual",), user=("instruction", "question", "options", "closing"), moved="visual"
        ),
        "question_first": Layout(user=("question", "visual", "instruction", "options", "closing"), moved="question"),
        "instruction_last": Layout(
            user=("visual", "question", "options", "instruction", "closing"), moved="instruction"
        ),
        "instruction_system": Layout(
            system=("instruction",), user=("visual", "question", "options", "closing"), moved="instruction"
        ),
        "no_demos": _demos(),
        "demos_ssp": _demos(system=("demos", "instruction")),
        "demos_esp": _demos(system=("instruction", "demos")),
        "demos_sum": _demos(first=True),
        "demos_eum": _demos(last=True),
    }
)
PLAIN = LAYOUTS["visual_first"]
