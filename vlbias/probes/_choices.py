"""What every suite says of itself: its name and rights, its one source, how prompts are worded, how clips are seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Pixels = Annotated[int, Field(ge=1, le=8192)]
Seed = Annotated[int, Field(ge=0)]
Given = TypeVar("Given")
LOOK = "Look at what is shown and answer the question below. Reply with the {label} only."


class Strict(BaseModel):
    """A model that refuses unknown keys, converts no types and does not change once it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def need_once(key: str, values: Sequence[str | tuple[int, int]]) -> None:
    """ValueError where one of the values of a list stands twice."""
    if len(set(values)) != len(values):
        raise ValueError(f"{key}: one stands twice")


class PromptChoice(Strict):
    """How a trial is worded: options by letters, listed without, or as texts to complete (cloze), and what is around.

    None leaves the words to `prompts`; an empty text means that nothing is said.
    """

    style: Literal["letters", "listed", "cloze"] = "letters"
    instruction: str | None = None
    closing: str | None = None
    system: str | None = None


class FramesChoice(Strict):
    """How many frames a segment gives, at which times, and their [width, height] in pixels (None: as they are)."""

    num_frames: Annotated[int, Field(ge=1, le=1024)] = 8
    sampling: Literal["midpoints", "linspace"] = "linspace"
    frame_size: tuple[Pixels, Pixels] | None = None


class SuiteHead(Strict):
    """The head of every suite; each kind adds its own `kind`, keys and `source`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    version: int | str
    description: str
    licence: str
    prompt: PromptChoice = PromptChoice()


class ImageSuite(SuiteHead):
    """The head of a suite whose evidence is images; without words of its own it does not say that they are a video."""

    prompt: PromptChoice = PromptChoice(instruction=LOOK)
    frames: FramesChoice = FramesChoice(num_frames=1, sampling="midpoints")


class QuestionSuite(ImageSuite):
    """The head of a suite in which every question has an image of its own, so that there is one slot."""

    @property
    def segments(self) -> int:
        """The one slot."""
        return 1


class OneSource(Strict, Generic[Given]):
    """Where the probes come from: exactly one of the keys that a kind lists."""

    @property
    def given(self) -> Given:
        """The one that is given."""
        found: Given = next(value for _, value in self if value is not None)
        return found

    @model_validator(mode="after")
    def _one(self) -> OneSource[Given]:
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"found {' and '.join(given) or 'no source'}; give exactly one of {known}")
        return self
