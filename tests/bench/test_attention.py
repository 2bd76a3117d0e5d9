"""The benchmark of attention: its rows, and that its calls are what a model would hand over."""

from dataclasses import replace

import pytest
import torch

from vlbias.attention import formula, partials
from vlbias.attention.contract import Pine, Rotor, unrotated
from vlbias.bench import _large, attention
from vlbias.bench._calls import Size, call, decoding
from vlbias.bench._memory import peak_bytes
from vlbias.errors import UnknownName

SMALL = Size(tokens=200, segments=4, prefix=5, suffix=9, heads=4, key_heads=2, width=16)


@pytest.mark.parametrize("stack", [True, False])
def test_a_call_arrives_rotated_at_its_position_ids(stack: bool) -> None:
    made = call(SMALL, stack=stack, seed=0)
    layout = made.layouts[0]
    assert layout.stacked is stack and layout.n_segments == 4 and sum(layout.lengths) == 186
    positions_T = torch.cat(
        [
            torch.arange(5),
            *(torch.arange(s.position, s.position + s.extent) for s in layout.segments),
            torch.arange(191, 200),
        ]
    )
    angle_1TR = (positions_T[:, None] * made.rotation.inv_freq_F).repeat(1, 2)[None]
    bare = unrotated(made.heads.query_BHQD, angle_1TR.cos(), angle_1TR.sin())
    assert (bare - made.heads.bare_query_BHQD).abs().max() < 1e-5
    assert (made.heads.query_BHQD - made.heads.bare_query_BHQD).abs().max() > 1


@pytest.mark.parametrize(("rule", "stack"), [(Pine(), True), (Rotor(), False)], ids=["pine", "rotor"])
def test_the_calls_that_are_timed_are_also_right(rule: Pine | Rotor, stack: bool) -> None:
    made = call(SMALL, stack=stack, seed=0)
    for work in (made, decoding(made)):
        options = {"rotation": work.rotation, "rule": rule, "score": work.score}
        mine = partials.attend(work.heads, work.layouts, **options)
        assert (mine - formula.attend(work.heads, work.layouts, **options)).abs().max() < 1e-5


def test_decoding_is_timed_and_memory_keeps_to_its_bound() -> None:
    only = ("pine_decode_4096_over_sdpa", "rotor_decode_4096_over_sdpa", "pine_prefill_4096_extra_bytes_over_q")
    found = list(attention.rows(only=only, device="cpu", seed=0))
    assert tuple(row.name for row in found) == only
    assert all(row.value > 0 and row.goal for row in found) and found[2].ok, found
    assert set(attention.GOALS) <= set(attention.NAMES)


def test_what_is_timed_on_a_gpu_runs_and_rows_for_it_are_not_had_on_a_cpu() -> None:
    small = _large.Large(size=SMALL, layers=1, feed_forward=32, vocabulary=50, dtype=torch.float32, rounds=1)
    with torch.no_grad():
        found = list(_large.rows(_large.NAMES, small, engine=partials.attend, device="cpu", seed=0))
    assert tuple(row.name for row in found) == _large.NAMES
    assert all(row.value > 0 and row.goal for row in found)
    assert list(attention.rows(only=_large.NAMES, device="cpu", seed=0)) == []


def test_memory_grows_with_the_tokens_and_not_with_their_square() -> None:
    def extra(tokens: int) -> float:
        made = call(replace(SMALL, tokens=tokens), stack=True, seed=0)
        options = {"rotation": made.rotation, "rule": Pine(), "score": made.score}
        return peak_bytes(lambda: partials.attend(made.heads, made.layouts, **options), device="cpu")

    assert 1.7 < extra(8192) / extra(4096) < 2.3


def test_peak_bytes_counts_what_is_held_at_the_worst_moment() -> None:
    def work() -> torch.Tensor:
        first = torch.empty(1_000_000, dtype=torch.uint8)
        del first
        return torch.empty(3_000_000, dtype=torch.uint8)

    assert 3_000_000 <= peak_bytes(work, device="cpu") < 3_100_000


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(UnknownName, match="pine_prefill_4096_over_full"):
        list(attention.rows(only=("pine_prefill_4096_over_ful",), device="cpu", seed=0))
