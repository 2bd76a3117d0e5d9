"""What a suite chooses for every one of its trials: how the prompt is worded and how clips become frames."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Pixels = Annotated[int, Field(ge=1, le=8192)]


class Strict(BaseModel):
    """A model that refuses unknown keys, converts no types and does not change once it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class PromptChoice(Strict):
    """How a trial is worded: options by their letters or as texts to complete (cloze), and the words around them.

    None leaves the words to `prompts`; an empty text means that nothing is said.
    """

    style: Literal["letters", "cloze"] = "letters"
    instruction: str | None = None
    closing: str | None = None
    system: str | None = None


class FramesChoice(Strict):
    """How many frames a segment gives, at which times, and their [width, height] in pixels (None: as they are)."""

    num_frames: Annotated[int, Field(ge=1, le=1024)] = 8
    sampling: Literal["midpoints", "linspace"] = "linspace"
    frame_size: tuple[Pixels, Pixels] | None = None
