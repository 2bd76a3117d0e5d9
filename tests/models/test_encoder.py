"""Segments of one shape are encoded together, each once, and come out as one by one."""

import dataclasses
import threading

import pytest
import torch

from vlbias.models import hf
from vlbias.models._encoder import shape
from vlbias.models._features import FeatureCache
from vlbias.records import Fault, OptionScores, Part, Prompt

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
CLOSE = dict(rtol=0, atol=1e-5)


@pytest.fixture
def load(build):
    """A model of a family that was asked nothing, so that calls can be counted; `calls` are the rows of each."""

    def fresh(kind="qwen2_vl", **given):
        found = hf.load(pretrained=str(build(kind)), device="cpu", **given)
        encoder, found.calls = found.sharing.encoder, []
        call, encoder.n_calls = encoder.call, 0
        encoder.call = lambda rows: found.calls.append(list(rows)) or call(rows)
        found.sharing.forget()
        return found

    return fresh


@pytest.fixture
def segments(frames):
    """Processed clips of a model by seed, of `count` frames each."""

    def make(model, seeds, count=2, kind="clip"):
        parts = [Part(place=0, kind=kind, frames=frames(seed, count)) for seed in seeds]
        return [model.sharing.processed(part, "t") for part in parts]

    return make


@pytest.mark.parametrize("kind", ["clip", "image"])
def test_a_batch_gives_every_segment_the_features_it_has_alone(model, segments, kind):
    if model.sharing is None:
        assert model.identity.family == "gemma3", "of these only this family shares nothing"
        return
    rows, encoder = segments(model, range(40, 45), count=2 if kind == "clip" else 1, kind=kind), model.sharing.encoder
    assert encoder.together and len(set(map(shape, rows))) == 1
    before = encoder.n_calls
    together = encoder.features(rows)
    assert encoder.n_calls == before + 1
    for row, found in zip(rows, together, strict=True):
        (alone,) = encoder.call([row])
        torch.testing.assert_close(found.embeds_LD, alone.embeds_LD, **CLOSE)
        assert len(found.deep_VD) == len(alone.deep_VD) == (model.identity.family == "qwen3_vl")
        for layer, expected in zip(found.deep_VD, alone.deep_VD):
            torch.testing.assert_close(layer, expected, **CLOSE)
            assert torch.equal(found.visual_L, alone.visual_L) and len(layer) == found.visual_L.sum() > 0
    assert all((one.embeds_LD - two.embeds_LD).abs().max() > 1e-3 for one, two in zip(together, together[1:]))


def test_what_a_segment_keeps_is_its_own_and_not_the_memory_of_its_batch(load, segments):
    model = load("qwen3_vl")
    for found in model.sharing.encoder.features(segments(model, range(4))):
        for value in (found.embeds_LD, found.visual_L, *found.deep_VD):
            assert value.untyped_storage().nbytes() == value.numel() * value.element_size()


def test_ten_equal_clips_of_a_forward_are_one_call_and_each_is_encoded_once(load, ask):
    model = load()
    orders = [[*range(1, slot + 1), 0, *range(slot + 1, 10)] for slot in range(10)]
    found = model.score([ask(order) for order in orders])
    assert all(isinstance(one, OptionScores) for one in found)
    assert [len(rows) for rows in model.calls] == [10] and model.sharing.encoder.n_calls == 1
    assert model.sharing.features.n_made == 10


def test_a_call_holds_no_more_tokens_than_a_forward_may(load, ask):
    model = load()
    one = model.sharing.processed(ask([0]).parts[1], "t").n_tokens
    model.sharing.encoder.room.most_tokens = 4 * one
    model.score([ask(range(10))])
    assert [len(rows) for rows in model.calls] == [4, 4, 2]


def test_segments_of_unlike_shapes_are_never_in_one_call(load, frames):
    model = load()
    seconds = [frames(seed, count) for seed, count in ((1, 2), (2, 4), (3, 2), (4, 4), (5, 6))]
    parts = [Part(place=k, kind="clip", frames=f) for k, f in enumerate(seconds)]
    parts += [Part(place=5, kind="image", frames=frames(6, 1)), Part(text="what is it ?")]
    prompt = Prompt(trial_id="t", parts=tuple(parts), options=("A", "B"))
    (found,) = model.score([prompt])
    assert [len(set(map(shape, rows))) for rows in model.calls] == [1] * len(model.calls)
    assert sorted(len(rows) for rows in model.calls) == [1, 1, 2, 2]
    assert found.logprobs == pytest.approx(model.score_apart([prompt])[0].logprobs, abs=1e-5)


def test_equal_tokens_with_other_grids_or_other_pixels_are_of_another_shape(load, segments):
    (row,) = segments(load(), [1])
    turned = {**row.inputs, "video_grid_thw": row.inputs["video_grid_thw"][:, [0, 2, 1]] * torch.tensor([1, 2, 1])}
    assert shape(row) != shape(dataclasses.replace(row, inputs=turned))
    larger = {**row.inputs, "pixel_values_videos": row.inputs["pixel_values_videos"].repeat(2, 1)}
    assert shape(row) != shape(dataclasses.replace(row, inputs=larger))


def test_a_cache_smaller_than_a_forward_needs_encodes_each_segment_once_in_it(load, ask):
    model = load()
    held = model.sharing.encode([ask([1])]).values()
    one = next(iter(held)).n_bytes
    model.sharing.features = FeatureCache(3 * one, on=torch.device("cpu"))
    prompts = [ask(range(10), words) for words in ("what is it ?", "is it red ?")]
    found = model.score(prompts)
    assert model.sharing.features.n_made == 10 and model.sharing.features.n_bytes <= 3 * one
    for one, other in zip(found, model.score_apart(prompts)):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_a_batch_that_does_not_fit_is_halved_and_a_segment_that_does_not_is_a_fault(load, ask):
    model = load()
    call, tried = model.sharing.encoder.call, []

    def small(rows, most):
        tried.append(len(rows))
        if len(rows) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return call(rows)

    model.sharing.encoder.call = lambda rows: small(rows, most=3)
    (found,) = model.score([ask(range(8))])
    assert isinstance(found, OptionScores) and tried == [8, 4, 2, 2, 2, 2]
    model.sharing.encoder.call = lambda rows: small(rows, most=0)
    fault, known = model.score([ask([99, 1]), ask([1, 2])])
    assert isinstance(fault, Fault) and fault.kind == "memory" and isinstance(known, OptionScores)


def test_a_segment_that_is_being_encoded_is_not_prepared_again(load, ask):
    model, prompts = load(), [ask([1, 2, 3])]
    call, prepared = model.sharing.encoder.call, model.sharing.prepared
    prepared.limit_bytes = 1 << 20

    def while_preparing(rows):
        thread = threading.Thread(target=model.prepare, args=([ask([1, 2, 3, 4])],))
        thread.start()
        thread.join()
        return call(rows)

    model.sharing.encoder.call = while_preparing
    model.score(prompts)
    assert prepared.n_put == 1, "only the clip that is not being encoded"
    model.score([ask([4])])
    assert (prepared.n_taken, prepared.n_bytes) == (1, 0)


@pytest.mark.parametrize("wrong", [lambda x: x.flip(0), lambda x: x + x.mean(0, keepdim=True)])
def test_a_family_whose_batches_differ_is_encoded_one_by_one_and_says_so(load, ask, monkeypatch, wrong):
    inner = type(load().model.model)
    forward = inner.forward

    def mixed(self, *args, **given):
        grid, ids = given.get("video_grid_thw"), given.get("input_ids")
        if grid is not None and ids is not None and len(grid) == len(ids) > 1:
            given["pixel_values_videos"] = wrong(given["pixel_values_videos"])
        return forward(self, *args, **given)

    monkeypatch.setattr(inner, "forward", mixed)
    model = load()
    assert model.identity.sharing.startswith("segments (one by one: a batch of them changed a feature by ")
    prompts = [ask([1, 2, 3])]
    (found,) = model.score(prompts)
    assert [len(rows) for rows in model.calls] == [1, 1, 1]
    assert found.logprobs == pytest.approx(model.score_apart(prompts)[0].logprobs, abs=1e-5)


def test_a_family_whose_batches_fail_is_encoded_one_by_one_and_says_so(load, ask, monkeypatch):
    inner = type(load().model.model)
    forward = inner.forward

    def refusing(self, *args, **given):
        if given.get("video_grid_thw") is not None and len(given["video_grid_thw"]) == len(given["input_ids"]) > 1:
            raise ValueError("one row at a time")
        return forward(self, *args, **given)

    monkeypatch.setattr(inner, "forward", refusing)
    model = load()
    assert "(one by one: a batch of them failed: ValueError: one row at a time)" in model.identity.sharing
    assert isinstance(model.score([ask([1, 2])])[0], OptionScores)
