"""The patches on real adapters of all families: real clips and images, any order, and the model put back."""

import functools
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf

from vlbias import rooms
from vlbias.debias import Setting
from vlbias.debias._inside import canonical
from vlbias.errors import BadInput, NotApplicable
from vlbias.models import hf
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

    def make(order, *, counts=(2, 2, 2)):
        clips = [Part(place=k, kind="clip", frames=frames(k, count)) for k, count in enumerate(counts)]
        # The space at the end keeps the tokenizer from joining the last word to what follows.
        segments = [*clips, Part(place=3, kind="text", text="hello red green blue ")]
        placed = [replace(segments[k], place=place) for place, k in enumerate(order)]
        parts = (Part(text="hello "), *placed, Part(text=" what is it ?"))
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


def test_patched_batch_equals_prompts_one_by_one(adapters, prompt_of) -> None:
    adapter = adapters("qwen2_5_vl")
    asked = [prompt_of(order) for order in ((0, 1, 2, 3), (3, 1), (2,), (1, 0, 3))]
    with rooms.find("debias", "pine").load(order="given").applied(adapter) as patched:
        together = patched.score(asked)
        alone = [patched.score([prompt])[0] for prompt in asked]
    for a, b in zip(together, alone):
        assert a.logprobs == pytest.approx(b.logprobs, abs=2e-5)


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
        ("pine", {"layers": [-1]}, "layers=\\[-1\\]"),
        ("sofa", {"sigma": 2.0}, "sigma=2.0"),
        ("profile_pine", {"best_slot": -1}, "best_slot=-1"),
    ],
)
def test_a_bad_option_is_refused_with_what_would_be_right(method, options, words) -> None:
    with pytest.raises(BadInput, match=words):
        rooms.find("debias", method).load(**options)


def test_a_layer_that_the_model_does_not_have_is_refused(adapters) -> None:
    with (
        pytest.raises(BadInput, match="layers holds 7, but this model has 2"),
        rooms.find("debias", "rotor").load(layers=[7]).applied(adapters("qwen2_vl")),
    ):
        pass
