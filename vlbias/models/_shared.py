"""Runs the pieces of many prompts through a model, each piece once, over one cache of keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import DynamicCache

from vlbias.models._compose import Composed, Ids
from vlbias.models._features import Features, decoder_of
from vlbias.models._options import Tokens
from vlbias.models._trie import MaskQK, Node, Piece, Trie, mask, needed, packs

Positions = npt.NDArray[np.int64]
Variant = tuple[int, int, int]
FEWEST_TOKENS = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """How a prompt reads: its tokens and the positions of its tokens [R, L]; prompts that read alike share one."""

    composed: Composed
    positions_RL: Positions

    @cached_property
    def cuts(self) -> tuple[tuple[int, int, int | None, bytes], ...]:
        """[start, end) of the prefix, each segment with the text before it, and the rest; empty ones are left out.

        With them the place of the segment, and what tells the tokens and positions apart from others.
        """
        spans, n_tokens = self.composed.spans, self.composed.n_tokens
        first = min(spans)[0] if spans else n_tokens
        ends: list[tuple[int, int, int | None]] = [(0, first, None)]
        start = first
        for place in sorted(range(len(spans)), key=spans.__getitem__):
            end = spans[place][1]
            ends.append((start, end, place))
            start = end
        ends.append((start, n_tokens, None))
        return tuple((start, end, place, self._reading(start, end)) for start, end, place in ends if end > start)

    def _reading(self, start: int, end: int) -> bytes:
        # A model has one number of axes, so equal bytes side by side are equal tokens at equal positions.
        return self.composed.ids_L[start:end].tobytes() + self.positions_RL[:, start:end].tobytes()


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """A prompt ready to be asked: how it reads, its segments by place, its options.

    `segments[k]` is None for a text; `keys[k]` tells its content.
    """

    layout: Layout
    segments: tuple[Features | None, ...]
    keys: tuple[Any, ...]
    variants: tuple[tuple[Tokens, ...], ...]

    @property
    def n_tokens(self) -> int:
        """The length of the prompt in tokens."""
        return self.layout.composed.n_tokens

    def pieces(self) -> list[Piece]:
        """The pieces of the prompt in reading order."""
        return [
            Piece(start=start, end=end, key=(reading, None if place is None else self.keys[place]))
            for start, end, place, reading in self.layout.cuts
        ]


class Wanted:
    """Which token's log-probability is read where, and the sums of what was read, by prompt, option and variant."""

    def __init__(self) -> None:
        self.trie = Trie()
        self.sums: dict[Variant, float] = {}
        self._at: dict[int, list[tuple[int, int, Variant]]] = {}

    def add(self, number: int, question: Question) -> None:
        """Puts a prompt and the tails of its options of several tokens into the tree."""
        leaf = self.trie.add(number, question.pieces())
        for k, option in enumerate(question.variants):
            for v, ids in enumerate(option):
                place = (number, k, v)
                self.sums[place] = 0.0
                self._at.setdefault(id(leaf), []).append((leaf.n_tokens - 1, ids[0], place))
                if len(ids) > 1:
                    tail = self.trie.grow(leaf, ids[:-1])
                    reads = [(row, token, place) for row, token in enumerate(ids[1:])]
                    self._at.setdefault(id(tail), []).extend(reads)

    def of(self, node: Node) -> list[tuple[int, int, Variant]]:
        """(row of the node, token, whose it is) for everything read at a node."""
        return self._at.get(id(node), [])


class Walker:
    """Walks a tree of prompts through `model`. What a walk needs in memory is one path and one pack, not the tree.

    `n_tokens` and `n_forwards` count what all walks computed; `most_held` is the most tokens that the cache ever held.
    """

    def __init__(self, model: Any, *, pack_tokens: int) -> None:
        self.model, self.pack_tokens = model, pack_tokens
        self.n_tokens = self.n_forwards = self.most_held = 0
        self._decoder = decoder_of(model)
        self._additive = model.config._attn_implementation == "eager"

    def shrink(self) -> bool:
        """Halves the tokens of a pack for all walks to come; False where they are too few to be halved."""
        if self.pack_tokens < 2 * FEWEST_TOKENS:
            return False
        self.pack_tokens //= 2
        return True

    @torch.inference_mode()
    def walk(self, questions: Sequence[Question]) -> Wanted:
        """The log-probabilities of all options of all questions, exact."""
        wanted = Wanted()
        for number, question in enumerate(questions):
            wanted.add(number, question)
        cache, held = DynamicCache(), list[Node]()
        for pack in packs(wanted.trie.walk(), most_tokens=self.pack_tokens):
            kept = needed(held, pack[0])
            if len(kept) < len(held):
                _keep(cache, held, kept)
            self._forward(pack, kept, cache, questions, wanted)
            held = kept + pack
            self.most_held = max(self.most_held, sum(node.n_tokens for node in held))
        return wanted

    def _forward(
        self, pack: list[Node], held: list[Node], cache: Any, questions: Sequence[Question], wanted: Wanted
    ) -> None:
        rows, tokens, owners = _reads(pack, wanted)
        batch = self._inputs(pack, questions)
        deep = batch.pop("deep")
        with _given_deep(self._decoder, deep):
            # Rows that nobody reads still cost the vocabulary's width; one is kept so that the model can run.
            keep = torch.tensor(sorted(set(rows)) or [0], device=self.model.device)
            out = self.model(
                **batch,
                attention_mask=self._mask(mask(held, pack)),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=keep,
            )
        self.n_forwards += 1
        self.n_tokens += sum(node.n_tokens for node in pack)
        if not rows:
            return
        found_RV = out.logits[0].float().log_softmax(-1)
        at = torch.searchsorted(keep, torch.tensor(rows, device=keep.device))
        read = found_RV[at, torch.tensor(tokens, device=keep.device)].double().cpu().tolist()
        for owner, value in zip(owners, read):
            wanted.sums[owner] += value

    def _inputs(self, pack: Sequence[Node], questions: Sequence[Question]) -> dict[str, Any]:
        device = self.model.device
        ids = np.concatenate([_ids(node, questions[node.prompt].layout.composed.ids_L) for node in pack])
        places = np.concatenate([_positions(node, questions[node.prompt].layout.positions_RL) for node in pack], axis=1)
        embeds_LD = self.model.get_input_embeddings()(torch.from_numpy(ids).to(device)).clone()
        visual_L = torch.zeros(len(ids), dtype=torch.bool, device=device)
        deep: list[tuple[torch.Tensor, ...]] = []
        start = 0
        for node in pack:
            question = questions[node.prompt]
            for place, (a, b) in enumerate(question.layout.composed.spans):
                segment = question.segments[place]
                if segment is None or not node.start <= a < node.end:
                    continue
                at = slice(start + a - node.start, start + b - node.start)
                embeds_LD[at] = segment.embeds_LD.to(device)
                if segment.visual_L is not None:
                    visual_L[at] = segment.visual_L.to(device)
                    deep.append(segment.deep_VD)
            start += node.n_tokens
        places_R1L = torch.from_numpy(places).to(device)[:, None]
        layers = [torch.cat(layer).to(device) for layer in zip(*deep)]
        return {
            "inputs_embeds": embeds_LD[None],
            "position_ids": places_R1L if len(places_R1L) > 1 else places_R1L[0],
            "deep": {"visual_pos_masks": visual_L[None], "deepstack_visual_embeds": layers} if layers else {},
        }

    def _mask(self, seen_QK: MaskQK) -> torch.Tensor:
        seen_11QK = torch.from_numpy(seen_QK).to(self.model.device)[None, None]
        if not self._additive:
            return seen_11QK
        # The eager formula adds the mask to the scores.
        lowest = torch.finfo(self.model.dtype).min
        return torch.zeros_like(seen_11QK, dtype=self.model.dtype).masked_fill(~seen_11QK, lowest)


def _keep(cache: DynamicCache, held: Sequence[Node], kept: Sequence[Node]) -> None:
    """Drops the keys and values of all tokens of `held` but those of `kept`."""
    wanted = set(map(id, kept))
    kept_L = torch.from_numpy(np.repeat([id(node) in wanted for node in held], [node.n_tokens for node in held]))
    for layer in cache.layers:
        at_K = kept_L.nonzero()[:, 0].to(layer.keys.device)
        layer.keys, layer.values = layer.keys.index_select(-2, at_K), layer.values.index_select(-2, at_K)


def _reads(pack: Sequence[Node], wanted: Wanted) -> tuple[list[int], list[int], list[Variant]]:
    rows, tokens, owners = [], [], []
    start = 0
    for node in pack:
        for row, token, owner in wanted.of(node):
            rows.append(start + row)
            tokens.append(token)
            owners.append(owner)
        start += node.n_tokens
    return rows, tokens, owners


def _ids(node: Node, ids_L: Ids) -> Ids:
    return np.asarray(node.tail, dtype=np.int64) if node.tail else ids_L[node.start : node.end]


def _positions(node: Node, positions_RL: Positions) -> Positions:
    if not node.tail:
        return positions_RL[:, node.start : node.end]
    # The words of an option go on by one after the prompt's last word, on every axis.
    return positions_RL[:, -1:] + 1 + np.arange(len(node.tail))


@contextmanager
def _given_deep(decoder: Any, deep: Mapping[str, Any]) -> Iterator[None]:
    """The decoder gets its deepstack features, which the model around it passes on only from pixels."""
    if not deep:
        yield
        return

    def add(_: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**given, **deep}

    handle = decoder.register_forward_pre_hook(add, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
