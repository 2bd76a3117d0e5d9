"""The patch on plain text models: against the formula, padding, generation, limits, and putting the model back."""

import pytest
import torch
import transformers as tf

from vlbias.attention import formula, partials
from vlbias.attention.contract import Heads, Isolate, Nia, Pine, Rotation, Rotor, Score, Sofa
from vlbias.attention.engines import engine
from vlbias.attention.layout import SegmentLayout, Stretch
from vlbias.attention.patch import patched
from vlbias.errors import ModelError, NotApplicable

PREFIX, SUFFIX = 5, 6


@pytest.fixture(
    scope="module",
    params=["qwen2", "qwen3 (q/k norm)", "glm (adjacent pairs, partial)", "gemma2 (softcap)", "gemma3 (sliding)",
            "llama (yarn)"],
)  # fmt: skip
def family(request, text_model):
    return text_model(request.param)


@pytest.fixture(scope="module")
def plain_qwen2(text_model):
    return text_model("qwen2")


def texts(lengths, seed=0):
    draw = torch.Generator().manual_seed(seed)
    pieces = [torch.randint(3, 90, (n,), generator=draw) for n in (PREFIX, *lengths, SUFFIX)]
    return pieces[0], pieces[1:-1], pieces[-1]


def arranged(order, lengths, seed=0):
    """The tokens of one prompt and the spans of its segments, in this order."""
    prefix, segments, suffix = texts(lengths, seed)
    ids = torch.cat([prefix, *(segments[k] for k in order), suffix])[None]
    spans, start = [], PREFIX
    for k in order:
        spans.append((start, start + lengths[k]))
        start += lengths[k]
    return ids, spans


def asked(model, ids, **more):
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=more.pop("mask", torch.ones_like(ids)), **more)


def written(model, ids, count=4, **more):
    mask = more.pop("mask", torch.ones_like(ids))
    settings = tf.GenerationConfig(
        max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0, eos_token_id=2,
        output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    return model.generate(input_ids=ids, attention_mask=mask, generation_config=settings, **more)


def far(a, b):
    """The largest difference, in units of the largest value."""
    return float((a - b).abs().max() / a.abs().max())


LENGTHS = (7, 12, 4, 9)
ORDERS = [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0), (1, 0, 3, 2), (3, 2, 1, 0), (2, 0, 3, 1)]


def test_pine_makes_logits_and_generation_free_of_order_in_every_family(family) -> None:
    logits, generated, plain = [], [], []
    for order in ORDERS:
        ids, spans = arranged(order, LENGTHS)
        plain.append(asked(family, ids).logits[:, -SUFFIX:])
        with patched(family, Pine(), engine=partials.attend, stack=True) as attention:
            attention.expect([spans], ranks=[order])
            logits.append(asked(family, ids).logits[:, -SUFFIX:])
            generated.append(torch.stack(written(family, ids).logits))
    assert max(far(logits[0], x) for x in logits) <= 1e-5
    assert max(far(generated[0], x) for x in generated) <= 1e-5
    assert max(far(plain[0], x) for x in plain) > 1e-2


def test_causal_rule_gives_back_the_model_itself(family) -> None:
    ids, spans = arranged((0, 1, 2, 3), LENGTHS)
    plain = asked(family, ids).logits
    own = torch.stack(written(family, ids).logits)
    with patched(family, Sofa(sigma=0.0), engine=partials.attend) as attention:
        attention.expect([spans])
        assert far(plain, asked(family, ids).logits) <= 1e-5
        assert far(own, torch.stack(written(family, ids).logits)) <= 1e-5


@pytest.mark.parametrize("rule", [Rotor(), Sofa(sigma=0.5), Isolate(), Nia(), Pine(importance="mean")], ids=str)
def test_a_rule_with_ranks_of_content_is_free_of_order(rule, plain_qwen2) -> None:
    found = []
    for order in ORDERS[:3]:
        ids, spans = arranged(order, LENGTHS)
        with patched(plain_qwen2, rule, engine=partials.attend) as attention:
            attention.expect([spans], ranks=[order])
            found.append(asked(plain_qwen2, ids).logits[:, -SUFFIX:])
    assert max(far(found[0], x) for x in found) <= 1e-5
    ids, _ = arranged(ORDERS[0], LENGTHS)
    assert far(asked(plain_qwen2, ids).logits[:, -SUFFIX:], found[0]) > 1e-3


def test_pine_is_free_of_order_on_images_of_smolvlm(weighted, text_size) -> None:
    text = dict(model_type="llama", **text_size)
    vision = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=28)
    config = tf.SmolVLMConfig(
        text_config=text, vision_config={**vision, "patch_size": 14}, image_token_id=89, scale_factor=2
    )
    model = weighted(tf.SmolVLMForConditionalGeneration(config))
    prefix, segments, suffix = texts(LENGTHS)
    pixels = torch.randn(4, 3, 28, 28, generator=torch.Generator().manual_seed(2))
    found = {"plain": [], "patched": [], "written": []}
    for order in ORDERS:
        ids = torch.cat([prefix.clamp(max=88), *(segments[k].clamp(max=88) for k in order), suffix.clamp(max=88)])
        spans = arranged(order, LENGTHS)[1]
        ids[[start for start, _ in spans]] = 89
        batch = dict(pixel_values=pixels[list(order)][None])
        found["plain"].append(asked(model, ids[None], **batch).logits[:, -SUFFIX:])
        with patched(model, Pine(), engine=partials.attend, stack=True) as attention:
            attention.expect([spans], ranks=[order])
            found["patched"].append(asked(model, ids[None], **batch).logits[:, -SUFFIX:])
            found["written"].append(torch.stack(written(model, ids[None], **batch).logits))
    spread = {name: max(far(x[0], y) for y in x) for name, x in found.items()}
    assert spread["patched"] <= 1e-5
    assert spread["written"] <= 1e-5
    assert spread["plain"] > 1e-2


def by_definition(model, ids, spans, n_suffix):
    """Logits of the suffix by the published method, layer by layer, with nothing of the patch: un-rotated queries and
    keys from the model's projections, positions and importance in the oracle, in fp64."""
    inner = model.model
    hidden = inner.embed_tokens(ids).double()
    n_tokens, region = ids.shape[1], sum(b - a for a, b in spans)
    suffix_position = PREFIX + region
    places = torch.arange(n_tokens)
    segments = []
    for rank, (a, b) in enumerate(spans):
        places[a:b] = torch.arange(suffix_position - (b - a), suffix_position)
        stretch = Stretch(start=a, end=b, position=suffix_position - (b - a), extent=b - a, rank=rank)
        segments.append(stretch)
    layout = SegmentLayout(
        start=0, segments=tuple(segments), end=n_tokens, width=n_tokens, suffix_position=suffix_position
    )
    inv_freq = 1.0 / 10000.0 ** (torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    angle = places[:, None] * inv_freq
    cos, sin = (torch.cat((x, x), -1) for x in (angle.cos(), angle.sin()))

    def turned(x):
        first, second = x.chunk(2, -1)
        return x * cos + torch.cat((-second, first), -1) * sin

    for layer in inner.layers:
        module, normed = layer.self_attn, layer.input_layernorm(hidden)
        q, k, v = (
            f(normed).view(1, n_tokens, -1, 8).transpose(1, 2) for f in (module.q_proj, module.k_proj, module.v_proj)
        )
        heads = Heads(
            query_BHQD=turned(q), key_BKLD=turned(k), value_BKLD=v, bare_query_BHQD=q, bare_key_BKRD=k, bare_start=0
        )
        rotation = Rotation(inv_freq_F=inv_freq)
        out = formula.attend(heads, [layout], rotation=rotation, rule=Pine(), score=Score(scale=8**-0.5))
        hidden = hidden + module.o_proj(out.transpose(1, 2).reshape(1, n_tokens, -1))
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    return model.lm_head(inner.norm(hidden))[:, -n_suffix:]


@pytest.mark.parametrize("lengths", [(7, 12), (7, 12, 4), (7, 12, 4, 9, 3)], ids=len)
def test_patched_qwen2_equals_the_published_method_in_prefill_and_three_decode_steps(
    lengths, plain_qwen2, text_model
) -> None:
    ids, spans = arranged(range(len(lengths)), lengths)
    with torch.no_grad(), patched(plain_qwen2, Pine(), engine=partials.attend, stack=True) as attention:
        attention.expect([spans])
        suffix = asked(plain_qwen2, ids).logits[:, -SUFFIX:]
        told = written(plain_qwen2, ids, count=4)
    steps = torch.stack(told.logits, dim=1)
    double = text_model("qwen2").double()
    with torch.no_grad():
        expected = by_definition(double, told.sequences[:, :-1], spans, SUFFIX + 3)
    assert float((suffix - expected[:, :SUFFIX]).abs().max()) <= 1e-4
    assert float((steps - expected[:, SUFFIX - 1 :]).abs().max()) <= 1e-4


def test_the_triton_engine_inside_a_model_gives_the_logits_of_the_pytorch_one(text_model) -> None:
    pytest.importorskip("triton")
    if torch.cuda.is_available():
        pytest.skip("the interpreter is for machines without a GPU")
    model = text_model("qwen2", num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)
    ids, spans = arranged((0, 1), (3, 2))
    found = {}
    for name in ("partials", "triton"):
        with patched(model, Pine(), engine=engine("cpu", name), stack=True) as attention:
            attention.expect([spans])
            found[name] = asked(model, ids).logits[:, -SUFFIX:]
    assert 0 < far(found["partials"], found["triton"]) <= 1e-5


@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_of_a_padded_batch_are_as_they_are_alone(side, plain_qwen2) -> None:
    rows = [arranged((0, 1, 2, 3), LENGTHS), arranged((1, 0), (3, 5), seed=4), arranged((0,), (11,), seed=5)]
    width = max(ids.shape[1] for ids, _ in rows)
    batch, mask, spans, real = torch.zeros(3, width, dtype=torch.long), torch.zeros(3, width, dtype=torch.long), [], []
    for row, (ids, own) in enumerate(rows):
        start = width - ids.shape[1] if side == "left" else 0
        end = start + ids.shape[1]
        batch[row, start:end], mask[row, start:end] = ids[0], 1
        spans.append([(start + a, start + b) for a, b in own])
        real.append((start, end))
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    with patched(plain_qwen2, Pine(), engine=partials.attend, stack=True) as attention:
        attention.expect(spans, real=real)
        together = asked(plain_qwen2, batch, mask=mask, position_ids=places).logits
        told = torch.stack(written(plain_qwen2, batch, mask=mask).logits) if side == "left" else None
        for row, (ids, own) in enumerate(rows):
            attention.expect([own])
            assert far(asked(plain_qwen2, ids).logits, together[row : row + 1, real[row][0] : real[row][1]]) <= 1e-5
            if told is not None:
                assert far(torch.stack(written(plain_qwen2, ids).logits), told[:, row : row + 1]) <= 1e-5


def test_two_questions_share_the_prefill_of_one_region(plain_qwen2) -> None:
    ids, spans = arranged((0, 1, 2, 3), LENGTHS)
    body, tails = ids[:, :-SUFFIX], (ids[:, -SUFFIX:], ids[:, -SUFFIX:].flip(1))
    with torch.no_grad(), patched(plain_qwen2, Pine(), engine=partials.attend, stack=True) as attention:
        attention.expect([spans])
        filled = asked(plain_qwen2, body, use_cache=True).past_key_values
        for tail in tails:
            alone = asked(plain_qwen2, torch.cat([body, tail], 1), use_cache=False).logits[:, -SUFFIX:]
            mask = torch.ones(1, ids.shape[1], dtype=torch.long)
            shared = plain_qwen2(input_ids=tail, attention_mask=mask, past_key_values=filled, use_cache=True).logits
            filled.crop(-SUFFIX)
            assert far(alone, shared) <= 1e-5


def test_one_segment_is_the_model_itself_bit_for_bit(family) -> None:
    ids, _ = arranged((0,), (20,))
    plain, own = asked(family, ids).logits, torch.stack(written(family, ids).logits)
    with patched(family, Pine(), engine=partials.attend, stack=True) as attention:
        attention.expect([[(PREFIX, PREFIX + 20)]])
        assert torch.equal(plain, asked(family, ids).logits)
        assert torch.equal(own, torch.stack(written(family, ids).logits))


def test_bf16_moves_no_more_with_order_than_two_implementations_of_plain_attention_differ(text_model) -> None:
    model = text_model("qwen2", attn_implementation="sdpa").to(torch.bfloat16)
    found = []
    for order in ORDERS[:4]:
        ids, spans = arranged(order, LENGTHS)
        with patched(model, Pine(), engine=partials.attend, stack=True) as attention:
            attention.expect([spans], ranks=[order])
            found.append(asked(model, ids).logits[:, -SUFFIX:].float())
    fused = asked(model, ids).logits[:, -SUFFIX:].float()
    model.set_attn_implementation("eager")
    eager = asked(model, ids).logits[:, -SUFFIX:].float()
    assert max(far(found[0], x) for x in found) <= far(fused, eager)


@pytest.mark.parametrize("limit", [dict(layers=[1]), dict(heads=[0, 3])], ids=str)
def test_layers_and_heads_left_out_attend_as_before(limit, plain_qwen2) -> None:
    ids, spans = arranged((0, 1, 2, 3), LENGTHS)
    plain = asked(plain_qwen2, ids).logits
    seen = {}
    for name, limits in {"some": limit, "all": {}}.items():
        with patched(plain_qwen2, Isolate(), engine=partials.attend, **limits) as attention:
            attention.expect([spans])
            seen[name] = asked(plain_qwen2, ids).logits
    assert far(plain, seen["some"]) > 1e-3
    assert far(seen["all"], seen["some"]) > 1e-3
    everything = {name: range(2 if name == "layers" else 4) for name in limit}
    with patched(plain_qwen2, Isolate(), engine=partials.attend, **everything) as attention:
        attention.expect([spans])
        assert far(seen["all"], asked(plain_qwen2, ids).logits) <= 1e-6


def test_model_is_as_it_was_after_the_patch_and_after_an_error(plain_qwen2) -> None:
    ids, spans = arranged((0, 1, 2, 3), LENGTHS)
    plain = asked(plain_qwen2, ids).logits
    hooks = lambda: [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in plain_qwen2.modules()]  # noqa: E731
    before = hooks()
    with patched(plain_qwen2, Pine(), engine=partials.attend) as attention:
        attention.expect([spans])
        assert not torch.equal(plain, asked(plain_qwen2, ids).logits)
    with pytest.raises(ZeroDivisionError), patched(plain_qwen2, Pine(), engine=partials.attend) as attention:
        attention.expect([spans])
        raise ZeroDivisionError
    assert torch.equal(plain, asked(plain_qwen2, ids).logits)
    assert plain_qwen2.config._attn_implementation == "sdpa"
    assert hooks() == before


def test_a_cache_filled_outside_of_the_patch_is_refused(plain_qwen2) -> None:
    ids, spans = arranged((0, 1, 2, 3), LENGTHS)
    filled = asked(plain_qwen2, ids, use_cache=True).past_key_values
    with patched(plain_qwen2, Pine(), engine=partials.attend) as attention:
        attention.expect([spans])
        with pytest.raises(ModelError, match="outside of the patch"):
            plain_qwen2(input_ids=ids[:, :1], past_key_values=filled)


def test_a_static_cache_is_refused(plain_qwen2) -> None:
    ids, spans = arranged((0, 1, 2, 3), LENGTHS)
    cache = tf.StaticCache(config=plain_qwen2.config, max_cache_len=80)
    with patched(plain_qwen2, Pine(), engine=partials.attend) as attention:
        attention.expect([spans])
        with pytest.raises(NotApplicable, match="StaticLayer"):
            asked(plain_qwen2, ids, past_key_values=cache)


def test_a_prefill_in_chunks_is_refused_where_it_cuts_the_segments_and_exact_where_it_does_not(plain_qwen2) -> None:
    ids, spans = arranged((0, 1, 2, 3), LENGTHS)
    mask = torch.ones_like(ids)
    with torch.no_grad(), patched(plain_qwen2, Pine(), engine=partials.attend, stack=True) as attention:
        attention.expect([spans])
        whole = asked(plain_qwen2, ids).logits[:, -3:]
        with pytest.raises(NotApplicable, match="chunk of 20 tokens, but the segments end at token 37"):
            written(plain_qwen2, ids, prefill_chunk_size=20)
        first = asked(plain_qwen2, ids[:, :-3], use_cache=True)
        rest = plain_qwen2(input_ids=ids[:, -3:], attention_mask=mask, past_key_values=first.past_key_values)
    assert far(whole, rest.logits) <= 1e-5


def test_a_model_with_recurrent_layers_is_refused_with_the_reason(text_size) -> None:
    more = dict(layer_types=["linear_attention", "full_attention"], linear_num_key_heads=2, linear_num_value_heads=2)
    size = dict(linear_key_head_dim=8, linear_value_head_dim=8, num_experts=2, num_experts_per_tok=1)
    config = tf.Qwen3NextConfig(
        **text_size, **more, **size, moe_intermediate_size=16, shared_expert_intermediate_size=16
    )
    with pytest.raises(NotApplicable, match="qwen3_next: .*linear_attention.*recurrent"):
        patched(tf.Qwen3NextForCausalLM(config), Pine(), engine=partials.attend).__enter__()


def test_a_model_without_rotary_positions_is_refused() -> None:
    model = tf.GPT2LMHeadModel(tf.GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20))
    with pytest.raises(NotApplicable, match="no rotary embedding"):
        patched(model, Pine(), engine=partials.attend).__enter__()
