"""Sharing gives the answers that asking every prompt apart gives, at the exact minimum of tokens."""

import dataclasses
import gc
import itertools
import json
import shutil
import threading

import pytest
import torch
from transformers import MllamaConfig, MllamaForConditionalGeneration

from vlbias.errors import ModelError
from vlbias.models import _options, _sharing, hf
from vlbias.models._features import FeatureCache, Features
from vlbias.models._sharing import why_not
from vlbias.models._trie import closed_form
from vlbias.records import Fault, OptionScores, Part

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
QUESTIONS = ("what is it ?", "is it red ?", "what red blue is it ?")
OPTIONS = ("new york", "new", "A")  # one begins another


@pytest.fixture
def sweep(ask):
    """Prompts of every slot and question, over the backgrounds 1 to 3."""

    def make(questions=QUESTIONS, options=OPTIONS, evidence=9):
        orders = [(1, 2, 3)[:k] + (evidence,) + (1, 2, 3)[k:] for k in range(4)]
        return [ask(order, words, options=options) for order in orders for words in questions]

    return make


def test_what_is_shared_scores_as_what_is_asked_apart(model, sweep):
    prompts = sweep()
    together, apart = model.score(prompts), model.score_apart(prompts)
    for one, other in zip(together, apart):
        assert isinstance(one, OptionScores)
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
        assert (one.n_tokens, one.segment_spans) == (other.n_tokens, other.segment_spans)
    assert len({one.logprobs for one in together}) == len(prompts)


def test_only_a_family_that_is_not_causal_is_asked_apart(model):
    if model.identity.family == "gemma3":
        assert model.identity.sharing == "off: tokens of one image see each other in both directions"
        assert model.sharing is None
    else:
        assert model.identity.sharing == "segments, prefixes and suffixes"


@pytest.fixture(scope="module")
def qwen(build):
    return hf.load(pretrained=str(build("qwen2_vl")), device="cpu")


def test_the_tokens_of_a_sweep_equal_the_closed_form(qwen, frames):
    from_seeds = [Part(place=0, kind="clip", frames=frames(seed)) for seed in range(5)]
    orders = [(1, 2, 3, 4)[:k] + (0,) + (1, 2, 3, 4)[k:] for k in range(5)]
    prompts = []
    for order in orders:
        for words in ("what is it ?", "is it red ?"):
            clips = [dataclasses.replace(from_seeds[seed], place=place) for place, seed in enumerate(order)]
            prompts.append(qwen_prompt([Part(text="hello "), *clips, Part(text=words)]))
    before = qwen.sharing.walker.n_tokens
    (first, *_) = qwen.score(prompts)
    spans = first.segment_spans
    expected = closed_form(
        n_backgrounds=4,
        n_prefix=spans[0][0],
        n_segment=spans[1][0] - spans[0][0],
        n_suffix=first.n_tokens - spans[-1][1],
        n_suffixes=2,
    )
    assert len({b - a for a, b in spans}) == 1 and spans[1][0] == spans[0][1]
    assert qwen.sharing.walker.n_tokens - before == expected
    assert expected < sum(found.n_tokens for found in qwen.score(prompts)) / 2


def qwen_prompt(parts):
    return hf.Prompt(trial_id="t", parts=tuple(parts), options=("A", "B"))


def test_each_segment_is_encoded_once_however_often_it_is_asked(qwen, sweep):
    made = qwen.sharing.features.n_made
    qwen.score(sweep(evidence=21))
    first = qwen.sharing.features.n_made - made
    qwen.score(sweep(evidence=22, questions=("hello ?",)))
    assert first <= 4 and qwen.sharing.features.n_made - made == first + 1


def test_a_walk_holds_one_path_and_one_pack_in_memory_and_not_the_tree(build, sweep):
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu")
    walker = model.sharing.walker
    walker.pack_tokens, walker.most_held, walker.n_tokens = 20, 0, 0
    prompts = sweep()
    found = model.score(prompts)
    longest = max(one.n_tokens for one in found)
    assert longest < walker.most_held <= longest + walker.pack_tokens < walker.n_tokens / 2
    for one, other in zip(found, model.score_apart(prompts)):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_a_score_does_not_depend_beyond_rounding_on_what_was_asked_before(build, sweep):
    prompts = sweep()
    fresh, used = (hf.load(pretrained=str(build("qwen2_vl")), device="cpu") for _ in range(2))
    used.score(sweep(evidence=7))
    for one, other in zip(used.score(prompts), fresh.score(prompts), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-6)


def test_a_patched_model_is_asked_apart(qwen, sweep):
    walked = qwen.sharing.walker.n_forwards
    handle = qwen.model.model.language_model.register_forward_hook(lambda *_: None)
    try:
        qwen.score(sweep()[:2])
    finally:
        handle.remove()
    qwen.watch = lambda *_: None
    qwen.score(sweep()[:2])
    qwen.watch = None
    assert qwen.sharing.walker.n_forwards == walked
    qwen.score(sweep()[:2])
    assert qwen.sharing.walker.n_forwards > walked


def test_eager_attention_shares_as_well(build, sweep):
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu", attn_implementation="eager")
    assert model.identity.sharing == "segments, prefixes and suffixes"
    for one, other in zip(model.score(sweep()[:4]), model.score_apart(sweep()[:4])):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_sharing_can_be_turned_off(build, sweep):
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu", sharing="off")
    assert model.sharing is None and model.identity.sharing == "off: not asked for"


def test_a_window_that_slides_is_never_shared(build, tmp_path):
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu", sharing="off").model
    model.config.get_text_config().layer_types = ["full_attention", "sliding_attention"]
    assert "sliding_attention" in why_not(model)


def test_an_encoder_that_looks_at_neighbours_is_found_at_load(build, monkeypatch):
    kept = hf.load(pretrained=str(build("qwen2_vl")), device="cpu", sharing="off")
    tower = type(kept.model.model.visual)
    original = tower.forward

    def leaking(self, *args, **given):
        found = original(self, *args, **given)
        found.pooler_output = found.pooler_output + found.pooler_output.mean(0, keepdim=True)
        return found

    monkeypatch.setattr(tower, "forward", leaking)
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu")
    assert model.identity.sharing.startswith("off: a trial of it changed a log-probability")


def test_prompts_that_read_alike_are_written_once_and_others_are_not(build, sweep, ask, monkeypatch):
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu")
    written, compose = [], _sharing.compose

    def counted(processor, prompt, style, alone):
        written.append(prompt)
        return compose(processor, prompt, style, alone)

    monkeypatch.setattr(_sharing, "compose", counted)
    model.score(sweep())
    assert len(written) == len(QUESTIONS)
    longer, other = ask([9, 1, 2, 3], QUESTIONS[0], options=OPTIONS, count=4), ask([9, 1], QUESTIONS[0])
    found = model.score([longer, other])
    assert len(written) == len(QUESTIONS) + 2
    assert [x.n_tokens for x in found] == [x.n_tokens for x in model.score_apart([longer, other])]


def test_an_option_is_written_once_however_many_prompts_have_it(build, sweep, monkeypatch):
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu")
    written, variants = [], _options.variants
    monkeypatch.setattr(_options, "variants", lambda t, option: written.append(option) or variants(t, option))
    model.score(sweep())
    assert sorted(written) == sorted(OPTIONS)


def test_a_model_that_runs_out_of_memory_in_a_forward_loses_no_row_and_remembers_what_fitted(build, sweep):
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu")
    prompts = sweep()
    expected = model.score_apart(prompts)
    limit = max(found.n_tokens for found in expected) + 4
    real, refused = model.sharing.walker.model, []

    class Small:
        """The real model, in a memory of `limit` cached tokens."""

        def __call__(self, **given):
            if given["attention_mask"].shape[-1] > limit:
                refused.append(given["attention_mask"].shape[-1])
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real(**given)

        def __getattr__(self, name):
            return getattr(real, name)

    model.sharing.walker.model = Small()
    for one, other in zip(model.score(prompts), expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
    first = len(refused)
    again = model.score(prompts)
    assert first > 0 and len(refused) == first, "the second batch is halved before it fails"
    assert all(isinstance(one, OptionScores) for one in again)


def test_all_orders_of_four_options_cost_one_prefix_and_their_suffixes(qwen, frames):
    clips = [Part(place=k, kind="clip", frames=frames(60 + k)) for k in range(3)]
    texts = [" ".join(order) for order in itertools.permutations(("red", "blue", "green", "york"))]
    prompts = [qwen_prompt([*clips, Part(text=f"what is it ? {text}")]) for text in texts]
    before, made = qwen.sharing.walker.n_tokens, qwen.sharing.features.n_made
    found = qwen.score(prompts)
    start = found[0].segment_spans[-1][1]
    assert len({one.n_tokens for one in found}) == 1 and len(found) == 24
    assert qwen.sharing.walker.n_tokens - before == start + 24 * (found[0].n_tokens - start)
    assert qwen.sharing.features.n_made - made == 3


def test_what_was_prepared_in_another_thread_is_taken_and_changes_no_score(build, sweep):
    plain, ahead = (hf.load(pretrained=str(build("qwen2_vl")), device="cpu") for _ in range(2))
    prompts, ahead.sharing.prepared.limit_bytes = sweep(evidence=33), 1 << 20
    thread = threading.Thread(target=ahead.prepare, args=(prompts,))
    thread.start()
    thread.join()
    prepared = ahead.sharing.prepared
    assert prepared.n_put == 4 and prepared.n_bytes > 0
    assert [x.logprobs for x in ahead.score(prompts)] == [x.logprobs for x in plain.score(prompts)]
    assert (prepared.n_taken, prepared.n_bytes) == (4, 0)
    ahead.prepare(prompts)
    assert prepared.n_put == 4, "encoded segments are not prepared again"


def test_no_more_is_prepared_than_its_bound_holds_and_the_rest_waits_for_its_turn(build, sweep):
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu")
    model.prepare(sweep())
    assert model.sharing.prepared.n_put == 0, "a CPU has no device to overlap with"
    model.sharing.prepared.limit_bytes = 1
    model.prepare(sweep())
    assert model.sharing.prepared.n_put == 1
    assert all(isinstance(found, OptionScores) for found in model.score(sweep()))


def test_a_segment_that_cannot_be_processed_is_told_when_its_prompt_is_asked(qwen, ask, monkeypatch):
    def refuse(*_):
        raise ModelError("no such clip")

    monkeypatch.setattr(qwen.sharing, "processed", refuse)
    monkeypatch.setattr(qwen.sharing.prepared, "limit_bytes", 1 << 20)
    qwen.prepare([ask([71])])
    (fault,) = qwen.score([ask([71])])
    assert isinstance(fault, Fault) and "no such clip" in fault.reason


def test_a_bad_prompt_is_a_fault_of_its_own(model, ask):
    good, bad = ask([1, 2]), ask([1, 2], options=("A", "A"))
    found, fault = model.score([good, bad])
    assert isinstance(found, OptionScores)
    assert isinstance(fault, Fault) and fault.kind == "unfit" and "same tokens" in fault.reason


def test_the_words_of_an_option_count_against_the_window(qwen, ask):
    words = "red " * 500
    short = ask([1], words, options=("A", "B"))
    room = 600 - qwen.encoded(short).n_tokens
    exact = ask([1], words + "red " * room, options=("A", "B"))
    over = dataclasses.replace(exact, options=("new york", "B"))
    assert isinstance(qwen.score([exact])[0], OptionScores)
    for fault in (*qwen.score([over]), *qwen.score_apart([over])):
        assert fault.kind == "too_long" and "1 of the answer" in fault.reason


@pytest.fixture
def made():
    def make(**more):
        return Features(encoded=hf.Encoded(inputs={}, spans=()), embeds_LD=torch.zeros(4, 8), **more)

    return make


def test_the_cache_of_features_forgets_what_was_used_longest_ago(made):
    cache, put = FeatureCache(2 * 4 * 8 * 4, on=torch.device("cpu")), []
    for key in ("a", "b", "a", "c", "a", "b"):
        if cache.find(key) is None:
            cache.put(key, made())
            put.append(key)
        assert cache.n_bytes <= cache.limit_bytes
    assert put == ["a", "b", "c", "b"]


def test_features_larger_than_the_cache_are_used_and_not_kept(made):
    cache, one = FeatureCache(0, on=torch.device("cpu")), made()
    assert cache.put("a", one).embeds_LD is one.embeds_LD
    assert (cache.n_bytes, cache.n_made, cache.find("a")) == (0, 1, None)


def test_features_are_kept_where_the_cache_is_and_used_where_the_model_is(build, sweep, made):
    away = FeatureCache(1 << 20, on=torch.device("meta"))  # a device that is not the model's
    kept = away.put("a", made(deep_VD=(torch.zeros(2, 8),)))
    assert (kept.embeds_LD.device.type, kept.deep_VD[0].device.type, kept.visual_L) == ("meta", "meta", None)
    folder = str(build("qwen3_vl"))
    on_device, on_host = (hf.load(pretrained=folder, device="cpu", cache_on=place) for place in ("device", "host"))
    assert on_host.sharing.features.device == torch.device("cpu")
    assert [x.logprobs for x in on_host.score(sweep())] == [x.logprobs for x in on_device.score(sweep())]
    with pytest.raises(ModelError, match="cache_on='disk'"):
        hf.load(pretrained=folder, cache_on="disk")


def test_what_many_probes_leave_behind_does_not_grow(build, ask):
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu", cache_gb=2e-6)
    held = []
    for probe in range(12):
        model.score([ask(order, "is it red ?") for order in ([1000 + probe, 1, 2], [1, 1000 + probe, 2])])
        if probe % 4 == 3:
            gc.collect()
            held.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
    assert model.sharing.features.n_made > 20, "the bound was never met"
    assert held[1] == held[2]


def test_a_model_whose_layers_look_through_a_window_is_asked_apart_and_its_window_counts(build, ask, tmp_path):
    folder = tmp_path / "windowed"
    shutil.copytree(build("qwen2_vl"), folder)
    told = json.loads((folder / "config.json").read_text())
    told["text_config"] |= {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 8}
    told["text_config"] |= {"use_sliding_window": True, "max_window_layers": 1}
    (folder / "config.json").write_text(json.dumps(told))
    model, whole = (hf.load(pretrained=str(f), device="cpu") for f in (folder, build("qwen2_vl")))
    assert model.identity.sharing == "off: its text model has layers of the kind sliding_attention"
    prompts = [ask((1, 2, 3), "is it red ?"), ask((2, 1, 3), "is it red ?")]
    found, other = model.score(prompts), whole.score(prompts)
    assert [x.logprobs for x in found] == [x.logprobs for x in model.score_apart(prompts)]
    assert all(abs(a.logprobs[0] - b.logprobs[0]) > 1e-3 for a, b in zip(found, other))


def test_a_model_that_looks_at_images_by_cross_attention_is_never_shared():
    text = dict(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=90, cross_attention_layers=[1], pad_token_id=0,
    )  # fmt: skip
    vision = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_global_layers=1, attention_heads=2)
    vision |= dict(image_size=28, patch_size=14, vision_output_dim=64, intermediate_layers_indices=[0])
    vision |= dict(supported_aspect_ratios=[[1, 1]])
    model = MllamaForConditionalGeneration(MllamaConfig(text_config=text, vision_config=vision, image_token_index=4))
    assert why_not(model) == "its text model looks at images by cross-attention"
