"""The oracle: every rule by its definition, with dense scores and keys rotated anew for every query. Slow on purpose.

In fp64 it is what the engines are tested against; in fp32 it costs what the published way costs (arXiv 2407.01100,
section 3: keys rotated per query segment and per suffix token, dense importance), and is the baseline of the benchmark.
It shares no arithmetic with the engines: it moves keys to their virtual positions, where they turn queries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vlbias.attention._rows import Row, check_score, gathered, rows
from vlbias.attention.contract import Heads, Isolate, Nia, Pine, Rotation, Rotor, Rule, Score, Sofa
from vlbias.attention.entries import check_rule
from vlbias.attention.layout import SegmentLayout

SUFFIX_CHUNK = 16


def attend(heads: Heads, layouts: Sequence[SegmentLayout], *, rotation: Rotation, rule: Rule, score: Score) -> Tensor:
    """One attention call by the definition of the rule, in the dtype of the tensors. See `contract.Engine`."""
    check_score(score)
    done = []
    for row, places_Q in rows(heads, layouts, rule=rule):
        check_rule(rule, row.layout)
        done.append((places_Q, _Dense(row, rotation, rule, score).run()))
    return gathered(heads, done)


class _Dense:
    """One row, one query stretch after the other."""

    def __init__(self, row: Row, rotation: Rotation, rule: Rule, score: Score) -> None:
        self.row, self.rotation, self.rule, self.score = row, rotation, rule, score
        self.layout, self.region = row.layout, row.layout.region
        group = row.query_HQD.shape[0] // row.key_KTD.shape[0]
        self.key_HTD = row.key_KTD.repeat_interleave(group, 0)
        self.value_HTD = row.value_KTD.repeat_interleave(group, 0)
        self.group, self.device = group, row.key_KTD.device
        self.segment_T = torch.full((row.n_tokens,), -1, device=self.device)
        for index, stretch in enumerate(self.layout.segments):
            self.segment_T[stretch.start : stretch.end] = index
        self.token_T = torch.arange(row.n_tokens, device=self.device)

    def run(self) -> Tensor:
        """The output [H, Q, D]."""
        row, pieces = self.row, []
        if row.first < self.region[0]:
            pieces.append(self._stretch(row.first, self.region[0], self._still(), None))
        if row.holds_region:
            for index, starts_HS in enumerate(self._region_starts()):
                stretch = self.layout.segments[index]
                pieces.append(self._stretch(stretch.start, stretch.end, starts_HS[:, None], index))
        if row.suffix_first < row.n_tokens:
            pieces += self._suffix()
        return torch.cat(pieces, dim=1)

    def _suffix(self) -> list[Tensor]:
        first, after, pieces = self.row.suffix_first, self.row.n_tokens, []
        starts_HMS = self._suffix_starts()
        for low in range(first, after, SUFFIX_CHUNK):
            high = min(low + SUFFIX_CHUNK, after)
            part = starts_HMS if starts_HMS.shape[1] == 1 else starts_HMS[:, low - first : high - first]
            pieces.append(self._stretch(low, high, part, None))
        return pieces

    def _stretch(self, low: int, high: int, starts_HMS: Tensor, own: int | None) -> Tensor:
        """The output of queries [low, high), with segment u moved to `starts_HMS[..., u]`; M is 1 or one per query."""
        arrived_S = torch.tensor([s.position for s in self.layout.segments], device=self.device)
        moved_HMS = starts_HMS - arrived_S
        keys_moved_HMT = moved_HMS[..., self.segment_T.clamp(min=0)] * (self.segment_T >= 0)
        query_moved_H1 = moved_HMS[:, 0, own, None] if own is not None else moved_HMS[:, 0, :1] * 0
        if own is None and low >= self.region[1] and isinstance(self.rule, Isolate):
            query_moved_H1 = query_moved_H1 + max(self.layout.extents) - sum(self.layout.extents)
            keys_moved_HMT = keys_moved_HMT + query_moved_H1[..., None] * (self.token_T >= self.region[1])
        queries = slice(low - self.row.first, high - self.row.first)
        query_HQD = _turned(self.row.query_HQD[:, queries], query_moved_H1, self.rotation)
        key_HMTD = _turned(self.key_HTD[:, None], keys_moved_HMT, self.rotation)
        score_HQT = (
            (query_HQD[:, :, None] @ key_HMTD.transpose(-1, -2)).squeeze(2)
            if key_HMTD.shape[1] > 1
            else (query_HQD @ key_HMTD[:, 0].transpose(-1, -2))
        )
        score_HQT = self._capped(score_HQT * self.score.scale) + self._bias(own)
        hidden_HQT = ~self._visible(low, high, own)[None] | self._too_far(low, high, query_moved_H1, keys_moved_HMT)
        return score_HQT.masked_fill(hidden_HQT, -torch.inf).softmax(-1) @ self.value_HTD

    def _visible(self, low: int, high: int, own: int | None) -> Tensor:
        query_Q, key_T = self.token_T[low:high, None], self.token_T[None]
        seen_QT = (key_T <= query_Q) | self._same_block(low, high)
        if own is None:
            return seen_QT
        others_T = (self.segment_T >= 0) & (self.segment_T != own)
        if isinstance(self.rule, Isolate | Nia):
            return seen_QT & ~others_T
        if isinstance(self.rule, Sofa) and self.rule.sigma == 0:
            return (seen_QT & ~others_T) | (others_T & ~self._later(own))
        return seen_QT | others_T

    def _same_block(self, low: int, high: int) -> Tensor:
        block_T = self.row.block_T
        if block_T is None:
            return torch.zeros(high - low, self.row.n_tokens, dtype=torch.bool, device=self.device)
        return (block_T[low:high, None] == block_T[None]) & (block_T[None] >= 0)

    def _too_far(self, low: int, high: int, query_moved_H1: Tensor, keys_moved_HMT: Tensor) -> Tensor:
        if self.score.window is None:
            return torch.zeros((), dtype=torch.bool, device=self.device)
        at_T = self.row.arrival_T()
        back_HQT = (at_T[low:high] + query_moved_H1)[..., None] - (at_T + keys_moved_HMT)
        return (back_HQT >= self.score.window) & ~self._same_block(low, high)

    def _bias(self, own: int | None) -> Tensor:
        bias_T = torch.zeros(self.row.n_tokens, dtype=self.key_HTD.dtype, device=self.device)
        if isinstance(self.rule, Sofa) and self.rule.sigma > 0 and own is not None:
            bias_T[self._later(own)] = math.log(self.rule.sigma)
        return bias_T

    def _later(self, own: int) -> Tensor:
        rank_S = torch.tensor([s.rank for s in self.layout.segments], device=self.device)
        return (self.segment_T >= 0) & (rank_S[self.segment_T.clamp(min=0)] > rank_S[own])

    def _capped(self, score: Tensor) -> Tensor:
        cap = self.score.softcap
        return score if cap is None else torch.tanh(score / cap) * cap

    def _still(self) -> Tensor:
        return torch.tensor([[[s.position for s in self.layout.segments]]], device=self.device)

    def _region_starts(self) -> list[Tensor]:
        """For every query segment, where each segment starts as it sees them, [H or 1, S]."""
        n = self.layout.n_segments
        if not isinstance(self.rule, Pine):
            return [self._by_order(own)[None] for own in range(n)]
        scores_HRS = self._importance(self.region[0] - self.row.first, self.region[1] - self.row.first, own=True)
        bounds = [(s.start - self.region[0], s.end - self.region[0]) for s in self.layout.segments]
        sums_HSS = torch.stack([scores_HRS[:, low:high].sum(1) for low, high in bounds], dim=1)
        return [self._by_importance(sums_HSS[:, own], own, None) for own in range(n)]

    def _suffix_starts(self) -> Tensor:
        """Where each segment starts as every suffix token sees them, [H or 1, M or 1, S]."""
        if not isinstance(self.rule, Pine):
            return self._by_order(None)[None, None]
        first = self.row.suffix_first - self.row.first
        scores_HMS = self._importance(first, self.row.n_tokens - self.row.first, own=False)
        return self._by_importance(scores_HMS, None, self.rule.slots)

    def _importance(self, low: int, high: int, *, own: bool) -> Tensor:
        """Mean attention, without positions, of queries [low, high) on the tokens of each segment, [H, Q, S]."""
        assert self.row.bare_query_HQD is not None and self.row.bare_region_KRD is not None
        query_HQD = self.row.bare_query_HQD[:, low:high]
        key_HRD = self.row.bare_region_KRD.repeat_interleave(self.group, 0)
        bounds = [(s.start - self.region[0], s.end - self.region[0]) for s in self.layout.segments]
        if isinstance(self.rule, Pine) and self.rule.importance == "mean":
            mean_HSD = torch.stack([key_HRD[:, a:b].mean(1) for a, b in bounds], dim=1)
            return (query_HQD @ mean_HSD.transpose(-1, -2)) * self.score.scale
        score_HQR = self._capped(query_HQD @ key_HRD.transpose(-1, -2) * self.score.scale)
        segment_R = self.segment_T[self.region[0] : self.region[1]]
        if own and len(bounds) > 1:
            score_HQR = score_HQR.masked_fill(segment_R[:, None] == segment_R[None], -torch.inf)
        share_HQR = score_HQR.softmax(-1)
        return torch.stack([share_HQR[..., a:b].mean(-1) for a, b in bounds], dim=-1)

    def _by_importance(self, importance: Tensor, own: int | None, slots: tuple[int, ...] | None) -> Tensor:
        """The first position of every segment when the more important one stands nearer to the query."""
        rank_S = torch.tensor([s.rank for s in self.layout.segments], device=self.device)
        ahead = importance[..., :, None] < importance[..., None, :]
        ahead = ahead | ((importance[..., :, None] == importance[..., None, :]) & (rank_S[:, None] > rank_S[None]))
        place = ahead.sum(-1)
        if own is not None:
            place = place + (place < place[..., own, None])
            place[..., own] = 0
        n = self.layout.n_segments
        slot = (n - 1 - place) if slots is None else torch.tensor(slots, device=self.device)[place]
        extent_S = torch.tensor(self.layout.extents, device=self.device)
        nearer = slot[..., None, :] > slot[..., :, None]
        return self.layout.suffix_position - extent_S - (nearer * extent_S).sum(-1)

    def _by_order(self, own: int | None) -> Tensor:
        """The first position of every segment by a rule that has one order for all heads, [S]."""
        segments, n = self.layout.segments, self.layout.n_segments
        arrived = [s.position for s in segments]
        if isinstance(self.rule, Isolate):
            return torch.full((n,), self.layout.region_position, device=self.device)
        ordinary = arrived != sorted(arrived) or [s.rank for s in segments] != list(range(n)) or self.layout.stacked
        if isinstance(self.rule, Sofa | Nia) and not ordinary:
            return torch.tensor(arrived, device=self.device)
        reading = sorted(range(n), key=lambda u: segments[u].rank)
        if isinstance(self.rule, Rotor) and own is not None:
            turn = reading.index(own) + 1
            reading = reading[turn:] + reading[:turn]
        starts, position = [0] * n, self.layout.region_position
        for u in reading:
            starts[u], position = position, position + segments[u].extent
        return torch.tensor(starts, device=self.device)


def _turned(x: Tensor, by: Tensor, rotation: Rotation) -> Tensor:
    """x [.., T, D] turned by `by` [.., T or 1] positions, angles in fp64, in the pairing of the model."""
    angle = by[..., None].double() * rotation.inv_freq_F.double()
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    width = 2 * rotation.inv_freq_F.shape[0]
    half = rotation.pairing == "half"
    a, b = (x[..., : width // 2], x[..., width // 2 : width]) if half else (x[..., 0:width:2], x[..., 1:width:2])
    turned = (a * cos - b * sin, b * cos + a * sin)
    moved = torch.cat(turned, dim=-1) if half else torch.stack(turned, dim=-1).flatten(-2)
    return torch.cat((moved, x[..., width:].expand(*moved.shape[:-1], -1)), dim=-1)
