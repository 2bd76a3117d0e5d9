"""Loads a processor and weights from the Hugging Face layout, and refuses unsafe or unsuitable ones before any work."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, PretrainedConfig
from transformers.utils import logging as transformers_logging

from vlbias.disk import sha256_of_file
from vlbias.errors import ModelError, nearest
from vlbias.records import Identity

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
COMMIT = re.compile(r"[0-9a-f]{40}")
DTYPES = ("auto", "float32", "float16", "bfloat16", "float64")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where weights and processor come from; `adapter` is who asks, as messages name it."""

    pretrained: str
    revision: str | None
    trust_remote_code: bool
    local_files_only: bool
    adapter: str = "hf"

    def __str__(self) -> str:
        return f"{self.adapter}: {self.pretrained}"

    @property
    def options(self) -> dict[str, Any]:
        """The keywords of every `from_pretrained`."""
        return {
            "revision": self.revision or "main",
            "trust_remote_code": self.trust_remote_code,
            "local_files_only": self.local_files_only,
        }


def check(
    unknown: Mapping[str, object],
    allowed: Mapping[str, tuple[str, Sequence[str]]],
    *,
    known: Iterable[str],
    adapter: str = "hf",
) -> None:
    """Refuses unknown arguments and values that an argument does not have. Raises ModelError with the nearest one."""
    if unknown:
        names = [name for name in known if name != "unknown"]
        raise ModelError(f"{adapter}: unknown argument {min(unknown)!r}; {nearest(min(unknown), names)}")
    for name, (value, values) in allowed.items():
        if value not in values:
            raise ModelError(f"{adapter}: {name}={value!r}; {nearest(str(value), values)}")


def config(
    source: Source,
    *,
    kinds: Sequence[Any] = (AutoModelForImageTextToText,),
    what: str = "take images and text; give a model of the image-text-to-text kind",
) -> Any:
    """The checked config of `source`. Raises ModelError before any weight is read.

    `kinds` are the Auto classes that may load it, `what` the words for what other models do not.
    """
    folder = Path(source.pretrained)
    if folder.is_dir():
        _check_folder(folder, source.adapter)
    elif not HUB_ID.fullmatch(source.pretrained):
        raise ModelError(
            f"{source.adapter}: {source.pretrained!r} is no folder and cannot be a hub id; "
            "give a model folder or owner/name"
        )
    raw = _raw(source)
    if raw.get("auto_map"):
        _check_remote_code(source, is_folder=folder.is_dir())
    try:
        found = AutoConfig.from_pretrained(source.pretrained, **source.options)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{source}: config cannot be read: {error}") from error
    if not raw.get("auto_map") and not any(type(found) in kind._model_mapping for kind in kinds):
        raise ModelError(f"{source} is a {found.model_type!r} model, which does not {what}")
    return found


def processor(source: Source) -> Any:
    """The processor of `source`; one without a chat template or a fast tokenizer is refused."""
    try:
        found = AutoProcessor.from_pretrained(source.pretrained, **source.options)
    except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
        raise ModelError(f"{source}: the processor cannot be loaded: {error}") from error
    tokenizer = getattr(found, "tokenizer", None)
    if tokenizer is None or not tokenizer.is_fast:
        raise ModelError(f"{source}: needs a processor with a fast tokenizer, found {type(found).__name__}")
    if not (getattr(found, "chat_template", None) or tokenizer.chat_template):
        raise ModelError(f"{source}: the processor has no chat template; use an instruction-tuned model")
    return found


def weights(
    source: Source, *, dtype: str, device: torch.device, attention: str | None, kind: Any = AutoModelForImageTextToText
) -> Any:
    """The model in eval mode on `device`, without gradients; only safetensors are read."""
    options = dict(source.options) | ({"attn_implementation": attention} if attention else {})
    try:
        with _bars_on_terminals_only():
            model = kind.from_pretrained(
                source.pretrained,
                dtype=dtype if dtype == "auto" else getattr(torch, dtype),
                use_safetensors=True,
                **options,
            )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(f"{source}: the weights cannot be loaded (safetensors only): {error}") from error
    return model.to(device).eval().requires_grad_(False)


@contextmanager
def _bars_on_terminals_only() -> Iterator[None]:
    """A log file is no place for transformers' progress bars; the setting is put back."""
    if sys.stderr.isatty():
        yield
        return
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def weights_sha256(pretrained: str) -> str | None:
    """The sha256 over the bytes of a folder's safetensors files in the order of their names; None for a hub id."""
    folder = Path(pretrained)
    if not folder.is_dir():
        return None
    return sha256_of_file(*sorted(folder.glob("*.safetensors")))


def identity(model: Any, found: Any, source: Source) -> Identity:
    """What the loaded weights of `source` are; `found` is their config."""
    return Identity(
        adapter=source.adapter,
        name=source.pretrained,
        revision=getattr(found, "_commit_hash", None) or source.revision,
        weights_sha256=weights_sha256(source.pretrained),
        family=found.model_type,
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device),
        engine="transformers",
        engine_version=transformers.__version__,
        n_parameters=model.num_parameters(),
    )


def context_window(found: Any) -> int | None:
    """The number of tokens that a config says its text model takes; None where it does not say."""
    value = getattr(found.get_text_config(), "max_position_embeddings", None)
    return int(value) if value else None


def _check_folder(folder: Path, adapter: str) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{adapter}: {folder} is not a model folder: it has no config.json")
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(p.name for p in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")))
        found = f"found pickled {', '.join(pickled)}; convert them" if pickled else "found no weights"
        raise ModelError(f"{adapter}: {folder}: safetensors only; {found}")


def _raw(source: Source) -> Mapping[str, Any]:
    options = {"revision": source.options["revision"], "local_files_only": source.local_files_only}
    try:
        raw, _ = PretrainedConfig.get_config_dict(source.pretrained, **options)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{source.adapter}: {source.pretrained!r} is no model folder here and cannot be reached on the hub "
            f"(offline, or a name that does not exist): {error}"
        ) from error
    return dict(raw)


def _check_remote_code(source: Source, *, is_folder: bool) -> None:
    if not source.trust_remote_code:
        raise ModelError(
            f"{source} runs code of its own (auto_map in its config); read that code, then give "
            "trust_remote_code=true and revision=<commit>"
        )
    if not is_folder and not COMMIT.fullmatch(source.revision or ""):
        raise ModelError(
            f"{source}: trust_remote_code needs a pinned revision of 40 hex digits, found {source.revision!r}"
        )
