"""Prompts over the same segments in a patched model: the segments are prefilled once, every question goes on after."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from vlbias.errors import ModelError
from vlbias.models._batch import PER_TOKEN, Fit, collate, halving
from vlbias.models._chat import Encoded
from vlbias.models._options import Tokens, Variants, log_probabilities
from vlbias.models._outcomes import longest_tail, scores, unfit
from vlbias.models._separate import Options
from vlbias.models.hf import HFModel
from vlbias.records import Fault, OptionScores, Prompt


@dataclass(frozen=True, kw_only=True, eq=False)
class _Asked:
    """A prompt that goes on after a region. `positions_R1L` is None where the model counts tokens by itself.

    The region ends with the first token of the question, at `cut`: a patch reads there where the question begins.
    `region` tells everything up to there.
    """

    encoded: Encoded
    options: Options
    positions_R1L: Tensor | None
    cut: int
    region: Hashable


class Regions:
    """Scores as `HFModel.score_apart` does, up to rounding, under a patch that follows a prompt into its cache.

    What a prompt is told depends on the prompt alone, not on those beside it: equal prompts get equal bits, in one call
    or in two. Prompts of fewer than two segments, or that end with one, are asked apart.
    """

    def __init__(self, adapter: HFModel) -> None:
        self._adapter = adapter
        self._accepts = inspect.signature(adapter.model.forward).parameters
        self._variants = Variants(adapter.processor.tokenizer)

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The exact log-probability of every option; equal prompts are asked once, equal regions prefilled once."""
        distinct = {prompt.sha256: prompt for prompt in reversed(prompts)}
        asked = {name: self._asked(prompt) for name, prompt in distinct.items()}
        found: dict[str, OptionScores | Fault] = {n: one for n, one in asked.items() if isinstance(one, Fault)}
        apart = [name for name, one in asked.items() if one is None]
        found.update(zip(apart, self._adapter.score_apart([distinct[name] for name in apart])))
        groups: dict[Hashable, dict[str, _Asked]] = {}
        for name, one in asked.items():
            if isinstance(one, _Asked):
                groups.setdefault(one.region, {})[name] = one
        for group in groups.values():
            (told,) = halving([list(group.values())], lambda one: [self._told(one[0])], Fit())
            each: Sequence[tuple[float, ...] | Fault] = [told] * len(group) if isinstance(told, Fault) else told
            for (name, one), result in zip(group.items(), each):
                found[name] = scores(result, n_tokens=one.encoded.n_tokens, spans=one.encoded.spans)
        return [found[prompt.sha256] for prompt in prompts]

    def _asked(self, prompt: Prompt) -> _Asked | Fault | None:
        """The prompt ready to go on after its region; None for one that is asked apart."""
        if sum(part.place is not None for part in prompt.parts) < 2:
            return None
        try:
            options = self._variants.of(prompt.options)
            encoded = self._adapter.encoded(prompt, longest=longest_tail(options))
        except ModelError as error:
            return unfit(error)
        if isinstance(encoded, Fault):
            return encoded
        cut = max(end for _, end in encoded.spans) + 1
        if cut > encoded.n_tokens:
            return None
        places_R1L = self._positions(encoded)
        shown = tuple((p.kind, p.frames.sha256) for p in prompt.parts if p.frames is not None)
        told = None if places_R1L is None else places_R1L[..., :cut].numpy().tobytes()
        region = (encoded.inputs["input_ids"][:, :cut].numpy().tobytes(), encoded.spans, shown, told)
        return _Asked(encoded=encoded, options=options, positions_R1L=places_R1L, cut=cut, region=region)

    def _positions(self, encoded: Encoded) -> Tensor | None:
        """The position ids of the whole prompt, [axes, 1, tokens]: a part alone would not tell what follows a clip."""
        if "position_ids" not in self._accepts:
            return None
        ids_1L, inner = encoded.inputs["input_ids"], self._adapter.model.model
        plain_1L = torch.arange(ids_1L.shape[1])[None]
        if not hasattr(inner, "get_rope_index"):
            return plain_1L[None]
        names = set(inspect.signature(type(inner).get_rope_index).parameters) - {"attention_mask", *PER_TOKEN}
        given = {name: encoded.inputs[name] for name in names if name in encoded.inputs}
        types_1L = encoded.inputs.get("mm_token_type_ids")
        if not given or types_1L is None:
            return plain_1L.expand(3, 1, -1)
        found = inner.get_rope_index(ids_1L, types_1L, attention_mask=torch.ones_like(ids_1L), **given)
        places_R1L: Tensor = found[0].cpu()
        return places_R1L

    @torch.inference_mode()
    def _told(self, group: Sequence[_Asked]) -> list[tuple[float, ...]]:
        """By prompt over one region, the log-probability of each of its options."""
        first, cache = group[0], DynamicCache()
        logprobs_LV = self._run(self._region(first), places=_part(first, 0, first.cut), cache=cache, keep=1)
        return [self._options(one, cache, logprobs_LV[-1]) for one in group]

    def _options(self, one: _Asked, cache: Any, after_V: Tensor) -> tuple[float, ...]:
        """The options of one prompt; the cache, which holds its region, is left as it was."""
        n_tokens = one.encoded.n_tokens
        rest_L = one.encoded.inputs["input_ids"][0, one.cut :].tolist()
        if rest_L:
            after_V = self._run(_tokens(rest_L), places=_part(one, one.cut, n_tokens), cache=cache, keep=1)[-1]
        last = _part(one, n_tokens - 1, n_tokens)
        found = [[self._tail(ids, cache, after_V, last) for ids in variants] for variants in one.options]
        if rest_L:
            cache.crop(-len(rest_L))
        return log_probabilities(found, one.options)

    def _tail(self, ids: Tokens, cache: Any, after_V: Tensor, last: Tensor | None) -> float:
        """The log-probability of the tokens of an option after a prompt that the cache holds, and `after_V` tells."""
        total, fed = float(after_V[ids[0]]), ids[:-1]
        if fed:
            places = None if last is None else last + 1 + torch.arange(len(fed))
            logprobs_LV = self._run(_tokens(fed), places=places, cache=cache, keep=len(fed))
            cache.crop(-len(fed))
            total += sum(float(logprobs_LV[row, token]) for row, token in enumerate(ids[1:]))
        return total

    def _region(self, one: _Asked) -> dict[str, Tensor]:
        """The batch of one region, of which the patch is told."""
        own = {n: v[:, : one.cut] if n in PER_TOKEN else v for n, v in one.encoded.inputs.items()}
        rows = [(replace(one.encoded, inputs=own), ())]
        batch = collate(rows, pad_id=0)
        if self._adapter.watch is not None:
            self._adapter.watch(rows, batch)
        return batch

    def _run(self, batch: dict[str, Tensor], *, places: Tensor | None, cache: Any, keep: int) -> Tensor:
        """Feeds tokens after what the cache holds and gives the log-probabilities after the last `keep`, [keep, V]."""
        model = self._adapter.model
        n_queries = batch["input_ids"].shape[1]
        given = {name: value for name, value in batch.items() if name in self._accepts}
        given["attention_mask"] = torch.ones(1, cache.get_seq_length() + n_queries, dtype=torch.long)
        if places is not None:
            given["position_ids"] = places if len(places) > 1 else places[0]
        floats = {name: model.dtype if value.is_floating_point() else None for name, value in given.items()}
        on_device = {name: value.to(model.device, floats[name]) for name, value in given.items()}
        more = {"logits_to_keep": keep} if "logits_to_keep" in self._accepts else {}
        logits_LV: Tensor = model(**on_device, **more, past_key_values=cache, use_cache=True).logits[0, -keep:]
        return logits_LV.float().log_softmax(-1)


def _part(one: _Asked, start: int, end: int) -> Tensor | None:
    return None if one.positions_R1L is None else one.positions_R1L[..., start:end]


def _tokens(ids: Sequence[int]) -> dict[str, Tensor]:
    return {"input_ids": torch.tensor([list(ids)])}
