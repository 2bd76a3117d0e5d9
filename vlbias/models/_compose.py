"""A prompt made of segments that were processed before, each once: the same tokens without touching a pixel again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vlbias.errors import ModelError
from vlbias.models._batch import PER_TOKEN
from vlbias.models._chat import Dialect, Encoded, Span, token_spans, written
from vlbias.records import Part, Prompt

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Composed:
    """A prompt as tokens, with the segments' own tensors left out: `ids_L` and, by place, their [start, end) tokens.

    `types_L` is the kind of each token as the model's processor tells it, None where it does not.
    """

    ids_L: Ids
    types_L: Ids | None
    spans: tuple[Span, ...]

    @property
    def n_tokens(self) -> int:
        """The length of the prompt in tokens."""
        return len(self.ids_L)


class Mismatch(ModelError):
    """A segment has other tokens inside a prompt than alone, so what is known of it alone cannot be used."""


def compose(processor: Any, prompt: Prompt, style: Dialect, alone: Sequence[Encoded | None]) -> Composed:
    """The tokens of `prompt` from those of its parts; `alone[k]` is part k processed alone, None for a text.

    Raises Mismatch where a segment's tokens are not those that it has alone, ModelError as `encode` does.
    """
    text, chars = written(processor, prompt, style)
    replacements = [pair for part in alone if part is not None for pair in part.replacements]
    expanded, moves = _expanded(processor, text, replacements)
    bos = processor.tokenizer.bos_token
    tokens = processor.tokenizer(
        expanded, add_special_tokens=not (bos and text.startswith(bos)), return_offsets_mapping=True
    )
    ids_L: Ids = np.asarray(tokens["input_ids"], dtype=np.int64)
    spans = token_spans(chars, moves, tokens["offset_mapping"])
    places = {part.place: found for part, found in zip(prompt.parts, alone) if found is not None}
    return Composed(ids_L=ids_L, types_L=_types(ids_L, spans, places), spans=spans)


def alone(part: Part, trial_id: str) -> Prompt:
    """The prompt that holds nothing but one segment."""
    part = Part(place=0, kind=part.kind, frames=part.frames)
    return Prompt(trial_id=trial_id, parts=(part,), options=())


def _expanded(processor: Any, text: str, pairs: Sequence[tuple[str, str]]) -> tuple[str, list[dict[str, Any]]]:
    """The text with placeholders expanded in reading order, and where each went, as a processor tells it."""
    waiting: dict[str, list[str]] = {}
    for kind, replacement in pairs:
        waiting.setdefault(kind, []).append(replacement)
    tokens = {str(getattr(processor, f"{kind}_token")): kind for kind in waiting}
    if not tokens:
        return text, []
    moves: list[dict[str, Any]] = []
    pieces: list[str] = []
    last = shift = 0
    queues = {kind: iter(texts) for kind, texts in waiting.items()}
    for match in re.finditer("|".join(map(re.escape, tokens)), text):
        replacement = next(queues[tokens[match.group()]], "")
        if not replacement:
            raise Mismatch(f"more placeholders of the kind {tokens[match.group()]} than segments")
        start, end = match.span()
        pieces += [text[last:start], replacement]
        moves.append({"span": (start, end), "new_span": (start + shift, start + shift + len(replacement))})
        shift += len(replacement) - (end - start)
        last = end
    if any(True for queue in queues.values() for _ in queue):
        raise Mismatch("fewer placeholders than segments")
    return "".join([*pieces, text[last:]]), moves


def _types(ids_L: Ids, spans: Sequence[Span], places: dict[int | None, Encoded]) -> Ids | None:
    types_L: Ids | None = None
    for place, found in places.items():
        if place is None or len(found.spans) != 1:
            raise Mismatch("a segment alone has no tokens of its own")
        (start, end), (own_start, own_end) = spans[place], found.spans[0]
        own_ids = found.inputs["input_ids"][0, own_start:own_end].numpy()
        if not np.array_equal(ids_L[start:end], own_ids):
            raise Mismatch(f"the segment at place {place} has other tokens than alone")
        for name in PER_TOKEN[2:]:
            own: torch.Tensor | None = found.inputs.get(name)
            if own is not None:
                types_L = np.zeros_like(ids_L) if types_L is None else types_L
                types_L[start:end] = own[0, own_start:own_end].numpy()
    return types_L
