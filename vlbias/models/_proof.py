"""Proves at load that sharing is exact in this very model: a few small prompts are asked both ways."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vlbias.errors import ModelError
from vlbias.models._separate import Options
from vlbias.models._sharing import Sharing, why_not
from vlbias.models._verified import TOLERANCE
from vlbias.records import Fault, Frames, Part, Prompt

Apart = Callable[[Sequence[Prompt], Sequence[Options]], list[tuple[float, ...] | Fault]]
ORDERS = ((0, 1, 2), (1, 0, 2), (2, 1, 0))
WORDS = ("What is shown?", "What is shown, and is it here?")
SIDE_PX, N_FRAMES, N_OPTIONS, N_TOGETHER = 112, 4, 12, 3
# What code of any model may raise on a prompt that it cannot take.
FOREIGN = (ModelError, TypeError, ValueError, RuntimeError, AttributeError, KeyError)


def proven(model: Any, sharing: Sharing, apart: Apart) -> tuple[Sharing | None, str]:
    """The sharing where a trial shows that it is exact, and in words what is shared or why nothing is."""
    why = unproven(model, sharing, apart)
    if why:
        return None, f"off: {why}"
    differ = unbatched(model, sharing)
    sharing.encoder.together = differ is None
    one_by_one = f" (one by one: {differ})" if differ else ""
    return sharing, f"segments{one_by_one}, prefixes and suffixes"


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
        encoded = sharing.encode(prompts)
        questions = [sharing.question(prompt, options, encoded) for prompt in prompts]
        shared = sharing.logprobs([question for question in questions if not isinstance(question, Fault)])
        alone = apart(prompts, [options] * len(prompts))
    except FOREIGN as error:
        # Foreign code of any model stands behind this call; what it cannot do, it is not asked to do.
        return f"a trial of it failed: {type(error).__name__}: {str(error)[:200]}"
    if any(isinstance(found, Fault) for found in (*questions, *alone)):
        return "a trial of it did not fit in memory"
    expected = np.array([found for found in alone if not isinstance(found, Fault)])
    worst = float(np.abs(np.array(shared) - expected).max())
    allowed = TOLERANCE[_dtype(model)] * float(np.abs(expected).max())
    if not worst <= allowed:
        return f"a trial of it changed a log-probability by {worst:.2g}; its encoder or its text model looks further"
    return None


def unbatched(model: Any, sharing: Sharing) -> str | None:
    """Why segments may not be encoded together in this model, or None when a trial showed that they may.

    Three clips unlike each other are encoded in one call and one by one. A batch that mixes them up, or an encoder that
    looks beyond its row, gives other features.
    """
    try:
        clips = [Part(place=0, kind="clip", frames=_tinted(seed)) for seed in range(N_TOGETHER)]
        segments = [sharing.processed(clip, "proof") for clip in clips]
        worst, allowed = sharing.encoder.difference(segments, tolerance=TOLERANCE[_dtype(model)])
    except FOREIGN as error:
        return f"a batch of them failed: {type(error).__name__}: {str(error)[:200]}"
    if not worst <= allowed:
        return f"a batch of them changed a feature by {worst:.2g}, at most {allowed:.2g} is rounding"
    return None


def _prompt(order: Sequence[int], words: str) -> Prompt:
    clips = [Part(place=place, kind="clip", frames=_clip(seed)) for place, seed in enumerate(order)]
    return Prompt(trial_id="proof", parts=(*clips, Part(text=words)), options=())


def _dtype(model: Any) -> str:
    return str(model.dtype).removeprefix("torch.")


def _clip(seed: int) -> Frames:
    return _frames(_noise_THWC(seed))


def _tinted(seed: int) -> Frames:
    """Noise in one colour only: far from that of another colour to every encoder."""
    return _frames(_noise_THWC(seed) * np.eye(3, dtype=np.uint8)[seed])


def _noise_THWC(seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (N_FRAMES, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def _frames(pixels: npt.NDArray[np.uint8]) -> Frames:
    times = tuple(k / 2 for k in range(N_FRAMES))
    sha256 = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Frames(
        frames_THWC=pixels, timestamps_s=times, asked_s=times, sha256=sha256, decoder="proof", decoder_version="1"
    )


def _options(n_words: int) -> Options:
    tokens = [int(token) for token in np.linspace(0, n_words - 1, N_OPTIONS)]
    return (*(((token,),) for token in tokens), ((tokens[1], tokens[2], tokens[3]),))
