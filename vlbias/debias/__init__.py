"""Corrections: one file, one method, of one of three shapes; the file's name is the name in `--debias` and `--method`.

Contract of a file here: `SHAPE`, one of "before", "inside", "after", and `load(**options)`, which gives a `Reorder`, a
`Patch` or a `Calibration`. An unknown option is a BadInput that names the known ones. A method that cannot apply to a
kind of probe, or lacks what it needs (log-probabilities, attentions, enough probes to fit), raises `NotApplicable`
from `needs` before anything is asked. A correction is fitted on probes that no reported number uses.

A method asks for more than the trial as it stands by giving other prompts. `Write` makes the prompt of a changed
trial (another order, another question) in the run's own style, with the frames of the prompt at hand. The trials of
such prompts carry the factor `MARK`, so that their answers are never taken for plain ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from vlbias.answers import Answer
from vlbias.models import Model
from vlbias.records import Prompt, Trial

Shape = Literal["before", "inside", "after"]
Write: TypeAlias = Callable[[Trial], Prompt]
MARK = "asked_for"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a correction is applied to: the kind of probe, the model's identity and what the answers carry.

    `n_options` is the smallest number of options of a probe, `n_segments` the largest number of segments of a prompt
    where it is known: the cells of an image are many slots of one segment. `n_fit` counts the probes to fit on; None
    when nothing is fitted. `asks_model` says whether the model is at hand and can be asked more; `generates` whether it
    can write; `frames` whether it sees pixels; `answer_is_segment` whether the options name places in the order;
    `options_shown` whether the prompt displays the options (style letters, listed) or only scores them (cloze), and
    `options_named` whether letters or other labels name them there.
    """

    kind: str
    n_slots: int
    n_options: int
    n_segments: int | None = None
    logprobs: bool
    white_box: bool
    family: str | None = None
    n_fit: int | None = None
    asks_model: bool = True
    generates: bool = False
    frames: bool = True
    answer_is_segment: bool = False
    options_shown: bool = True
    options_named: bool = True


class Reorder(Protocol):
    """Before: a trial becomes several trials or prompts, whose answers become one."""

    def needs(self, setting: Setting) -> None:
        """Raises NotApplicable, with what is missing and what would give it."""

    def expand(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The prompts to ask in place of one; the first is the unchanged one where the method asks it."""

    def merge(self, trial: Trial, answers: Sequence[Answer]) -> Answer:
        """One answer of those to the expanded prompts, in their order."""


class Patch(Protocol):
    """Inside: a change of the model that a context manager puts in and takes out, also after an error.

    A patch with a setting that is measured has one more function: `fitted(answers) -> Patch`, of the answers of the
    unpatched model to fitting probes.
    """

    def needs(self, setting: Setting) -> None:
        """Raises NotApplicable, with what is missing and what would give it."""

    def applied(self, model: Model) -> AbstractContextManager[Model]:
        """The model with the patch; outside of the context it is as it was."""


class Correction(Protocol):
    """A fitted calibration: pure, and small enough to be JSON."""

    def __call__(self, answer: Answer) -> Answer:
        """The corrected answer."""

    def to_json(self) -> Mapping[str, Any]:
        """Everything needed to make it again."""


class Calibration(Protocol):
    """After: fitted on answers, applied to other answers.

    One that needs more of an answer than a stored row holds has one more function: `observed(model)`, a context manager
    that gives the model unchanged but for answers that tell it (`Answer.segment_attention_LS`). All its answers are
    then asked under it, those to fit on and those to correct.
    """

    def needs(self, setting: Setting) -> None:
        """Raises NotApplicable, with what is missing and what would give it."""

    def asks(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """What must be asked of each fitting trial besides the trial itself; empty when its stored rows are enough."""

    def fit(self, answers: Sequence[Answer], *, rng: np.random.Generator) -> Correction:
        """The correction fitted on these answers and those to `asks`; they may not be answers that are reported."""

    def from_json(self, saved: Mapping[str, Any]) -> Correction:
        """A correction that was saved."""
