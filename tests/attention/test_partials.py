"""The PyTorch engine says what the formula says."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from vlbias.attention import formula, partials
from vlbias.attention.contract import Isolate, Nia, Pine, Rotor, Score, Sofa

SCORE = Score(scale=0.25)
RULES = [
    Pine(),
    Pine(importance="mean"),
    Pine(slots=(1, 3, 0, 2)),
    Rotor(),
    Sofa(sigma=0.5),
    Sofa(sigma=0.0),
    Isolate(),
    Nia(),
]
LENGTHS = [3, 7, 4, 5]
TENSORS = ("query_BHQD", "key_BKLD", "value_BKLD", "bare_query_BHQD", "bare_key_BKRD")


@pytest.mark.parametrize("stack", [True, False], ids=["stacked", "ordinary"])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_prefill_is_the_formula(rule, stack, row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6, stack=stack)
    heads, rotation = call_of([positions])
    check(heads, [layout], rotation=rotation, rule=rule, score=SCORE)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_an_order_of_ranks_that_is_not_that_of_the_prompt_is_the_formula(rule, row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6, ranks=[2, 0, 3, 1])
    heads, rotation = call_of([positions])
    check(heads, [layout], rotation=rotation, rule=rule, score=SCORE)


@pytest.mark.parametrize("score", [Score(scale=0.3, softcap=1.5), Score(scale=0.3, window=9)], ids=repr)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_softcap_and_window_are_the_formula(rule, score, row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6)
    heads, rotation = call_of([positions])
    check(heads, [layout], rotation=rotation, rule=rule, score=score)
    assert not torch.allclose(
        partials.attend(heads, [layout], rotation=rotation, rule=rule, score=score),
        partials.attend(heads, [layout], rotation=rotation, rule=rule, score=Score(scale=0.3)),
    )


@pytest.mark.parametrize("window", [None, 9])
@pytest.mark.parametrize("rule", RULES[:1] + RULES[3:5], ids=repr)
def test_image_blocks_see_each_other_both_ways(rule, window, row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6)
    heads, rotation = call_of([positions])
    block_BL = torch.full((1, positions.size), -1)
    block_BL[0, 1:3], block_BL[0, 8:12], block_BL[0, 15:17] = 0, 1, 2
    blocked = replace(heads, block_BL=block_BL)
    check(blocked, [layout], rotation=rotation, rule=rule, score=Score(scale=0.3, window=window))


@pytest.mark.parametrize(("pairing", "rotated"), [("half", 8), ("adjacent", 16), ("adjacent", 8)])
def test_partial_and_adjacent_rotations_are_the_formula(pairing, rotated, row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6)
    heads, rotation = call_of([positions], pairing=pairing, rotated=rotated)
    check(heads, [layout], rotation=rotation, rule=Pine(), score=SCORE)
    check(last(heads, 1), [layout], rotation=rotation, rule=Pine(), score=SCORE)


@pytest.mark.parametrize("n_queries", [1, 3, 6])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_last_queries_alone_get_what_they_get_in_one_prefill(rule, n_queries, row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6, stack=False, generated=2)
    heads, rotation = call_of([positions])
    whole = partials.attend(heads, [layout], rotation=rotation, rule=rule, score=SCORE)
    some = check(last(heads, n_queries), [layout], rotation=rotation, rule=rule, score=SCORE)
    assert torch.allclose(some, whole[:, :, -n_queries:], atol=1e-12)


def test_many_suffix_queries_go_block_by_block_to_the_same_end(row_of, call_of, monkeypatch) -> None:
    layout, positions = row_of(4, LENGTHS, 6, generated=2)
    heads, rotation = call_of([positions])
    monkeypatch.setattr(partials, "DENSE_SCORES", 0)
    monkeypatch.setattr(partials, "TURN_CHUNK", 2)
    for rule in RULES:
        check(last(heads, 5), [layout], rotation=rotation, rule=rule, score=SCORE)


def test_padding_at_either_side_and_ragged_rows_change_nothing(row_of, call_of) -> None:
    ragged = [(4, LENGTHS, 6), (2, [5, 6, 2], 5)]
    padded = [row_of(*ragged[0], generated=2), row_of(*ragged[1], left=4, right=5, generated=2)]
    heads, rotation = call_of([positions for _, positions in padded])
    for rule in RULES[:2] + RULES[3:]:
        options = {"rotation": rotation, "rule": rule, "score": SCORE}
        both = check(heads, [layout for layout, _ in padded], **options)
        check(last(heads, 2), [layout for layout, _ in padded], **options)
        layout, _ = row_of(*ragged[1], generated=2)
        real = [*range(4, 24), 29, 30]
        alone = replace(heads, **{name: getattr(heads, name)[1:, :, real] for name in TENSORS})
        assert torch.allclose(check(alone, [layout], **options), both[1:, :, real], atol=1e-12)
        assert not both[1:, :, [*range(4), *range(24, 29)]].any()


@pytest.mark.parametrize("n_segments", [2, 3, 5])
def test_fp32_stays_within_1e_5_of_the_fp64_formula(n_segments, row_of, call_of) -> None:
    layout, positions = row_of(5, [11, 20, 7, 16, 9][:n_segments], 8)
    exact, rotation = call_of([positions], width=64, rotated=64)
    single = replace(exact, **{name: getattr(exact, name).float() for name in TENSORS})
    options = {"rotation": rotation, "rule": Pine(), "score": Score(scale=0.125)}
    oracle = formula.attend(exact, [layout], **options)
    error = (partials.attend(single, [layout], **options) - oracle).abs().max()
    assert 0 < error <= 1e-5


def test_bf16_is_as_near_to_fp32_as_the_rounding_of_its_inputs(row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6)
    heads, rotation = call_of([positions], dtype=torch.bfloat16)
    wide = replace(heads, **{name: getattr(heads, name).float() for name in TENSORS})
    options = {"rotation": rotation, "rule": Pine(), "score": SCORE}
    out = partials.attend(heads, [layout], **options)
    assert out.dtype == torch.bfloat16
    assert (out.float() - partials.attend(wide, [layout], **options)).abs().max() < 0.03


def test_every_order_of_the_segments_gives_the_suffix_the_same(row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6)
    heads, rotation = call_of([positions])
    order = [2, 0, 3, 1]
    spans = [(s.start, s.end) for s in layout.segments]
    tokens = [*range(4), *(t for u in order for t in range(*spans[u])), *range(23, 29)]
    moved = replace(heads, **{name: getattr(heads, name)[:, :, tokens] for name in TENSORS})
    moved_layout, _ = row_of(4, [LENGTHS[u] for u in order], 6, ranks=order)
    for rule in RULES:
        options = {"rotation": rotation, "rule": rule, "score": SCORE}
        here = partials.attend(heads, [layout], **options)
        there = partials.attend(moved, [moved_layout], **options)
        assert (here[:, :, tokens] - there).abs().max() <= 1e-12
    vanilla = F.scaled_dot_product_attention(
        heads.query_BHQD, heads.key_BKLD, heads.value_BKLD, is_causal=True, scale=0.25, enable_gqa=True
    )
    assert not torch.allclose(here, vanilla)


def test_sigma_0_in_ordinary_positions_is_the_models_own_causal_attention(row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6, stack=False)
    heads, rotation = call_of([positions])
    vanilla = F.scaled_dot_product_attention(
        heads.query_BHQD, heads.key_BKLD, heads.value_BKLD, is_causal=True, scale=0.25, enable_gqa=True
    )
    for rule in (Sofa(sigma=0.0), Sofa(sigma=1e-300)):
        out = partials.attend(heads, [layout], rotation=rotation, rule=rule, score=SCORE)
        assert (out - vanilla).abs().max() <= 1e-12


def test_one_segment_is_the_models_own_causal_attention(row_of, call_of) -> None:
    layout, positions = row_of(4, [19], 6)
    heads, rotation = call_of([positions])
    vanilla = F.scaled_dot_product_attention(
        heads.query_BHQD, heads.key_BKLD, heads.value_BKLD, is_causal=True, scale=0.25, enable_gqa=True
    )
    for rule in (Pine(), Rotor(), Isolate(), Nia()):
        out = partials.attend(heads, [layout], rotation=rotation, rule=rule, score=SCORE)
        assert (out - vanilla).abs().max() <= 1e-12


def test_what_cannot_be_meant_is_refused(row_of, call_of) -> None:
    layout, positions = row_of(4, LENGTHS, 6)
    heads, rotation = call_of([positions])
    options = {"rotation": rotation, "rule": Pine(), "score": SCORE}
    with pytest.raises(ValueError, match="before rotation"):
        partials.attend(replace(heads, bare_key_BKRD=None), [layout], **options)
    with pytest.raises(ValueError, match="begin inside the region"):
        partials.attend(last(heads, 12), [layout], **options)
    with pytest.raises(ValueError, match="one layout per row"):
        partials.attend(heads, [layout, layout], **options)
    with pytest.raises(ValueError, match="do not|not the region"):
        partials.attend(replace(heads, bare_start=5), [layout], **options)
    for rule in (Sofa(sigma=1.5), Pine(slots=(0, 1, 2))):
        with pytest.raises(ValueError, match="sigma|slots"):
            partials.attend(heads, [layout], **{**options, "rule": rule})


def check(heads, layouts, **options) -> torch.Tensor:
    """The engine's output, after it was found equal to the formula's."""
    mine = partials.attend(heads, layouts, **options)
    oracle = formula.attend(heads, layouts, **options)
    assert mine.isfinite().all()
    assert (mine - oracle).abs().max() <= 1e-12
    return mine


def last(heads, n_queries: int):
    """The call that a model makes for its last tokens."""
    return replace(
        heads,
        query_BHQD=heads.query_BHQD[:, :, -n_queries:],
        bare_query_BHQD=heads.bare_query_BHQD[:, :, -n_queries:],
    )
