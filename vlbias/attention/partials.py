"""The PyTorch engine: one fused attention call per block of keys, log-sum-exps merged as they come.

A query is turned once per key segment and keys stay as they arrived, so every block is ordinary attention and nothing
of size tokens x tokens is ever held. Extra memory: one turned copy of the queries, one output, one block's output.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from vlbias.attention._importance import region_importance, suffix_importance
from vlbias.attention._rows import Row, check_score, gathered, rows
from vlbias.attention._sdpa import Fold, block, masked
from vlbias.attention._seen import seen
from vlbias.attention._suffix import few_suffix_queries
from vlbias.attention._turns import paired, phases, turned
from vlbias.attention.contract import Heads, Pine, Rotation, Rule, Score
from vlbias.attention.entries import RegionEntries, SuffixEntries, check_rule, region_entries, suffix_entries
from vlbias.attention.layout import SegmentLayout, Span

DENSE_SCORES = 1 << 22
"""Suffix queries are done in one go while their scores stay below this number."""
TURN_CHUNK = 256
"""Suffix queries whose angles are held at a time."""


def attend(heads: Heads, layouts: Sequence[SegmentLayout], *, rotation: Rotation, rule: Rule, score: Score) -> Tensor:
    """One attention call by blocks. See `contract.Engine`; exact up to rounding (arXiv 2407.01100 for Pine).

    Differs from the published code in cost only: it turns queries where that rotates keys, and keeps no score matrix.
    """
    check_score(score)
    done = []
    for row, places_Q in rows(heads, layouts, rule=rule):
        check_rule(rule, row.layout)
        done.append((places_Q, _attend(row, rotation, rule, score)))
    return gathered(heads, done)


def _attend(row: Row, rotation: Rotation, rule: Rule, score: Score) -> Tensor:
    region = suffix = None
    n_suffix = row.n_tokens - row.suffix_first
    if row.holds_region:
        importance = region_importance(row, rule, score) if isinstance(rule, Pine) else None
        region = region_entries(rule, row.layout, importance)
    if n_suffix:
        importance = suffix_importance(row, rule, score) if isinstance(rule, Pine) else None
        suffix = suffix_entries(rule, row.layout, importance)
    if region is None and suffix is not None and n_suffix * row.query_HQD.shape[0] * row.n_tokens <= DENSE_SCORES:
        return few_suffix_queries(row, suffix, rotation, score)
    return _Blocks(row, rotation, score).run(region, suffix)


class _Blocks:
    """One row: the blocks of keys, one after the other, folded into one output."""

    def __init__(self, row: Row, rotation: Rotation, score: Score) -> None:
        self.row, self.rotation, self.score = row, rotation, score
        self.plain = score.softcap is None and score.window is None and row.block_T is None
        self.fold = Fold.empty(row.query_HQD, row.value_KTD.shape[-1])
        self.query_HQD, self.key_KTD = paired(row.query_HQD, rotation), paired(row.key_KTD, rotation)
        self.turned_HQD = torch.empty_like(self.query_HQD)
        self.region = row.layout.region

    def run(self, region: RegionEntries | None, suffix: SuffixEntries | None) -> Tensor:
        """The output [H, Q, D], in fp32 at least."""
        start, after = self.region
        if self.row.first < start:
            self._causal(self.row.first, start, 0)
        if region is not None and self._ordinary(region, suffix):
            self._causal(start, self.row.n_tokens, start)
            self._prefix(region, suffix)
            self._later(region)
            return self.fold.out_HQD
        self._prefix(region, suffix)
        if region is not None:
            for stretch in self.row.layout.segments:
                self._causal(stretch.start, stretch.end, stretch.start)
        if suffix is not None:
            self._causal(self.row.suffix_first, self.row.n_tokens, after)
        for key in range(self.row.layout.n_segments):
            self._segment(key, region, suffix)
        return self.fold.out_HQD

    def _ordinary(self, region: RegionEntries, suffix: SuffixEntries | None) -> bool:
        """Whether every earlier segment is met as the model itself would: then one causal call does all of them."""
        n = self.row.layout.n_segments
        earlier_SS = torch.ones(n, n, dtype=torch.bool).tril(-1)
        turned_on = region.turn_GSS.cpu()[:, earlier_SS].any() or region.bias_SS[earlier_SS].any()
        suffix_still = suffix is None or (suffix.prefix_turn == 0 and not suffix.turn_GMS.any())
        return bool(self.plain and suffix_still and not turned_on and region.seen_SS[earlier_SS].all())

    def _causal(self, low: int, high: int, keys_from: int) -> None:
        self._block((low, high), (keys_from, high), self._still(low, high), causal=True)

    def _prefix(self, region: RegionEntries | None, suffix: SuffixEntries | None) -> None:
        """All tokens after the prefix on the prefix."""
        turns = []
        if region is not None:
            spans = [(s.start, s.end) for s in self.row.layout.segments]
            turns += [(span, region.prefix_turn_S[i].view(1, 1)) for i, span in enumerate(spans)]
        if suffix is not None:
            turns.append(((self.row.suffix_first, self.row.n_tokens), torch.tensor([[suffix.prefix_turn]])))
        self._run((0, self.region[0]), turns, [0.0] * len(turns))

    def _later(self, region: RegionEntries) -> None:
        """Every segment on those after it, in as few blocks as their turns allow."""
        segments = self.row.layout.segments
        for own, stretch in enumerate(segments):
            turns, biases, seen = region.turn_GSS[0, own].tolist(), region.bias_SS[own].tolist(), region.seen_SS[own]
            later = [u for u in range(own + 1, len(segments)) if seen[u]]
            for (turn, bias), group in groupby(later, key=lambda u: (turns[u], biases[u])):
                run = list(group)
                keys = segments[run[0]].start, segments[run[-1]].end
                self._run(keys, [((stretch.start, stretch.end), torch.tensor([[turn]]))], [bias])

    def _segment(self, key: int, region: RegionEntries | None, suffix: SuffixEntries | None) -> None:
        """All other segments and the suffix on one segment, in runs of neighbours that see it."""
        segments = self.row.layout.segments
        keys = segments[key].start, segments[key].end
        before: list[tuple[Span, Tensor]] = []
        biases: list[float] = []
        for own, stretch in enumerate(segments if region is not None else ()):
            assert region is not None
            if own != key and region.seen_SS[own, key]:
                before.append(((stretch.start, stretch.end), region.turn_GSS[:, own, key, None]))
                biases.append(float(region.bias_SS[own, key]))
            else:
                self._run(keys, before, biases)
                before, biases = [], []
        if suffix is not None:
            before.append(((self.row.suffix_first, self.row.n_tokens), suffix.turn_GMS[..., key]))
            biases.append(0.0)
        self._run(keys, before, biases)

    def _run(self, keys: Span, turns: Sequence[tuple[Span, Tensor]], biases: Sequence[float]) -> None:
        """Neighbouring stretches of queries, each with its turn [G, Q or 1] and its bias, on one range of keys."""
        if not turns or keys[0] == keys[1]:
            return
        rows = turns[0][0][0], turns[-1][0][1]
        lengths = [high - low for (low, high), _ in turns]
        still = not any(turn.any() for _, turn in turns)
        if not still:
            for (low, high), turn_GQ in turns:
                self._turn(low, high, turn_GQ)
        query_HQD = (
            self._still(*rows) if still else self.turned_HQD[:, rows[0] - self.row.first : rows[1] - self.row.first]
        )
        bias_Q: Tensor | None = None
        if any(biases):
            bias_N = torch.tensor(biases, dtype=torch.float64, device=query_HQD.device)
            bias_Q = bias_N.repeat_interleave(torch.tensor(lengths, device=query_HQD.device))
        moved_GQ: Tensor | None = None
        if self.score.window is not None:
            heads = max(turn.shape[0] for _, turn in turns)
            moved_GQ = torch.cat([turn.expand(heads, n) for n, (_, turn) in zip(lengths, turns)], dim=1)
        self._block(rows, keys, query_HQD, turn_GQ=moved_GQ, bias_Q=bias_Q)

    def _turn(self, low: int, high: int, turn_GQ: Tensor) -> None:
        width = self.query_HQD.shape[-1]
        for at in range(low, high, TURN_CHUNK if turn_GQ.shape[1] > 1 else high - low):
            upto = min(at + TURN_CHUNK, high) if turn_GQ.shape[1] > 1 else high
            part_GQ = turn_GQ[:, at - low : upto - low] if turn_GQ.shape[1] > 1 else turn_GQ
            phase_GQF = phases(part_GQ.to(self.query_HQD.device), self.rotation, width, self.query_HQD.dtype)
            rows = slice(at - self.row.first, upto - self.row.first)
            turned(self.query_HQD[:, rows], phase_GQF, self.turned_HQD[:, rows])

    def _still(self, low: int, high: int) -> Tensor:
        return self.query_HQD[:, low - self.row.first : high - self.row.first]

    def _block(
        self,
        rows: Span,
        keys: Span,
        query_HQD: Tensor,
        *,
        causal: bool = False,
        turn_GQ: Tensor | None = None,
        bias_Q: Tensor | None = None,
    ) -> None:
        """Queries `rows`, turned, on keys `keys`: token indices. Causal blocks end at the same token."""
        if rows[0] >= rows[1] or keys[0] >= keys[1]:
            return
        key_KLD, value_KLD = self.key_KTD[:, keys[0] : keys[1]], self.row.value_KTD[:, keys[0] : keys[1]]
        if self.plain and (not causal or rows == keys):
            part = block(query_HQD, key_KLD, value_KLD, scale=self.score.scale, causal=causal)
        else:
            mask = seen(self.row, rows, keys, causal=causal, window=self.score.window, turn_GQ=turn_GQ)
            part = masked(query_HQD, key_KLD, value_KLD, mask, scale=self.score.scale, softcap=self.score.softcap)
        self.fold.add(rows[0] - self.row.first, rows[1] - self.row.first, part, bias_Q)
