"""What is read after the segments: the model's own weights, changed where a method says so and nowhere else."""

import pytest
import torch
import transformers as tf

from vlbias.attention.reading import Read, reading
from vlbias.errors import ModelError, NotApplicable

SPANS = [(5, 12), (12, 20)]
IDS = torch.randint(3, 90, (1, 26), generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module", params=["qwen2", "gemma2 (softcap)", "gemma3 (sliding)"])
def family(request, text_model):
    return text_model(request.param)


@pytest.fixture(scope="module")
def qwen2(text_model):
    return text_model("qwen2")


def asked(model, ids=IDS, **more):
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=more.pop("mask", torch.ones_like(ids)), **more)


def written(model, ids=IDS):
    settings = tf.GenerationConfig(
        max_new_tokens=3, min_new_tokens=3, do_sample=False, pad_token_id=0, eos_token_id=2, output_logits=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    found = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    return torch.stack(found.logits)


def far(a, b):
    return float((a - b).abs().max() / a.abs().max())


def test_weights_given_back_as_they_are_leave_the_model_as_it_is(family) -> None:
    plain, own = asked(family).logits, written(family)
    with reading(family, lambda read: read.weights_HML) as attention:
        attention.expect([SPANS])
        assert far(plain, asked(family).logits) <= 1e-5
        assert far(own, written(family)) <= 1e-5


def test_weights_are_those_of_the_models_own_eager_attention(qwen2) -> None:
    seen: list[Read] = []
    with reading(qwen2, lambda read: seen.append(read)) as attention:
        attention.expect([SPANS], tails=[2])
        asked(qwen2)
    qwen2.set_attn_implementation("eager")
    expected = asked(qwen2, output_attentions=True).attentions
    qwen2.set_attn_implementation("sdpa")
    assert [read.layer for read in seen] == [0, 1]
    for read, weights in zip(seen, expected):
        assert read.weights_HML.shape == (4, 6, 26)
        assert read.n_prompt == 4
        assert (read.weights_HML - weights[0, :, 20:]).abs().max() < 1e-6
        masses = weights[0, :, 20:, 5:12].sum(-1), weights[0, :, 20:, 12:20].sum(-1)
        assert (read.masses_HMS() - torch.stack(masses, -1)).abs().max() < 1e-6


def test_looking_changes_no_bit_and_the_model_is_as_it_was_after_an_error(qwen2) -> None:
    plain = asked(qwen2).logits
    with reading(qwen2, lambda _: None) as attention:
        attention.expect([SPANS])
        assert torch.equal(plain, asked(qwen2).logits)
    with pytest.raises(ZeroDivisionError), reading(qwen2, lambda read: read.weights_HML * 0) as attention:
        attention.expect([SPANS])
        assert far(plain, asked(qwen2).logits) > 1e-3
        raise ZeroDivisionError
    assert qwen2.config._attn_implementation == "sdpa"
    assert torch.equal(plain, asked(qwen2).logits)
    assert not qwen2.model._forward_pre_hooks


def test_only_what_stands_after_the_segments_is_changed_and_padding_does_not_matter(qwen2) -> None:
    def to_the_first_segment(read: Read) -> torch.Tensor:
        low, high = read.spans[0]
        out = torch.zeros_like(read.weights_HML)
        out[..., low:high] = 1 / (high - low)
        return out

    plain = asked(qwen2).logits
    batch = torch.zeros(2, 30, dtype=torch.long)
    batch[0, 4:], batch[1] = IDS[0], IDS[0, :1]
    mask = torch.ones_like(batch)
    mask[0, :4] = 0
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    with reading(qwen2, to_the_first_segment) as attention:
        attention.expect([SPANS])
        alone = asked(qwen2).logits
        attention.expect([[(a + 4, b + 4) for a, b in SPANS], []], real=[(4, 30), (0, 30)])
        together = asked(qwen2, batch, mask=mask, position_ids=places).logits
    assert far(plain[:, :20], alone[:, :20]) <= 1e-6
    assert far(plain[:, 20:], alone[:, 20:]) > 1e-3
    assert far(alone, together[:1, 4:]) <= 1e-5


def test_a_forward_that_was_not_announced_or_asks_nothing_is_refused(qwen2) -> None:
    with reading(qwen2, lambda read: read.weights_HML) as attention:
        with pytest.raises(ModelError, match="1 rows, but segments were told for 0"):
            asked(qwen2)
        attention.expect([[(5, 12), (12, 26)]])
        with pytest.raises(NotApplicable, match="a question after the segments"):
            asked(qwen2)
