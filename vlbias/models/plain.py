"""A plain decoder with a position encoding of choice, asked and scored as any Hugging Face model."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlbias.errors import ModelError, nearest
from vlbias.models import hf
from vlbias.models._plain_decoder import FAMILY as FAMILY
from vlbias.models._plain_decoder import PlainConfig as PlainConfig
from vlbias.models._plain_decoder import PlainDecoder as PlainDecoder
from vlbias.models.hf import HFModel
from vlbias.records import Capabilities, Prompt


def load(
    *,
    pretrained: str,
    dtype: str = "float32",
    device: str | None = None,
    threads: int | None = None,
    **unknown: object,
) -> HFModel:
    """A plain decoder from a folder, on CUDA where there is one.

    `dtype=auto` takes the type of the saved weights. `threads` sets the CPU threads of torch for the whole process.
    Every prompt is asked apart: the decoder keeps nothing that prompts could share. Raises ModelError, before any
    weight is read, for a folder that holds no plain decoder and for unknown arguments.
    """
    if unknown:
        known = [name for name in inspect.signature(load).parameters if name != "unknown"]
        raise ModelError(f"plain: unknown argument {min(unknown)!r}; {nearest(min(unknown), known)}")
    _check(Path(pretrained))
    model = hf.load(
        pretrained=pretrained, dtype=dtype, device=device, threads=threads, local_files_only=True, sharing="off"
    )
    encoding = model.model.config.text_config.encoding
    # Words one by one would need a cache, which a decoder this small goes without.
    model.capabilities = Capabilities(score=True, generate=False, nll=True)
    model.identity = replace(
        model.identity, adapter="plain", position_rule=encoding, sharing="off: the decoder has no cache"
    )
    return model


def tokens(prompts: Sequence[Prompt], **model_args: Any) -> list[int]:
    """The length of every prompt in tokens, from the processor alone: no weights are read."""
    _check(Path(model_args["pretrained"]))
    return hf.tokens(prompts, pretrained=model_args["pretrained"], local_files_only=True)


def _check(folder: Path) -> None:
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"plain: {folder}: its config.json cannot be read: {error}; give a model folder") from error
    if kind != FAMILY:
        raise ModelError(f"plain: {folder} holds a model of type {kind!r}, not {FAMILY!r}; try --model hf")
