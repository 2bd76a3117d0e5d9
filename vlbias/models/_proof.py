"""Proves at load that sharing is exact in this very model: a few small prompts are asked both ways."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vlbias.errors import ModelError
from vlbias.models._separate import Options
from vlbias.models._sharing import Sharing, why_not
from vlbias.models._verified import TOLERANCE
from vlbias.records import Fault, Frames, Part, Prompt

Apart = Callable[[Sequence[Prompt], Sequence[Options]], list[tuple[float, ...] | Fault]]
ORDERS = ((0, 1, 2), (1, 0, 2), (2, 1, 0))
WORDS = ("What is shown?", "What is shown, and is it here?")
SIDE_PX, N_FRAMES, N_OPTIONS = 112, 4, 12


def proven(model: Any, sharing: Sharing, apart: Apart) -> tuple[Sharing | None, str]:
    """The sharing where a trial shows that it is exact, and in words what is shared or why nothing is."""
    why = unproven(model, sharing, apart)
    return (None, f"off: {why}") if why else (sharing, "segments, prefixes and suffixes")


def unproven(model: Any, sharing: Sharing, apart: Apart) -> str | None:
    """Why prompts may not share anything in this model, or None when a trial showed that they may.

    Three clips stand in three orders under two questions, so every clip has other neighbours and another place in each.
    An encoder that looks beyond a clip, a prefix that is not causal and a false position all change an answer.
    """
    reason = why_not(model)
    if reason:
        return reason
    prompts = [_prompt(order, words) for order in ORDERS for words in WORDS]
    options = _options(model.config.get_text_config().vocab_size)
    try:
        shared = sharing.logprobs([sharing.question(prompt, options) for prompt in prompts])
        alone = apart(prompts, [options] * len(prompts))
    except (ModelError, TypeError, ValueError, RuntimeError, AttributeError, KeyError) as error:
        # Foreign code of any model stands behind this call; what it cannot do, it is not asked to do.
        return f"a trial of it failed: {type(error).__name__}: {str(error)[:200]}"
    if any(isinstance(found, Fault) for found in alone):
        return "a trial of it did not fit in memory"
    expected = np.array([found for found in alone if not isinstance(found, Fault)])
    worst = float(np.abs(np.array(shared) - expected).max())
    allowed = TOLERANCE[str(model.dtype).removeprefix("torch.")] * float(np.abs(expected).max())
    if not worst <= allowed:
        return f"a trial of it changed a log-probability by {worst:.2g}; its encoder or its text model looks further"
    return None


def _prompt(order: Sequence[int], words: str) -> Prompt:
    clips = [Part(place=place, kind="clip", frames=_clip(seed)) for place, seed in enumerate(order)]
    return Prompt(trial_id="proof", parts=(*clips, Part(text=words)), options=())


def _clip(seed: int) -> Frames:
    shape = (N_FRAMES, SIDE_PX, SIDE_PX, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    times = tuple(k / 2 for k in range(N_FRAMES))
    sha256 = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Frames(
        frames_THWC=pixels, timestamps_s=times, asked_s=times, sha256=sha256, decoder="proof", decoder_version="1"
    )


def _options(n_words: int) -> Options:
    tokens = [int(token) for token in np.linspace(0, n_words - 1, N_OPTIONS)]
    return (*(((token,),) for token in tokens), ((tokens[1], tokens[2], tokens[3]),))
