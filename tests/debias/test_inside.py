"""The patches on real adapters of all families: real clips and images, any order, and the model put back."""

import functools
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf

from vlbias import arms, rooms
from vlbias.debias import Setting
from vlbias.debias._inside import canonical
from vlbias.debias._reading import blanked
from vlbias.debias.found_in_the_middle import shares_MS
from vlbias.errors import BadInput, NotApplicable
from vlbias.models import hf
from vlbias.models._counting import counting
from vlbias.records import Fault, Identity, Part, Prompt

# The processor of GLM-4.1V hands lists of tensors to numpy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
METHODS = ("pine", "pine_lite", "rotor", "sofa", "isolate", "nia")
FAMILIES = (
    "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v", "llava_onevision", "internvl", "video_llava", "gemma3",
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny():
    """The builders of tiny random models that the tests of the adapter use."""
    path = Path(__file__).parents[1] / "models" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_families", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(tiny, kind):
    if kind in tiny.QWENS:
        return tiny.qwen(kind)
    if kind != "gemma3":
        return tiny.OTHERS[kind]()
    _, reader = tiny.OTHERS[kind]()
    layers = dict(layer_types=["sliding_attention", "full_attention"], sliding_window=16, query_pre_attn_scalar=16)
    config = tf.Gemma3Config(
        text_config={**tiny.TEXT, **layers}, vision_config=dict(patch_size=14, vision_use_head=False, **tiny.VISION),
        mm_tokens_per_image=4, image_token_id=4, boi_token_id=5, eoi_token_id=6,
    )  # fmt: skip
    return tf.Gemma3ForConditionalGeneration(config), reader


def loaded(tiny, kind):
    torch.manual_seed(5)
    model, reader = built(tiny, kind)
    with torch.no_grad():
        for value in model.parameters():
            if value.dim() > 1:
                value.normal_(0, 0.15)
    identity = Identity(adapter="hf", name=kind, attention="sdpa")
    return hf.HFModel(model=model.eval(), processor=reader, identity=identity)


@pytest.fixture(scope="session")
def adapters(tiny):
    return functools.cache(lambda kind: loaded(tiny, kind))


@pytest.fixture(scope="session")
def prompt_of(tiny):
    frames = tiny.frames.__wrapped__() if hasattr(tiny.frames, "__wrapped__") else tiny.frames.__pytest_wrapped__.obj()

    def make(order, *, counts=(2, 2, 2), question=" what is it ?"):
        clips = [Part(place=k, kind="clip", frames=frames(k, count)) for k, count in enumerate(counts)]
        # The space at the end keeps the tokenizer from joining the last word to what follows.
        segments = [*clips, Part(place=3, kind="text", text="hello red green blue ")]
        placed = [replace(segments[k], place=place) for place, k in enumerate(order)]
        parts = (Part(text="hello "), *placed, Part(text=question))
        return Prompt(trial_id="t", parts=parts, options=("A", "B", "new york"))

    return make


def logits_of(adapter, ask):
    """The logits of every forward that happens while `ask` runs, last token first to last row."""
    seen = []
    hook = adapter.model.register_forward_hook(lambda _m, _a, out: seen.append(out.logits[:, -1].float().clone()))
    try:
        answers = ask()
    finally:
        hook.remove()
    assert not any(isinstance(answer, Fault) for answer in answers), answers
    return torch.cat(seen)


def far(found):
    return max(float((found[0] - x).abs().max()) for x in found) / float(found[0].abs().max())


def orders(count=5):
    rng = np.random.default_rng(8)
    return [tuple(rng.permutation(4).tolist()) for _ in range(count)]


@pytest.mark.parametrize("kind", FAMILIES)
def test_pine_is_free_of_order_on_real_clips_in_forward_and_generate(kind, adapters, prompt_of) -> None:
    adapter = adapters(kind)
    patch = rooms.find("debias", "pine").load(order="given")
    # The processors of the other families take clips of one length only.
    counts = (2, 4, 6) if kind in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v") else (2, 2, 2)
    asked = [prompt_of(order, counts=counts) for order in orders()]
    plain = [logits_of(adapter, lambda p=p: adapter.score([p])) for p in asked]
    with patch.applied(adapter) as patched:
        scored = [logits_of(adapter, lambda p=p: patched.score([p])) for p in asked]
        written = [logits_of(adapter, lambda p=p: patched.generate([p], max_new_tokens=4)) for p in asked]
    assert far(scored) <= 1e-5
    assert far(written) <= 1e-5
    assert far(plain) > 1e-3


@pytest.mark.parametrize("kind", FAMILIES)
def test_canonical_order_gives_equal_bits_in_bf16(kind, adapters, prompt_of) -> None:
    adapter = adapters(kind)
    adapter.model.to(torch.bfloat16)
    try:
        with rooms.find("debias", "pine").load().applied(adapter) as patched:
            found = [patched.score([prompt_of(order)])[0].logprobs for order in orders(3)]
    finally:
        adapter.model.to(torch.float32)
    assert len(set(found)) == 1
    assert len(set(found[0])) == 3


@pytest.mark.parametrize("kind", FAMILIES)
def test_bf16_moves_no_more_with_order_than_two_plain_attentions_differ(kind, adapters, prompt_of) -> None:
    adapter = adapters(kind)
    asked = [prompt_of(order) for order in orders(3)]
    adapter.model.to(torch.bfloat16)
    try:
        with rooms.find("debias", "pine").load(order="given").applied(adapter) as patched:
            found = [logits_of(adapter, lambda p=p: patched.score([p])) for p in asked]
        plain = []
        for name in ("sdpa", "eager"):
            adapter.model.set_attn_implementation({"text_config": name})
            plain.append(logits_of(adapter, lambda: adapter.score(asked[:1])))
    finally:
        adapter.model.set_attn_implementation({"text_config": "sdpa"})
        adapter.model.to(torch.float32)
    assert far(found) <= far(plain)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_changes_the_answer_and_gives_one_answer_for_all_orders(method, adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    plain = adapter.score([prompt_of((0, 1, 2, 3))])[0]
    with rooms.find("debias", method).load().applied(adapter) as patched:
        found = [patched.score([prompt_of(order)])[0] for order in orders(3)]
    assert len({x.logprobs for x in found}) == 1
    assert found[0].logprobs != plain.logprobs
    assert adapter.score([prompt_of((0, 1, 2, 3))])[0] == plain


@pytest.mark.parametrize("method", ["collapse", "concentric", "reverse", "shuffle"])
def test_an_ablation_of_positions_changes_the_answer_and_leaves_no_trace(method, adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    asked = [prompt_of((0, 1, 2, 3), counts=(2, 4, 6)), prompt_of((2, 0), counts=(2, 4, 6))]
    plain = adapter.score(asked)
    with rooms.find("debias", method).load().applied(adapter) as patched:
        found = patched.score(asked)
    assert all(a.logprobs != b.logprobs and a.segment_spans == b.segment_spans for a, b in zip(plain, found))
    assert adapter.score(asked) == plain


def test_the_slow_engine_of_choice_gives_the_answer_of_the_default_one(adapters, prompt_of) -> None:
    adapter, asked = adapters("qwen2_5_vl"), [prompt_of((0, 1, 2, 3))]
    found = {}
    for engine in ("auto", "partials", "formula"):
        with rooms.find("debias", "pine").load(engine=engine, sharing="off").applied(adapter) as patched:
            found[engine] = patched.score(asked)[0].logprobs
    assert found["auto"] == found["partials"] != found["formula"]
    assert found["formula"] == pytest.approx(found["auto"], abs=2e-5)


def test_triton_can_be_chosen_by_name(adapters, monkeypatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with rooms.find("debias", "pine").load(engine="triton").opened(adapters("qwen2_5_vl").model) as attention:
        assert attention._method.engine.__module__ == "vlbias.attention.kernel_triton"


def test_patched_batch_equals_prompts_one_by_one(adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    asked = [prompt_of(order) for order in ((0, 1, 2, 3), (3, 1), (2,), (1, 0, 3))]
    with rooms.find("debias", "pine").load(order="given").applied(adapter) as patched:
        together = patched.score(asked)
        alone = [patched.score([prompt])[0] for prompt in asked]
    for a, b in zip(together, alone):
        assert a.logprobs == pytest.approx(b.logprobs, abs=2e-5)


SHARED = [*((kind, "pine") for kind in FAMILIES), *(("qwen2_5_vl", method) for method in METHODS if method != "pine")]


@pytest.mark.parametrize(("kind", "method"), SHARED)
def test_questions_about_the_same_segments_share_one_prefill_and_answer_as_apart(
    kind, method, adapters, prompt_of
) -> None:
    adapter = adapters(kind)
    # A long clip: transformers lets the question of a Qwen2.5-VL begin before the times of the clip end.
    counts = (2, 4, 12) if kind in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v") else (2, 2, 2)
    questions = (" what is it ?", " what red it blue ?", " what red ?")
    asked = [prompt_of(order, counts=counts, question=q) for order in orders(2) for q in questions]
    with rooms.find("debias", method).load().applied(adapter) as patched:
        with counting(adapter) as together:
            shared = patched.score(asked)
        with counting(adapter) as separately:
            apart = patched.score_apart(asked)
        with counting(adapter) as lonely:
            alone = patched.score(asked[1:2])
    assert alone == shared[1:2]
    assert together.n_tokens < 2 * lonely.n_tokens < separately.n_tokens / 2
    assert [x.logprobs for x in shared[:3]] == [x.logprobs for x in shared[3:]]
    assert len({x.logprobs for x in shared}) == 3
    for a, b in zip(shared, apart):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
        assert replace(a, logprobs=()) == replace(b, logprobs=())


def test_sharing_of_segments_can_be_left_out(adapters, prompt_of) -> None:
    adapter, asked = adapters("qwen2_vl"), [prompt_of(order) for order in orders(2)]
    fed = {}
    for sharing in ("auto", "off"):
        with rooms.find("debias", "pine").load(sharing=sharing).applied(adapter) as patched, counting(adapter) as work:
            patched.score(asked)
        fed[sharing] = work.n_tokens
    assert fed["auto"] < fed["off"] / 2


def test_equal_prompts_are_written_to_once(adapters, prompt_of) -> None:
    adapter, asked = adapters("qwen2_vl"), [prompt_of(order) for order in orders(3)]
    with rooms.find("debias", "pine").load().applied(adapter) as patched:
        with counting(adapter) as one:
            patched.generate(asked[:1], max_new_tokens=3)
        with counting(adapter) as three:
            found = patched.generate(asked, max_new_tokens=3)
    assert one.n_tokens == three.n_tokens
    assert len({x.text for x in found}) == 1
    assert len({x.segment_spans for x in found}) > 1


def test_a_prompt_that_cannot_be_asked_is_a_fault_of_its_own_among_those_that_share(adapters, prompt_of) -> None:
    adapter, good = adapters("qwen2_vl"), prompt_of((0, 1, 2, 3))
    bad = replace(good, options=("A", ""))
    with rooms.find("debias", "pine").load().applied(adapter) as patched:
        found = patched.score([good, bad, prompt_of((2,))])
        one = patched.score([good])
    assert [isinstance(x, Fault) for x in found] == [False, True, False]
    assert found[1].kind == "unfit"
    assert found[:1] == one


def test_spans_are_told_by_the_places_of_the_prompt_that_was_given(adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    with rooms.find("debias", "pine").load().applied(adapter) as patched:
        found = {order: patched.score([prompt_of(order)])[0].segment_spans for order in orders(3)}
    by_content = [{k: spans[place] for place, k in enumerate(order)} for order, spans in found.items()]
    assert all(spans == by_content[0] for spans in by_content)
    lengths = {k: b - a for k, (a, b) in by_content[0].items()}
    assert lengths[3] == 4


def test_one_segment_is_answered_bit_for_bit_as_without_the_patch(adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    plain = adapter.score([prompt_of((2,))])[0]
    with rooms.find("debias", "pine").load().applied(adapter) as patched:
        assert patched.score([prompt_of((2,))])[0] == plain


def test_the_adapter_is_as_it_was_after_an_error_inside(adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    plain = adapter.score([prompt_of((0, 1, 2, 3))])[0]
    with pytest.raises(ZeroDivisionError), rooms.find("debias", "pine").load().applied(adapter) as patched:
        patched.score([prompt_of((0, 1, 2, 3))])
        raise ZeroDivisionError
    assert adapter.watch is None
    assert adapter.model.config.text_config._attn_implementation == "sdpa"
    assert adapter.score([prompt_of((0, 1, 2, 3))])[0] == plain


def test_the_vision_tower_keeps_its_attention(adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    seen = []
    with rooms.find("debias", "pine").load().applied(adapter) as patched:
        hook = adapter.model.model.visual.register_forward_hook(
            lambda m, _a, _out: seen.append((m.config._attn_implementation, adapter.model.config.text_config))
        )
        patched.score([prompt_of((0, 1, 2, 3))])
        text = adapter.model.config.text_config._attn_implementation
        hook.remove()
    assert {name for name, _ in seen} == {"sdpa"}
    assert text == "vlbias_segment"


def test_identity_names_the_patch(adapters) -> None:
    with rooms.find("debias", "rotor").load().applied(adapters("qwen2_5_vl")) as patched:
        assert patched.identity.attention == "sdpa+rotor"


def test_profile_pine_stands_the_most_important_segment_where_it_is_told(adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    found = {}
    for best in range(4):
        with rooms.find("debias", "profile_pine").load(best_slot=best).applied(adapter) as patched:
            found[best] = [patched.score([prompt_of(order)])[0].logprobs for order in orders(2)]
    with rooms.find("debias", "pine").load().applied(adapter) as patched:
        pine = patched.score([prompt_of((0, 1, 2, 3))])[0].logprobs
    assert all(a == b for a, b in found.values())
    assert found[3][0] == pine
    assert len({values[0] for values in found.values()}) == 4


def test_words_between_segments_are_refused(prompt_of) -> None:
    prompt = prompt_of((0, 1, 2, 3))
    parts = (*prompt.parts[:2], Part(text="then"), *prompt.parts[2:])
    with pytest.raises(NotApplicable, match="'then' stand between two segments"):
        canonical(replace(prompt, parts=parts))


@pytest.mark.parametrize("white_box", [True, False])
def test_a_model_without_weights_is_refused_by_name(white_box) -> None:
    patch = rooms.find("debias", "pine").load()
    setting = Setting(kind="insertion", n_slots=1 if white_box else 4, n_options=3, logprobs=True, white_box=white_box)
    with pytest.raises(NotApplicable, match="found 1 segment" if white_box else "needs a white-box model"):
        patch.needs(setting)


def test_a_scripted_model_is_refused() -> None:
    model = rooms.find("models", "scripted").load()
    with (
        pytest.raises(NotApplicable, match="needs a white-box model, found the adapter scripted"),
        rooms.find("debias", "pine").load().applied(model),
    ):
        pass


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("pine", {"heds": [1]}, "unknown option 'heds'.*heads"),
        ("pine", {"order": "random"}, "order='random'"),
        ("pine", {"sharing": "on"}, "sharing='on'.*auto"),
        ("pine", {"engine": "cuda"}, "engine='cuda'.*partials"),
        ("pine", {"layers": [-1]}, "layers=\\[-1\\]"),
        ("pine", {"heads": "0+x"}, "heads='0\\+x'; give numbers from 0 on"),
        ("pine", {"heads": []}, "heads=\\[\\]"),
        ("pine", {"heads": True}, "heads=True"),
        ("sofa", {"sigma": 2.0}, "sigma=2.0"),
        ("profile_pine", {"best_slot": -1}, "best_slot=-1"),
    ],
)
def test_a_bad_option_is_refused_with_what_would_be_right(method, options, words) -> None:
    with pytest.raises(BadInput, match=words):
        rooms.find("debias", method).load(**options)


@pytest.mark.parametrize(
    ("text", "expected"), [("1", {1}), ("0+1", {0, 1}), ("0-1", {0, 1}), ("alternate", {0}), ("none", None)]
)
def test_layers_can_be_named_in_a_config(text, expected, adapters) -> None:
    with arms.load(f"rotor:layers={text}").method.opened(adapters("qwen2_5_vl").model) as attention:
        assert attention._method.layers == (None if expected is None else frozenset(expected))


def test_a_layer_that_the_model_does_not_have_is_refused(adapters) -> None:
    with (
        pytest.raises(BadInput, match="layers holds 7, but this model has 2"),
        rooms.find("debias", "rotor").load(layers=[7]).applied(adapters("qwen2_vl")),
    ):
        pass


WEIGHTS = ("found_in_the_middle", "uac", "sink_removal:epsilon=0")


def method_of(text):
    name, _, option = text.partition(":")
    return rooms.find("debias", name).load(**{k: float(v) for k, v in [option.split("=")]} if option else {})


@pytest.mark.parametrize("text", WEIGHTS)
def test_a_method_by_attention_weights_changes_the_answer_and_leaves_no_trace(text, adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    asked = [prompt_of((0, 1, 2, 3), counts=(2, 4, 6)), prompt_of((2, 0), counts=(2, 4, 6))]
    plain, words = adapter.score(asked), adapter.generate(asked, max_new_tokens=3)
    with method_of(text).applied(adapter) as patched:
        found, written = patched.score(asked), patched.generate(asked, max_new_tokens=3)
        again = patched.score(asked[::-1])[::-1]
        told = patched.nll(asked, ["new york", "A"])
        twins = patched.more_prompts
    assert all(a.logprobs != b.logprobs and a.segment_spans == b.segment_spans for a, b in zip(plain, found))
    assert not any(isinstance(x, Fault) for x in (*found, *written, *told))
    assert [x.logprobs for x in again] == [x.logprobs for x in found]
    assert twins == (0 if text.startswith("sink") else 2)
    assert adapter.watch is None
    assert adapter.model.config.text_config._attn_implementation == "sdpa"
    assert (adapter.score(asked), adapter.generate(asked, max_new_tokens=3)) == (plain, words)


@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind != "qwen2_5_vl"])
def test_blank_twins_lie_as_their_prompts_do_in_every_family(kind, adapters, prompt_of) -> None:
    adapter, prompt = adapters(kind), prompt_of((0, 1, 2, 3))
    plain = adapter.score([prompt])[0]
    # Of the methods, this one compares token by token.
    with method_of("uac").applied(adapter) as patched:
        found = patched.score([prompt])[0]
    assert not isinstance(found, Fault), found
    assert np.abs(np.subtract(found.logprobs, plain.logprobs)).max() > 1e-4
    assert adapter.score([prompt])[0] == plain


def test_options_of_several_tokens_are_weighed_as_they_are_alone(adapters, prompt_of) -> None:
    adapter, prompt = adapters("qwen2_5_vl"), prompt_of((0, 1, 2, 3))
    with method_of("found_in_the_middle").applied(adapter) as patched:
        together = patched.score([prompt])[0].logprobs
        alone = [patched.score([replace(prompt, options=(text,))])[0].logprobs[0] for text in prompt.options]
    assert together == pytest.approx(alone, abs=2e-5)


def test_a_prompt_without_content_is_read_alike_at_every_place(adapters, prompt_of) -> None:
    adapter, reads = adapters("qwen2_5_vl"), []
    twin = blanked(prompt_of((0, 1, 2, 3)))
    method = rooms.find("debias", "found_in_the_middle").load(layers=[0])
    weigh = method.weighing.weigh

    def kept(read, dummy_MS, picture_L):
        out = weigh(read, dummy_MS, picture_L)
        reads.append((read, replace(read, weights_HML=out)))
        return out

    method = replace(method, weighing=replace(method.weighing, weigh=kept))
    with method.applied(adapter) as patched:
        patched.score([replace(twin, options=("A",))])
    before, after = (shares_MS(x)[: x.n_prompt] for x in reads[0])
    assert (after - 0.25).abs().max() < 1e-5
    assert (before - 0.25).abs().max() > 1e-2


def test_lad_sees_the_attention_and_leaves_the_scores_as_they_are(adapters, prompt_of) -> None:
    adapter, prompt = adapters("qwen2_5_vl"), prompt_of((0, 1, 2, 3))
    plain = adapter.score([prompt])[0]
    with rooms.find("debias", "lad").load().observed(adapter) as observed:
        found = observed.score([prompt])[0]
        assert observed.identity == adapter.identity
    attention_LS = np.array(found.segment_attention_LS)
    assert attention_LS.shape == (2, 4)
    assert (attention_LS > 0).all()
    assert (attention_LS.sum(axis=1) < 1).all()
    assert replace(found, segment_attention_LS=None, logprobs=plain.logprobs) == plain
    assert found.logprobs == pytest.approx(plain.logprobs, abs=2e-5)
    assert adapter.watch is None


def one_picture(frames, seed=0):
    picture = Part(place=0, kind="image", frames=frames(seed, 1))
    return Prompt(trial_id="t", parts=(Part(text="hello "), picture, Part(text=" what is it ?")), options=("A", "B"))


def test_an_image_alone_is_read_in_another_order_and_the_model_put_back(tiny, adapters) -> None:
    frames = tiny.frames.__wrapped__() if hasattr(tiny.frames, "__wrapped__") else tiny.frames.__pytest_wrapped__.obj()
    adapter, asked = adapters("qwen2_vl"), one_picture(frames)
    plain = adapter.score_apart([asked])[0].logprobs
    found = {}
    for text in ("within_image", *(f"within_image:positions={p}" for p in ("collapsed", "reversed", "shuffled")),
                 "within_image:sight=bidirectional", "collapse"):  # fmt: skip
        with arms.load(text).method.applied(adapter) as patched:
            found[text] = patched.score([asked])[0].logprobs
            assert not isinstance(patched.generate([asked], max_new_tokens=2)[0], Fault)
    assert found.pop("within_image") == plain == adapter.score_apart([asked])[0].logprobs
    assert found["collapse"] == found["within_image:positions=collapsed"]
    assert plain not in found.values() and len(set(found.values())) == 4


def test_a_method_between_segments_is_refused_where_prompts_hold_one_and_those_within_an_image_are_not() -> None:
    setting = Setting(kind="grid", n_slots=9, n_segments=1, n_options=2, logprobs=True, white_box=True)
    for name in ("pine", "reverse", "shuffle"):
        with pytest.raises(NotApplicable, match="found 1 segment in a prompt.*within_image"):
            arms.load(name).method.needs(setting)
    for name in ("within_image", "collapse", "concentric"):
        arms.load(name).method.needs(setting)


@pytest.mark.parametrize("sight", ["causal", "bidirectional"])
def test_every_token_is_written_under_the_ablation_from_the_logits_of_the_whole_prompt(tiny, adapters, sight) -> None:
    frames = tiny.frames.__wrapped__() if hasattr(tiny.frames, "__wrapped__") else tiny.frames.__pytest_wrapped__.obj()
    adapter, prompt = adapters("qwen2_vl"), one_picture(frames)
    plain_LV = logits_of(adapter, lambda: adapter.generate([prompt], max_new_tokens=4))
    for positions in ("reversed", "concentric", "collapsed"):
        with arms.load(f"within_image:positions={positions}:sight={sight}").method.applied(adapter) as patched:
            steps_LV = logits_of(adapter, lambda: patched.generate([prompt], max_new_tokens=4))  # noqa: B023
            tail = tuple(steps_LV[:-1].argmax(-1).tolist())
            logits_LV = adapter._logits([(adapter.encoded(prompt), tail)], len(steps_LV))[0]
        torch.testing.assert_close(steps_LV, logits_LV.float(), atol=1e-4, rtol=1e-4)
        n = min(len(steps_LV), len(plain_LV))
        assert n > 1 and ((steps_LV[:n] - plain_LV[:n]).abs().amax(-1) > 1e-3).all()


def test_all_arms_of_a_method_are_named_at_once_and_a_method_of_one_arm_says_so() -> None:
    found = arms.load_all("within_image:all,pine")
    assert len(found) == 15 == len({arm.slug for arm in found}) and found[-1].text == "pine"
    assert "within_image:positions=concentric:sight=bidirectional" in {arm.text for arm in found}
    assert "within_image:positions=raster:sight=causal" not in {arm.text for arm in found}
    with pytest.raises(BadInput, match="pine has one arm only; give pine"):
        arms.load_all("pine:all")
