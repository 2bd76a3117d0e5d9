"""Finds what prompts have in common from the identity of their segments, and proves at load that sharing is exact."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vlbias.errors import ModelError
from vlbias.models._chat import Dialect, Encoded, encode
from vlbias.models._compose import Composed, Mismatch, alone, compose
from vlbias.models._encoder import Encoder
from vlbias.models._features import FeatureCache, Features, content_key, decoder_of
from vlbias.models._options import Tokens, log_probabilities
from vlbias.models._prepared import Prepared
from vlbias.models._shared import Layout, Positions, Question, Walker
from vlbias.records import Fault, Part, Prompt

Segments = Mapping[Hashable, Features | Fault]
MOST_LAYOUTS = 64
PREPARED_BYTES = 1 << 29
EXACT = ("sdpa", "eager")
# A token's attention spans its whole pack, so a pack is no larger than keeps the device busy.
PACK_TOKENS: dict[str, int] = {"cpu": 256, "cuda": 4096}


def why_not(model: Any) -> str | None:
    """Why pieces of prompts cannot be shared in this model, told from its config; None where they can be.

    Sharing is exact where a token sees all tokens before it and none after it, in every layer.
    """
    text = model.config.get_text_config()
    layers = set(getattr(text, "layer_types", None) or ())
    if layers - {"full_attention"}:
        return f"its text model has layers of the kind {', '.join(sorted(layers - {'full_attention'}))}"
    if not layers and getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True):
        return "its text model looks through a sliding window"
    if getattr(text, "cross_attention_layers", None) or getattr(model.config, "is_encoder_decoder", False):
        return "its text model looks at images by cross-attention"
    if getattr(model, "_is_stateful", False):
        return "its text model keeps a recurrent state"
    if "token_type_ids" in inspect.signature(model.forward).parameters:
        return "tokens of one image see each other in both directions"
    return None


def patched(model: Any) -> str | None:
    """Why the model as it is now may not be shared: another engine of attention, or hooks and patches on its text."""
    engine = model.config.get_text_config()._attn_implementation
    if engine not in EXACT:
        return f"the attention engine {engine} takes no mask of our own"
    for module in decoder_of(model).modules():
        if module._forward_pre_hooks or module._forward_hooks or "forward" in module.__dict__:
            return "hooks or patches are on its text model"
    return None


class Sharing:
    """Prompts to log-probabilities with every segment encoded once and every common piece prefilled once.

    `processing` is held by whoever uses the model's processor, since `prepare` does so from another thread; the caller
    of `question` holds it, the caller of `encode` does not.
    """

    def __init__(
        self,
        *,
        model: Any,
        processor: Any,
        style: Dialect,
        encoder: Encoder,
        features: FeatureCache,
        processing: threading.Lock,
    ) -> None:
        self.features, self.encoder = features, encoder
        self._processing = processing
        # On a CPU the asking thread needs the cores that preparing would take.
        self.prepared = Prepared(0 if model.device.type == "cpu" else PREPARED_BYTES)
        self.walker = Walker(model, pack_tokens=PACK_TOKENS.get(model.device.type, PACK_TOKENS["cuda"]))
        self._model, self._processor, self._style = model, processor, style
        self._underway: set[Hashable] = set()
        self._checked: dict[Hashable, bool] = {}
        self._layouts: dict[Hashable, Layout] = {}

    def forget(self) -> None:
        """Drops all kept segments, as before the first prompt."""
        self.features = FeatureCache(self.features.limit_bytes, on=self.features.device)

    def prepare(self, prompts: Sequence[Prompt]) -> None:
        """Processes segments that are not encoded yet, as many as `prepared` holds; the rest waits for its turn."""
        if self._model.config.get_text_config()._attn_implementation not in EXACT:
            return
        for prompt in prompts:
            for part in prompt.parts:
                key = content_key(part)
                if part.frames is None or key in self.features or not self.prepared.wants(key):
                    continue
                try:
                    with self._processing:
                        # What the asking thread took meanwhile would be processed twice and stay here for good.
                        if key not in self._underway and key not in self.features:
                            self.prepared.put(key, self.processed(part, prompt.trial_id))
                except ModelError:
                    continue  # it is raised again, and told, when the prompt itself is asked

    def encode(self, prompts: Sequence[Prompt]) -> dict[Hashable, Features | Fault]:
        """The segments of prompts by content: those that are kept, and new ones, encoded together by their shape.

        What is given back holds all of them, however small the cache is, and so does whoever asks these prompts. One
        that cannot be processed is left out; `question` raises why.
        """
        try:
            return self._gathered(prompts)
        finally:
            self._underway.clear()

    def question(self, prompt: Prompt, variants: tuple[tuple[Tokens, ...], ...], encoded: Segments) -> Question | Fault:
        """A prompt made of segments that `encode` gave, or the fault of one that does not fit in memory.

        Raises Mismatch where its tokens are not those of the whole prompt.
        """
        keys = [content_key(part) for part in prompt.parts]
        segments: list[Features | None] = []
        for part, key in zip(prompt.parts, keys):
            segment = self._segment(part, key, prompt.trial_id, encoded)
            if isinstance(segment, Fault):
                return segment
            segments.append(segment)
        layout = self._layout(prompt, segments)
        self._check(prompt, layout.composed)
        placed = {p.place: (key, s) for p, key, s in zip(prompt.parts, keys, segments) if p.place is not None}
        in_order = [placed[place] for place in range(len(placed))]
        return Question(
            layout=layout,
            segments=tuple(segment for _, segment in in_order),
            keys=tuple(key for key, _ in in_order),
            variants=variants,
        )

    def logprobs(self, questions: Sequence[Question]) -> list[tuple[float, ...]]:
        """By question, the log-probability of each of its options."""
        sums = self.walker.walk(questions).sums
        return [
            log_probabilities(
                [[sums[number, k, v] for v in range(len(option))] for k, option in enumerate(question.variants)],
                question.variants,
            )
            for number, question in enumerate(questions)
        ]

    def processed(self, part: Part, trial_id: str) -> Encoded:
        """A segment as the processor gives it alone. Raises ModelError for one that it does not take."""
        return encode(self._processor, alone(part, trial_id), self._style)

    def _gathered(self, prompts: Sequence[Prompt]) -> dict[Hashable, Features | Fault]:
        found: dict[Hashable, Features | Fault] = {}
        waiting: dict[Hashable, Encoded] = {}
        n_waiting = 0
        for key, part, trial_id in _distinct(prompts):
            kept = self.features.find(key)
            if kept is not None:
                found[key] = kept
                continue
            try:
                segment = self._taken(part, key, trial_id)
            except ModelError:
                continue  # it is raised again, and told, when the prompt itself is asked
            if waiting and n_waiting + segment.n_tokens > self.encoder.most_waiting:
                found.update(self._encoded(waiting))
                waiting, n_waiting = {}, 0
            waiting[key] = segment
            n_waiting += segment.n_tokens
        return {**found, **self._encoded(waiting)}

    def _segment(self, part: Part, key: Hashable, trial_id: str, encoded: Segments) -> Features | Fault | None:
        if part.frames is None or key in encoded:
            return encoded.get(key)
        return self._encoded({key: self.processed(part, trial_id)})[key]

    def _taken(self, part: Part, key: Hashable, trial_id: str) -> Encoded:
        with self._processing:
            self._underway.add(key)
            return self.prepared.take(key) or self.processed(part, trial_id)

    def _encoded(self, waiting: Mapping[Hashable, Encoded]) -> dict[Hashable, Features | Fault]:
        made = self.encoder.features(list(waiting.values()))
        return {key: x if isinstance(x, Fault) else self.features.put(key, x) for key, x in zip(waiting, made)}

    def _layout(self, prompt: Prompt, segments: Sequence[Features | None]) -> Layout:
        """The tokens of a prompt and their positions; those of prompts that read alike are worked out once."""
        read = (segment.reading if segment else None for segment in segments)
        key = (prompt.system, *((p.turn, p.kind, p.place, p.text, r) for p, r in zip(prompt.parts, read)))
        if key not in self._layouts:
            found = compose(self._processor, prompt, self._style, [s.encoded if s else None for s in segments])
            placed = {p.place: s.encoded for p, s in zip(prompt.parts, segments) if s}
            positions_RL = self._places(found, [placed[place] for place in sorted(placed, key=_number)])
            if len(self._layouts) >= MOST_LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = Layout(composed=found, positions_RL=positions_RL)
        return self._layouts[key]

    def _check(self, prompt: Prompt, found: Composed) -> None:
        """The first prompt of every shape is also processed whole; its tokens must be the same."""
        shape = tuple((p.kind, p.frames.frames_THWC.shape if p.frames else None) for p in prompt.parts)
        if shape not in self._checked:
            whole = encode(self._processor, prompt, self._style)
            ids = whole.inputs["input_ids"][0].numpy()
            self._checked[shape] = np.array_equal(ids, found.ids_L) and whole.spans == found.spans
        if not self._checked[shape]:
            raise Mismatch(f"hf: {prompt.trial_id}: a segment is processed otherwise among others than alone")

    def _places(self, found: Composed, segments: Sequence[Encoded]) -> Positions:
        inner = self._model.model
        if not hasattr(inner, "get_rope_index"):
            return np.arange(found.n_tokens)[None]
        names = set(inspect.signature(type(inner).get_rope_index).parameters) - {"input_ids", "attention_mask"}
        given = {
            name: torch.cat(values)
            for name in sorted(names - {"mm_token_type_ids"})
            if (values := [s.inputs[name] for s in segments if name in s.inputs])
        }
        if not given or found.types_L is None:
            return np.broadcast_to(np.arange(found.n_tokens), (3, found.n_tokens))
        ids_1L, types_1L = (torch.from_numpy(x)[None] for x in (found.ids_L, found.types_L))
        places, _ = inner.get_rope_index(ids_1L, types_1L, attention_mask=torch.ones_like(ids_1L), **given)
        return np.asarray(places[:, 0].numpy())


def _distinct(prompts: Sequence[Prompt]) -> Iterator[tuple[Hashable, Part, str]]:
    """Every segment of prompts once, by content, with the trial that shows it first."""
    seen: set[Hashable] = set()
    for prompt in prompts:
        for part in prompt.parts:
            key = content_key(part)
            if part.frames is not None and key not in seen:
                seen.add(key)
                yield key, part, prompt.trial_id


def _number(place: int | None) -> int:
    assert place is not None  # a part with frames has a place
    return place
