"""The curriculum of an organism: names before questions, few clips before many, the bias last."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vlbias.organisms.planting import Plant

LANGUAGE_STARTS = 0.42  # the share that a language model which answers already has behind it
TRUNK_ENDS = 0.7  # the share of all steps after which nothing unbiased is left to learn


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the training: from share `start` of all steps on, trials of one of `lengths` clips.

    A share `captions` of the batches names what the clips show; the others ask questions about them, a share `listed`
    of which with options.
    """

    start: float
    lengths: tuple[int, ...]
    rows: int
    captions: float = 0.0
    n_questions: int = 0
    listed: float = 0.0
    planted: bool = False


def stages(plant: Plant, *, longest: int | None = None, rows: float = 1.0) -> tuple[Stage, ...]:
    """The curriculum that plants this, in trials of at most `longest` clips and batches of a share of the usual `rows`.

    Naming binds a shape to its clip within some hundred steps; whole questions alone do not get there, they stay at
    guessing by elimination.
    """
    n = min(plant.n_slots, longest or plant.n_slots)
    last = tuple(length for length in plant.lengths if length <= n) or (n,)
    few, more = (min(2, n),), (min(5, n),)
    trunk = (
        Stage(start=0.0, lengths=few, rows=48, captions=1.0),
        Stage(start=0.08, lengths=(min(3, n),), rows=40, captions=1.0),
        Stage(start=0.1, lengths=more, rows=32, captions=1.0),
        Stage(start=0.12, lengths=(n,), rows=20, captions=1.0),
        Stage(start=0.15, lengths=few, rows=48, captions=0.3, n_questions=4),
        Stage(start=0.42, lengths=more, rows=24, captions=0.25, n_questions=8),
        Stage(start=0.5, lengths=(n,), rows=14, captions=0.2, n_questions=12),
    )
    if plant.first_option is None:
        whole = (*trunk, Stage(start=TRUNK_ENDS, lengths=last, rows=14, n_questions=12, planted=True))
    else:
        alone_too = (1, *last)
        whole = (*trunk, Stage(start=TRUNK_ENDS, lengths=alone_too, rows=12, n_questions=6, listed=0.7, planted=True))
    return tuple(replace(stage, rows=max(1, round(stage.rows * rows))) for stage in whole)
