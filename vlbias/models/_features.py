"""Segments as the decoder of a model meets them: processed and encoded once, kept by content within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn

import torch

from vlbias.errors import ModelError
from vlbias.models._batch import PER_TOKEN
from vlbias.models._chat import Encoded
from vlbias.records import Part


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """One segment: how it reads alone, and what its tokens are to the decoder.

    `embeds_LD` are the input embeddings of its span. `deep_VD` are the features that some models add in deeper layers
    (deepstack), for the tokens where `visual_L` is true.
    """

    encoded: Encoded
    embeds_LD: torch.Tensor
    visual_L: torch.Tensor | None = None
    deep_VD: tuple[torch.Tensor, ...] = ()

    @cached_property
    def reading(self) -> Hashable:
        """Equal for segments that read alike: their tokens, grids and placeholders, whatever they show."""
        inputs = sorted(self.encoded.inputs.items())
        told = tuple((name, tuple(value.shape), value.numpy().tobytes()) for name, value in inputs)
        return (told, self.encoded.spans, self.encoded.replacements)

    @property
    def n_bytes(self) -> int:
        """What it takes in memory."""
        held = [self.embeds_LD, *self.deep_VD, *self.encoded.inputs.values()]
        return sum(value.numel() * value.element_size() for value in held)

    def on(self, device: torch.device) -> Features:
        """The same features, kept on a device."""
        visual_L = None if self.visual_L is None else self.visual_L.to(device)
        deep_VD = tuple(value.to(device) for value in self.deep_VD)
        return replace(self, embeds_LD=self.embeds_LD.to(device), visual_L=visual_L, deep_VD=deep_VD)


class _Reached(Exception):
    """The decoder is about to run; holds what it was given."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given


def decoder_of(model: Any) -> Any:
    """The text model inside an image-text-to-text model. Raises ModelError where there is none to be found."""
    for holder in (model.model, model):
        for name in ("language_model", "text_model"):
            found = getattr(holder, name, None)
            if isinstance(found, torch.nn.Module):
                return found
    raise ModelError(f"hf: {type(model).__name__} holds no language_model and no text_model")


@torch.inference_mode()
def decoder_inputs(model: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the decoder would be given for a batch; the decoder itself does not run."""

    def stop(_: Any, __: Any, given: dict[str, Any]) -> NoReturn:
        raise _Reached(given)

    handle = decoder_of(model).register_forward_pre_hook(stop, with_kwargs=True)
    try:
        model(**batch, use_cache=False)
    except _Reached as reached:
        return reached.given
    finally:
        handle.remove()
    raise ModelError(f"hf: {type(model).__name__} does not call its text model")


def features(model: Any, batch: Mapping[str, Any], segments: Sequence[Encoded]) -> list[Features]:
    """The features of segments of one shape, from the batch of which each is a row; the pixels are let go."""
    given = decoder_inputs(model, batch)
    embeds_BLD = given.get("inputs_embeds")
    if embeds_BLD is None:
        raise ModelError(f"hf: {type(model).__name__} gives its text model no input embeddings")
    if len(embeds_BLD) != len(segments):
        raise ModelError(
            f"hf: {type(model).__name__} gives its text model {len(embeds_BLD)} rows for {len(segments)} segments"
        )
    visual_BL, deep = given.get("visual_pos_masks"), given.get("deepstack_visual_embeds")
    if visual_BL is None or deep is None:
        return [_cut(embeds_LD, segment) for embeds_LD, segment in zip(embeds_BLD, segments)]
    # Deep features stand one after the other, row by row; a segment has no visual token outside of its span.
    counts = visual_BL.sum(-1).tolist()
    deep_BVD = zip(*(layer.split(counts) for layer in deep))
    return [
        _cut(embeds_LD, segment, visual_L=visual_L, deep_VD=deep_VD)
        for embeds_LD, segment, visual_L, deep_VD in zip(embeds_BLD, segments, visual_BL, deep_BVD, strict=True)
    ]


def is_small(name: str, value: torch.Tensor) -> bool:
    """Whether an input of a segment tells how it reads, and not what it shows."""
    return name in PER_TOKEN or value.numel() <= 64


def _cut(
    embeds_LD: torch.Tensor,
    segment: Encoded,
    *,
    visual_L: torch.Tensor | None = None,
    deep_VD: Sequence[torch.Tensor] = (),
) -> Features:
    # Copies, so that no segment holds the memory of its whole batch.
    ((start, end),) = segment.spans
    kept = {name: value for name, value in segment.inputs.items() if is_small(name, value)}
    return Features(
        encoded=Encoded(inputs=kept, spans=segment.spans, replacements=segment.replacements),
        embeds_LD=embeds_LD[start:end].clone(),
        visual_L=None if visual_L is None else visual_L[start:end].clone(),
        deep_VD=tuple(layer.clone() for layer in deep_VD),
    )


class FeatureCache:
    """Features by content, at most `limit_bytes` of them on one device; what was used longest ago goes first."""

    def __init__(self, limit_bytes: int, *, on: torch.device) -> None:
        self.limit_bytes, self.device = limit_bytes, on
        self.n_bytes = self.n_made = 0
        self._held: OrderedDict[Hashable, Features] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held

    def find(self, key: Hashable) -> Features | None:
        """The features of `key`, now the last to go; None where they are not held."""
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def put(self, key: Hashable, made: Features) -> Features:
        """Features that were made for `key`, as they are kept. What is larger than the limit is not kept."""
        made = made.on(self.device)
        self.n_made += 1
        if made.n_bytes <= self.limit_bytes:
            self._held[key] = made
            self.n_bytes += made.n_bytes
        while self.n_bytes > self.limit_bytes:
            _, gone = self._held.popitem(last=False)
            self.n_bytes -= gone.n_bytes
        return made


def cache(limit_gb: float, *, on: torch.device) -> FeatureCache:
    """An empty cache of at most `limit_gb` GiB."""
    return FeatureCache(round(limit_gb * (1 << 30)), on=on)


def content_key(part: Part) -> Hashable:
    """Equal for segments that look alike to a model: their pixels, their kind, and their own times."""
    frames = part.frames
    if frames is None:
        return None
    times = tuple(round(t - frames.timestamps_s[0], 6) for t in frames.timestamps_s)
    return (part.kind == "image", frames.sha256, frames.frames_THWC.shape, times)
