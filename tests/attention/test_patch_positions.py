"""Position ids of the ablations, against ids worked out by hand, and on a model."""

import numpy as np
import pytest
import torch
import transformers as tf

from vlbias.attention import patch_positions
from vlbias.attention.layout import from_spans
from vlbias.attention.patch import repositioned
from vlbias.errors import NotApplicable

SPANS = [(2, 5), (5, 7)]


def row(n_axes=1):
    return np.tile(np.arange(9), (n_axes, 1))


def test_reverse_gives_the_first_segment_the_last_positions() -> None:
    layout, moved = patch_positions.reverse(from_spans(SPANS, row()), row(), None)
    assert moved[0].tolist() == [0, 1, 4, 5, 6, 2, 3, 7, 8]
    assert [s.position for s in layout.segments] == [4, 2]
    assert layout.suffix_position == 7


def test_shuffle_never_gives_the_order_it_was_given_and_depends_on_its_seed() -> None:
    spans = [(k, k + 1) for k in range(6)]
    layout = from_spans(spans, row())
    found = [patch_positions.shuffle(seed)(layout, row(), None)[1][0, :6].tolist() for seed in range(5)]
    assert all(sorted(x) == list(range(6)) and x != list(range(6)) for x in found)
    assert len({tuple(x) for x in found}) > 1
    assert found[0] == patch_positions.shuffle(0)(layout, row(), None)[1][0, :6].tolist()


def test_collapse_puts_a_picture_at_one_position_and_text_goes_on_after_it() -> None:
    pictures = np.array([0, 0, 0, 1, 1, 1, 1, 0, 0], dtype=bool)
    layout, moved = patch_positions.collapse(from_spans(SPANS, row()), row(), pictures)
    assert moved[0].tolist() == [0, 1, 2, 3, 3, 4, 4, 5, 6]
    assert (layout.extents, layout.suffix_position) == ((2, 1), 5)


def test_concentric_reads_the_grid_from_height_and_width() -> None:
    height, width = np.divmod(np.arange(12), 4)
    ids = np.stack([np.zeros(12, dtype=np.int64), height, width]) + 1
    ids = np.concatenate([np.zeros((3, 1), dtype=np.int64), ids, np.full((3, 2), [[5, 6]])], axis=1)
    pictures = np.array([0, *[1] * 12, 0, 0], dtype=bool)
    _, moved = patch_positions.concentric(from_spans([(1, 13)], ids), ids, pictures)
    assert moved[0, 1:13].reshape(3, 4).tolist() == [[1, 1, 1, 1], [1, 2, 2, 1], [1, 1, 1, 1]]
    assert moved[:, 13:].tolist() == [[3, 4]] * 3


def test_concentric_refuses_a_picture_whose_grid_is_not_known() -> None:
    pictures = np.array([0, 0, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    with pytest.raises(NotApplicable, match="3 tokens is no square"):
        patch_positions.concentric(from_spans(SPANS, row()), row(), pictures)
    with pytest.raises(NotApplicable, match="which tokens are pictures"):
        patch_positions.collapse(from_spans(SPANS, row()), row(), None)


def test_a_model_sees_the_new_ids_in_forward_and_when_it_writes() -> None:
    torch.manual_seed(3)
    config = tf.Qwen2Config(
        hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=60, pad_token_id=0,
    )  # fmt: skip
    model = tf.Qwen2ForCausalLM(config).eval()
    ids, pictures = torch.arange(3, 12)[None], np.array([[0, 0, 1, 1, 1, 1, 1, 0, 0]], dtype=bool)
    mask = torch.ones_like(ids)
    seen = []
    hook = model.model.rotary_emb.register_forward_pre_hook(lambda _m, args: seen.append(args[1][0].tolist()))
    settings = tf.GenerationConfig(max_new_tokens=3, min_new_tokens=3, do_sample=False, pad_token_id=0, eos_token_id=2)
    with torch.no_grad(), repositioned(model, patch_positions.collapse) as attention:
        attention.expect([SPANS], pictures_BL=pictures)
        model(input_ids=ids, attention_mask=mask)
        model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
    hook.remove()
    new = [0, 1, 2, 2, 2, 3, 3, 4, 5]
    assert seen == [new, new, [6], [7]]
