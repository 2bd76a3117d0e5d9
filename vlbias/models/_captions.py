"""What is asked of a model that looks at one image and takes captions: its image, and words that can be captions."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from vlbias.records import Fault, Prompt

NO_CAPTIONS = frozenset({"yes", "no", "true", "false", "it does", "it does not", "it fits", "it does not fit"})


def image(prompt: Prompt) -> Image.Image | None:
    """The one frame of the one image or clip of a prompt; None where there is not one."""
    shown = [part.frames for part in prompt.parts if part.frames is not None]
    if len(shown) != 1 or len(shown[0].frames_THWC) != 1:
        return None
    return Image.fromarray(shown[0].frames_THWC[0])


def options(prompt: Prompt) -> tuple[str, ...]:
    """The options in displayed order, as words and not as letters."""
    return prompt.trial.options if prompt.trial else prompt.options


def no_caption(words: Sequence[str], *, adapter: str, remedy: str, letters: bool) -> Fault | None:
    """The fault of options that describe no image; None where all can be captions.

    `letters` is whether a caption needs one, `remedy` what to ask instead.
    """
    odd = [one for one in words if one.lower() in NO_CAPTIONS or (letters and not any(c.isalpha() for c in one))]
    return Fault(kind="unfit", reason=f"{adapter}: {odd[0]!r} is no caption; {remedy}") if odd else None
