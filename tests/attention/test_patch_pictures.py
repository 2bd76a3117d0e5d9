"""Ablations inside a picture: ids and sight worked out by hand, and what follows of them in a model."""

import numpy as np
import pytest
import torch
import transformers as tf

from vlbias.attention import patch_pictures
from vlbias.attention.layout import from_spans
from vlbias.attention.patch import repositioned
from vlbias.errors import BadInput, NotApplicable

# Two words, a picture of 3 x 3 tokens, three words.
PICTURE = slice(2, 11)
SPANS, LENGTH = [(2, 11)], 14
SEEN_AS_PICTURE = np.array([2 <= token < 11 for token in range(LENGTH)])
TURNED = np.array([0, 1, *range(10, 1, -1), 11, 12, 13])


def ids(n_axes=1):
    return np.tile(np.arange(LENGTH), (n_axes, 1))


def moved(name, **more):
    layout, found_AL = patch_pictures.place(name, **more)(from_spans(SPANS, ids()), ids(), SEEN_AS_PICTURE)
    return layout, found_AL[0].tolist()


def test_reversed_turns_a_picture_round_and_twice_is_nothing():
    layout, found = moved("reversed")
    assert found == TURNED.tolist() and layout.suffix_position == 11
    rule = patch_pictures.place("reversed")
    again = rule(layout, rule(layout, ids(), SEEN_AS_PICTURE)[1], SEEN_AS_PICTURE)[1]
    assert again.tolist() == ids().tolist()


def test_shuffled_deals_the_ids_of_a_picture_by_its_seed_and_no_others():
    found = [moved("shuffled", seed=seed)[1] for seed in (0, 1, 0)]
    assert found[0] == found[2] != found[1]
    for one in found:
        assert sorted(one[PICTURE]) == list(range(2, 11)) and one[:2] + one[11:] == [0, 1, 11, 12, 13]


def test_all_axes_of_a_token_move_together():
    three_AL = np.stack([ids()[0], ids()[0] % 3, ids()[0] // 3])
    found_AL = patch_pictures.place("shuffled", seed=3)(from_spans(SPANS, three_AL), three_AL, SEEN_AS_PICTURE)[1]
    assert sorted(map(tuple, found_AL.T)) == sorted(map(tuple, three_AL.T)) and not (found_AL == three_AL).all()


def test_what_sees_what_is_causal_outside_of_pictures():
    both = patch_pictures.sight("bidirectional")(ids(), SEEN_AS_PICTURE)
    rings = patch_pictures.sight("concentric")(ids(), SEEN_AS_PICTURE)
    inside = np.zeros((LENGTH, LENGTH), bool)
    inside[PICTURE, PICTURE] = True
    assert both[inside].all() and (both[~inside] == np.tri(LENGTH, dtype=bool)[~inside]).all()
    assert (rings[~inside] == np.tri(LENGTH, dtype=bool)[~inside]).all()
    middle = 6
    assert rings[middle, PICTURE].all(), "the middle sees its rings to the outermost, what comes later too"
    assert rings[2, PICTURE].sum() == 8 and not rings[2, middle]


@pytest.mark.parametrize(("rule", "name"), [(patch_pictures.place, "mirrored"), (patch_pictures.sight, "blind")])
def test_a_rule_that_is_not_there_is_refused_with_those_that_are(rule, name):
    with pytest.raises(BadInput, match=f"{name!r} is unknown; .*concentric"):
        rule(name)


def text_model(**more):
    torch.manual_seed(3)
    config = tf.Qwen2Config(
        hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=60, pad_token_id=0, **more,
    )  # fmt: skip
    model = tf.Qwen2ForCausalLM(config).eval()
    with torch.no_grad():
        for value in model.parameters():
            if value.dim() > 1:
                value.normal_(0, 0.2)
    return model


@pytest.fixture(scope="module")
def model():
    return text_model()


def logits(model, tokens_L, *, positions="raster", sight="causal", pad=0):
    """The logits of the prompt under a policy, [tokens, vocabulary]; `pad` is left padding beside another row."""
    tokens_BL = torch.tensor([[0] * pad + list(tokens_L)] + [list(range(3, 3 + pad + LENGTH))] * (pad > 0))
    mask_BL = torch.ones_like(tokens_BL)
    mask_BL[0, :pad] = 0
    pictures_BL = np.zeros(tokens_BL.shape, bool)
    pictures_BL[:, pad:] = SEEN_AS_PICTURE
    place, seen = patch_pictures.place(positions), patch_pictures.sight(sight)
    with torch.no_grad(), repositioned(model, place, sight=seen, least=1) as attention:
        spans = [[(a + pad, b + pad) for a, b in SPANS]] * len(tokens_BL)
        real = [(pad, pad + LENGTH), (0, pad + LENGTH)][: len(tokens_BL)]
        attention.expect(spans, real=real, pictures_BL=pictures_BL)
        where_BL = (mask_BL.cumsum(-1) - 1).clamp(min=0)
        return model(input_ids=tokens_BL, attention_mask=mask_BL, position_ids=where_BL).logits[0, pad:]


TOKENS = np.arange(5, 5 + LENGTH)
SHUFFLED = np.array([0, 1, *np.random.default_rng(2).permutation(np.arange(2, 11)), 11, 12, 13])


def far(one, other):
    return float((one - other).abs().max())


def test_raster_and_causal_are_the_model_as_it_is_to_the_last_bit(model):
    with torch.no_grad():
        plain = model(input_ids=torch.tensor(TOKENS[None])).logits[0]
    assert torch.equal(logits(model, TOKENS), plain)
    assert far(logits(model, TOKENS, positions="reversed"), plain) > 1e-3


def test_collapsed_in_both_directions_knows_no_order_of_cells_and_either_alone_does(model):
    def moves(**policy):
        return far(logits(model, TOKENS, **policy)[-1], logits(model, TOKENS[SHUFFLED], **policy)[-1])

    assert moves(positions="collapsed", sight="bidirectional") < 1e-4
    assert min(moves(positions="collapsed"), moves(sight="bidirectional"), moves()) > 1e-2


def test_reversed_ids_are_the_reversed_picture_where_sight_has_no_direction(model):
    turned = logits(model, TOKENS[TURNED], sight="bidirectional", positions="reversed")
    plain = logits(model, TOKENS, sight="bidirectional")
    assert far(turned[TURNED], plain) < 1e-4
    assert far(turned, plain) > 1e-2


def test_a_ring_learns_nothing_of_the_rings_inside_it(model):
    other = TOKENS.copy()
    other[6] = 50  # the token in the middle of the picture
    for sight, blind in (("concentric", True), ("bidirectional", False)):
        one, changed = (logits(model, tokens, sight=sight) for tokens in (TOKENS, other))
        outer = [k for k in range(2, 11) if k != 6]
        assert (far(one[outer], changed[outer]) < 1e-5) is blind
        assert far(one[-1], changed[-1]) > 1e-2


@pytest.mark.parametrize("sight", ["bidirectional", "concentric"])
def test_padding_changes_nothing(model, sight):
    assert far(logits(model, TOKENS, sight=sight, pad=3), logits(model, TOKENS, sight=sight)) < 1e-4


def test_a_model_with_windows_or_masks_of_its_own_is_refused():
    windows = text_model(use_sliding_window=True, sliding_window=8, max_window_layers=1)
    with (
        pytest.raises(NotApplicable, match="sliding_attention"),
        repositioned(windows, None, sight=patch_pictures.sight("bidirectional"), least=1),
    ):
        pass
    with pytest.raises(NotApplicable, match="which tokens are pictures"):
        patch_pictures.sight("bidirectional")(ids(), None)
