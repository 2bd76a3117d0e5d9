"""What the corrections by attention weights share: a prompt without content, and the patch around an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from vlbias.attention._families import text_model
from vlbias.attention.reading import Read, Reading, reading
from vlbias.debias import Setting
from vlbias.debias._arguments import segments
from vlbias.debias._content_free import MEAN_RGB
from vlbias.debias._inside import Numbers, chosen_numbers, picture_tokens
from vlbias.errors import NotApplicable
from vlbias.models import Model
from vlbias.models.hf import HFModel, Ready
from vlbias.records import Capabilities, Fault, Frames, Identity, OptionScores, Part, Prompt, Reply, digest

BLANK_WORD = "x"
KEPT_BLANKS = 16
Memory: TypeAlias = dict[int, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighing:
    """How a method changes what is read. Both functions get one row in one layer, and which tokens are pictures.

    `remember` gives what to keep of a layer: of the prompt without content where `blank` is set, else of the prompt
    itself when it is read first. `weigh` gives the new weights from that, or None to leave the layer as it is.
    """

    remember: Callable[[Read, Tensor], Tensor]
    weigh: Callable[[Read, Tensor, Tensor], Tensor | None]
    blank: bool


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """A patch of what the tokens after the segments read; prompts go through the model one by one.

    `layers` are numbers, "upper" for the upper half, or None for all.
    """

    method: str
    weighing: Weighing
    layers: Numbers = None
    fewest_segments: int = 1
    pictures: bool = False

    def needs(self, setting: Setting) -> None:
        """A model whose attention weights can be had, enough segments, and pictures where it is about them."""
        if not setting.white_box:
            raise NotApplicable(
                f"{self.method}: not applicable: needs the attention weights of the model; use the adapter hf, or an "
                "'after' correction"
            )
        if segments(setting) < self.fewest_segments:
            raise NotApplicable(
                f"{self.method}: not applicable: found {segments(setting)} segment, it needs {self.fewest_segments}"
            )
        if self.pictures and not setting.frames:
            raise NotApplicable(f"{self.method}: not applicable: the model sees no frames, so none can be blank")

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        """The model with the patch; outside of the context it is as it was, also after an error."""
        adapter = adapter_of(model, self.method)
        count = int(text_model(adapter.model).config.num_hidden_layers)
        upper = list(range(count // 2, count))
        layers = upper if self.layers == "upper" else chosen_numbers(self.method, "layers", self.layers, count)
        watched = Watched(adapter, method=self.method, weighing=self.weighing, layers=layers)
        with reading(adapter.model, watched.read) as attention:
            adapter.watch = watching(attention, watched)
            try:
                yield watched
            finally:
                adapter.watch = None


class Watched:
    """An adapter under such a patch: the same prompts one by one, each after its twin without content where wanted."""

    def __init__(
        self, adapter: HFModel, *, method: str, weighing: Weighing, layers: Sequence[int] | None = None
    ) -> None:
        self._adapter, self._method, self._weighing = adapter, method, weighing
        self._layers = None if layers is None else frozenset(layers)
        self._memory: Memory = {}
        self._blanks: dict[str, Memory] = {}
        self._is_blank = False
        self.picture_L = torch.zeros(0, dtype=torch.bool)
        self.more_prompts = 0
        self.model, self.processor = adapter.model, adapter.processor
        self.capabilities: Capabilities = adapter.capabilities
        self.identity: Identity = replace(adapter.identity, attention=f"{adapter.identity.attention}+{method}")

    @property
    def memory(self) -> Mapping[int, Tensor]:
        """What was remembered of the prompt asked last, by layer."""
        return self._memory

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The exact log-probability of every option."""
        return [self._prepare(prompt) or self._adapter.score([prompt])[0] for prompt in prompts]

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """The model's own words, greedily."""
        return [
            self._prepare(prompt) or self._adapter.generate([prompt], max_new_tokens=max_new_tokens)[0]
            for prompt in prompts
        ]

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """The negative log-likelihood of a given answer to each prompt, in nats, summed over its tokens."""
        return [self._prepare(p) or self._adapter.nll([p], [t])[0] for p, t in zip(prompts, targets, strict=True)]

    def read(self, read: Read) -> Tensor | None:
        """One row in one layer: remembered where that is due, and weighed."""
        if self._layers is not None and read.layer not in self._layers:
            return None
        if self._is_blank or (not self._weighing.blank and read.n_prompt):
            self._memory[read.layer] = self._weighing.remember(read, self.picture_L)
        if self._is_blank:
            return None
        return self._weighing.weigh(read, self._memory[read.layer], self.picture_L)

    def _prepare(self, prompt: Prompt) -> Fault | None:
        """Reads the twin without content, unless it is known; its fault is that of the prompt."""
        self._memory = {}
        if not self._weighing.blank:
            return None
        twin = blanked(prompt)
        if twin.sha256 not in self._blanks:
            self._is_blank = True
            try:
                found = self._adapter.score([replace(twin, options=twin.options[:1])])[0]
            finally:
                self._is_blank = False
            self.more_prompts += 1
            if isinstance(found, Fault):
                return replace(found, reason=f"{self._method}: the prompt without content: {found.reason}")
            while len(self._blanks) >= KEPT_BLANKS:
                self._blanks.pop(next(iter(self._blanks)))
            self._blanks[twin.sha256] = self._memory
        self._memory = self._blanks[twin.sha256]
        return None


def adapter_of(model: Model, method: str) -> HFModel:
    """The Hugging Face adapter behind a model. Raises NotApplicable for any other, and for one that is patched."""
    if not isinstance(model, HFModel):
        raise NotApplicable(
            f"{method}: not applicable: needs the attention weights of the model, found the adapter "
            f"{model.identity.adapter}; use the adapter hf, or another 'after' correction"
        )
    if model.watch is not None:
        raise NotApplicable(f"{method}: not applicable: another patch is in this model; take it out first")
    return model


def watching(attention: Reading, watched: Watched) -> Callable[[Sequence[Ready], Mapping[str, Tensor]], None]:
    """Tells the patch of every batch where the segments, the pictures and the tokens of an answer are."""

    def watch(rows: Sequence[Ready], batch: Mapping[str, Tensor]) -> None:
        width = batch["input_ids"].shape[1]
        starts = [width - prompt.n_tokens - len(tail) for prompt, tail in rows]
        spans = [[(s + a, s + b) for a, b in prompt.spans] for s, (prompt, _) in zip(starts, rows)]
        attention.expect(spans, real=[(s, width) for s in starts], tails=[len(tail) for _, tail in rows])
        # The rows are one prompt with different answers, so their pictures are those of the first, counted from its
        # first token.
        ids_L = batch["input_ids"][0, starts[0] :].cpu()
        watched.picture_L = torch.isin(ids_L, picture_tokens(attention.config))

    return watch


def blanked(prompt: Prompt) -> Prompt:
    """The prompt with every segment put out of sense and nothing else: frames of one colour, words that say nothing.

    Segments keep their shapes, and the twins of prompts that differ in content alone are one and the same.
    """
    return replace(prompt, parts=tuple(p if p.place is None else _blank(p) for p in prompt.parts))


def _blank(part: Part) -> Part:
    if part.frames is None:
        words = (part.text or "").split()
        ends = (part.text or "")[-1:] if (part.text or "")[-1:].isspace() else ""
        return replace(part, text=" ".join([BLANK_WORD] * len(words)) + ends)
    old = part.frames
    pixels = np.broadcast_to(np.array(MEAN_RGB, dtype=np.uint8), old.frames_THWC.shape).copy()
    times = tuple(t - old.timestamps_s[0] for t in old.timestamps_s)
    frames = Frames(
        frames_THWC=pixels,
        timestamps_s=times,
        asked_s=times,
        sha256=digest(["blank", list(pixels.shape), list(times)]),
        decoder="blank",
        decoder_version="1",
    )
    return replace(part, frames=frames)


def renormalised(weights_HML: Tensor) -> Tensor:
    """Weights whose lines sum to 1 again."""
    return weights_HML / weights_HML.sum(-1, keepdim=True)
