"""The adapter on tiny models of real families."""

import math

import pytest
import torch

from vlbias.models import hf
from vlbias.models._batch import collate
from vlbias.records import Fault, OptionScores

# transformers turns a tensor into an array the old way in the processor of GLM-4V.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def scores(model, prompt):
    (found,) = model.score([prompt])
    assert isinstance(found, OptionScores), found
    return found


def test_spans_are_apart_in_order_and_hold_every_vision_token(model, ask):
    prompt = ask([1, 2, 3])
    encoded = model.encoded(prompt)
    spans = encoded.spans
    assert len(spans) == 4
    assert all(a < b for a, b in spans) and all(a[1] <= b[0] for a, b in zip(spans, spans[1:]))
    ids = encoded.inputs["input_ids"][0].tolist()
    inside = {i for a, b in spans for i in range(a, b)}
    family = model.identity.family
    vision = {4} if family in ("gemma3", "internvl") else {4, 5}
    assert {i for i, token in enumerate(ids) if token in vision} <= inside
    assert sum(token in vision for token in ids) >= 3
    assert len({b - a for a, b in spans[:3]}) == 1
    assert model.processor.tokenizer.decode(ids[slice(*spans[3])]).split() == ["hello", "red"]


def test_another_clip_changes_the_embeddings_of_its_own_span_alone(model, ask):
    def embeddings(seeds):
        kept = []

        def keep(module, args, kwargs):
            kept.append(kwargs["inputs_embeds"])

        decoder = model.model.get_decoder() if hasattr(model.model, "get_decoder") else model.model.model.language_model
        handle = decoder.register_forward_pre_hook(keep, with_kwargs=True)
        try:
            found = scores(model, ask(seeds))
        finally:
            handle.remove()
        return kept[0][0], found.segment_spans

    (one, spans), (two, _) = embeddings([1, 2, 3]), embeddings([1, 9, 3])
    moved = (one - two).abs().amax(-1) > 1e-5
    start, end = spans[1]
    assert moved[start:end].any()
    assert not moved[:start].any() and not moved[end:].any()


def test_scores_are_those_of_the_whole_softmax(model, ask):
    prompt = ask([1, 2])
    found = scores(model, prompt)
    encoded = model.encoded(prompt)
    batch = model._batch([(encoded, ())])
    with torch.no_grad():
        logprobs = model.model(**batch).logits[0, -1].double().log_softmax(-1)
    ids = [model.processor.tokenizer.convert_tokens_to_ids(o) for o in prompt.options]
    assert found.logprobs == pytest.approx([float(logprobs[i]) for i in ids], abs=1e-5)
    assert sum(math.exp(x) for x in found.logprobs) <= 1
    assert model.score([prompt])[0].logprobs == found.logprobs


def test_a_batch_of_mixed_lengths_scores_as_one_by_one(model, ask):
    prompts = [ask([1, 2]), ask([3], "what red blue is it ?"), ask([4, 5, 6], options=("new york", "A"))]
    together = model.score(prompts)
    for prompt, found in zip(prompts, together):
        alone = scores(model, prompt)
        assert found.logprobs == pytest.approx(alone.logprobs, abs=1e-5)
        assert found.segment_spans == alone.segment_spans


def test_three_clips_give_three_answers(model, ask):
    assert len({round(scores(model, ask([seed])).logprobs[0], 7) for seed in (1, 2, 3)}) == 3


def test_an_option_of_two_tokens_is_the_sum_of_its_steps(model, ask):
    prompt = ask([1, 2], options=("new york", "red"))
    encoded = model.encoded(prompt)
    tokenizer = model.processor.tokenizer
    new, york = tokenizer.convert_tokens_to_ids(["new", "york"])
    total = 0.0
    for before, token in (((), new), ((new,), york)):
        with torch.no_grad():
            logits = model.model(**model._batch([(encoded, before)])).logits
        total += float(logits[0, -1].log_softmax(-1)[token])
    assert scores(model, prompt).logprobs[0] == pytest.approx(total, abs=1e-5)
    assert model.nll([prompt], ["new york"])[0] == pytest.approx(-total, abs=1e-5)


def test_an_option_that_begins_another_counts_without_it(model, ask):
    whole = scores(model, ask([1, 2], options=("new", "red"))).logprobs[0]
    apart = scores(model, ask([1, 2], options=("new york", "red"))).logprobs[0]
    new, both = scores(model, ask([1, 2], options=("new", "new york"))).logprobs
    assert math.exp(new) == pytest.approx(math.exp(whole) - math.exp(apart), rel=1e-4) and new < whole
    assert both == pytest.approx(apart, abs=1e-5)


def test_the_first_generated_word_is_the_most_likely_one(model, ask):
    prompts = [ask([1, 2]), ask([3])]
    replies = model.generate(prompts, max_new_tokens=3)
    for prompt, reply in zip(prompts, replies):
        batch = model._batch([(model.encoded(prompt), ())])
        with torch.no_grad():
            best = int(model.model(**batch).logits[0, -1].argmax())
        text = model.processor.tokenizer.decode([best], skip_special_tokens=True)
        assert reply.text.startswith(text)
        assert reply == model.generate([prompt], max_new_tokens=3)[0]


def test_tokens_counts_without_weights(model, ask):
    prompts = [ask([1, 2]), ask([3])]
    assert hf.tokens(prompts, pretrained=model.identity.name) == [model.score([p])[0].n_tokens for p in prompts]


def test_a_prompt_longer_than_the_window_is_a_fault_with_both_numbers(model, ask):
    prompt = ask([1], words="red " * 600)
    (found,) = model.score([prompt])
    assert isinstance(found, Fault) and found.kind == "too_long"
    assert "600" in found.reason and str(hf.encode(model.processor, prompt, model._style).n_tokens) in found.reason


def test_padding_stands_on_the_left_and_is_masked(model, ask):
    short, long = model.encoded(ask([1])), model.encoded(ask([1], "red what is it ?"))
    batch = collate([(short, (5,)), (long, ())], pad_id=0)
    assert batch["attention_mask"].sum(1).tolist() == [short.n_tokens + 1, long.n_tokens]
    assert batch["input_ids"][0, -1] == 5
