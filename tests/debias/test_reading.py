"""Corrections by attention weights on weights made by hand: what was planted goes, what was right stays."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vlbias import rooms
from vlbias.attention.reading import Read
from vlbias.debias import Setting
from vlbias.debias._reading import blanked
from vlbias.debias.found_in_the_middle import calibrated, shares_MS
from vlbias.debias.lad import log_bias_IJ
from vlbias.debias.sink_removal import sinks, without
from vlbias.debias.uac import factors, weighed
from vlbias.errors import BadInput, NotApplicable
from vlbias.records import Frames, Part, Prompt

SPANS = ((2, 5), (5, 7), (7, 11))
BIAS = torch.tensor([4.0, 1.0, 2.0])
INSIDE = ("found_in_the_middle", "uac", "sink_removal")
SETTING = Setting(kind="images", n_slots=4, n_options=4, logprobs=True, white_box=True, n_fit=20)


def read(segments_S, *, n_prompt=3, n_reading=3, heads=2) -> Read:
    """Weights whose masses on segments are as given, spread unevenly within each; the rest stands elsewhere."""
    chance = torch.Generator().manual_seed(1)
    weights_HML = torch.rand(heads, n_reading, 13, generator=chance).double()
    mass_S = torch.as_tensor(segments_S).double()
    for number, (a, b) in enumerate(SPANS):
        inner = weights_HML[..., a:b] / weights_HML[..., a:b].sum(-1, keepdim=True)
        weights_HML[..., a:b] = inner * 0.6 * mass_S[number] / mass_S.sum()
    rest = [0, 1, 11, 12]
    weights_HML[..., rest] *= 0.4 / weights_HML[..., rest].sum(-1, keepdim=True)
    return Read(layer=0, weights_HML=weights_HML, spans=SPANS, start=0, n_prompt=n_prompt)


def test_segments_that_attract_what_a_dummy_attracts_there_are_read_alike() -> None:
    found = read(BIAS)
    out = replace(found, weights_HML=calibrated(found, shares_MS(found), temperature=0.1))
    assert torch.allclose(shares_MS(out), torch.full((3, 3), 1 / 3).double())
    assert torch.allclose(out.masses_HMS().sum(-1), found.masses_HMS().sum(-1))
    assert torch.allclose(out.weights_HML.sum(-1), torch.ones(2, 3).double())
    for a, b in SPANS:
        inner = found.weights_HML[..., a:b] / found.weights_HML[..., a:b].sum(-1, keepdim=True)
        assert torch.allclose(out.weights_HML[..., a:b] / out.weights_HML[..., a:b].sum(-1, keepdim=True), inner)


def test_a_relevant_segment_at_a_bad_place_is_read_most() -> None:
    dummy = shares_MS(read(BIAS))
    relevant = read(torch.tensor([4.0, 2.0, 2.0]))
    assert shares_MS(relevant)[0].argmax() == 0
    out = replace(relevant, weights_HML=calibrated(relevant, dummy, temperature=0.05))
    assert shares_MS(out).argmax(-1).tolist() == [1, 1, 1]
    assert torch.allclose(shares_MS(out)[0], ((shares_MS(relevant) - dummy)[0] / 0.05).softmax(-1))


def test_tokens_of_an_answer_are_compared_with_the_last_token_of_the_dummy() -> None:
    dummy_MS = torch.tensor([[0.6, 0.2, 0.2], [0.5, 0.3, 0.2], [0.2, 0.4, 0.4]]).double()
    found = read(BIAS, n_prompt=3, n_reading=5)
    out = replace(found, weights_HML=calibrated(found, dummy_MS, temperature=0.1))
    expected = ((shares_MS(found) - dummy_MS[[0, 1, 2, 2, 2]]) / 0.1).softmax(-1)
    assert torch.allclose(shares_MS(out), expected)
    later = replace(found, n_prompt=0)
    last = ((shares_MS(found) - dummy_MS[2]) / 0.1).softmax(-1)
    assert torch.allclose(shares_MS(replace(later, weights_HML=calibrated(later, dummy_MS, temperature=0.1))), last)


def test_attention_on_blank_pictures_becomes_uniform_and_keeps_its_sum() -> None:
    blank = read(BIAS)
    picture_L = torch.zeros(13, dtype=torch.bool)
    picture_L[[2, 3, 4, 5, 7, 8, 9]] = True
    factor_HT = factors(blank.weights_HML[:, -1, picture_L], floor=1e-6)
    out = weighed(blank, factor_HT, picture_L)[:, -1]
    on_pictures = out[:, picture_L]
    assert torch.allclose(on_pictures, on_pictures.mean(-1, keepdim=True).expand(-1, 7))
    assert torch.allclose(on_pictures.sum(-1), blank.weights_HML[:, -1, picture_L].sum(-1))
    assert torch.allclose(out[:, ~picture_L], blank.weights_HML[:, -1, ~picture_L])
    assert factors(torch.tensor([[0.0, 1.0]]), floor=0.1).tolist() == [[10.0, 0.5]]
    with pytest.raises(NotApplicable, match="8 tokens of pictures, but 7"):
        weighed(blank, factor_HT, picture_L | (torch.arange(13) == 11))
    with pytest.raises(NotApplicable, match="holds no pictures"):
        weighed(blank, factor_HT, torch.zeros(13, dtype=torch.bool))


def test_a_sink_is_dropped_in_its_head_alone_and_the_rest_keeps_its_proportions() -> None:
    found = read(BIAS)
    weights_HML = found.weights_HML * 0.5
    weights_HML[0, :, 0] += 0.5
    weights_HML[1, :, 3] += 0.5
    found = replace(found, weights_HML=weights_HML)
    sink_HL = sinks(found, prefix_only=True, epsilon=0.45)
    assert sink_HL.nonzero().tolist() == [[0, 0]]
    assert sinks(found, prefix_only=False, epsilon=0.45).nonzero().tolist() == [[0, 0], [1, 3]]
    out = without(found, sink_HL, torch.zeros(0))
    assert not out[0, :, 0].any()
    assert torch.allclose(out[0, :, 1:], weights_HML[0, :, 1:] / weights_HML[0, :, 1:].sum(-1, keepdim=True))
    assert torch.equal(out[1], weights_HML[1] / weights_HML[1].sum(-1, keepdim=True))
    assert without(found, sinks(found, prefix_only=True, epsilon=0.9), torch.zeros(0)) is None


def test_blank_twins_of_prompts_that_differ_in_content_alone_are_one() -> None:
    def prompt(seed: int, text: str) -> Prompt:
        pixels = np.random.default_rng(seed).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
        frames = Frames(
            frames_THWC=pixels, timestamps_s=(seed + 0.0, seed + 0.5), asked_s=(0.0, 0.5), sha256=str(seed),
            decoder="t", decoder_version="1",
        )  # fmt: skip
        parts = (Part(place=0, kind="clip", frames=frames), Part(place=1, text=text), Part(text="which?"))
        return Prompt(trial_id="t", parts=parts, options=("A", "B"))

    one, other = blanked(prompt(1, "red and blue ")), blanked(prompt(2, "a dark door "))
    assert one.sha256 == other.sha256 != prompt(1, "red and blue ").sha256
    assert (one.parts[1].text, one.parts[2].text) == ("x x x ", "which?")
    assert blanked(prompt(1, "red")).sha256 != one.sha256


@pytest.mark.parametrize("name", INSIDE)
def test_a_model_whose_attention_is_not_to_be_had_is_refused(name) -> None:
    method = rooms.find("debias", name).load()
    method.needs(SETTING)
    with pytest.raises(NotApplicable, match="needs the attention weights of the model; use the adapter hf"):
        method.needs(replace(SETTING, white_box=False))
    with (
        pytest.raises(NotApplicable, match="found the adapter scripted"),
        method.applied(rooms.find("models", "scripted").load()),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("found_in_the_middle", {"temperature": 0}, "temperature=0"),
        ("found_in_the_middle", {"layers": "lower"}, "layers='lower'.*upper"),
        ("uac", {"floor": 2}, "floor=2"),
        ("uac", {"flor": 1}, "unknown option 'flor'.*floor"),
        ("sink_removal", {"where": "first"}, "where='first'"),
        ("sink_removal", {"epsilon": 1}, "epsilon=1"),
        ("lad", {"top_layers": 0}, "top_layers=0"),
    ],
)
def test_a_bad_option_is_refused_with_what_would_be_right(name, options, words) -> None:
    with pytest.raises(BadInput, match=words):
        rooms.find("debias", name).load(**options)


@pytest.fixture(scope="module")
def indexed(write, trial_of, answered):
    """An answer to which of four segments is right, with the scores of the places and the attention on them."""

    def make(i, gold, scores, attention_LS):
        trial = trial_of(i, gold)
        shown = tuple([*range(1, gold + 1), 0, *range(gold + 1, 4)])
        trial = replace(trial, option_order=shown, factors=(("asks", "index"),))
        found = answered(write(trial), np.asarray(scores, dtype=float))
        return replace(found, segment_attention_LS=tuple(tuple(map(float, row)) for row in attention_LS))

    return make


LIKING = np.log([0.7, 0.1, 0.1, 0.1])
PLACES = np.array([0.4, 0.1, 0.2, 0.3])


def attention_on(place, *, gain=3.0):
    """Four layers: the lower two look at places only, the upper two also at what is right."""
    upper = PLACES * np.where(np.arange(4) == place, gain, 1.0)
    return [PLACES * 2, PLACES, 0.5 * upper, 0.4 * upper]


def biased(indexed, probes):
    """A model that knows a little of the right place and likes the first one more."""
    return [
        indexed(i, gold, LIKING + 0.8 * (np.arange(4) == gold), attention_on(gold)) for i in probes for gold in range(4)
    ]


def test_lad_finds_the_right_place_where_attention_does_and_scores_do_not(indexed) -> None:
    method = rooms.find("debias", "lad").load()
    answers = biased(indexed, range(12))
    correction = method.fit(answers[:24], rng=np.random.default_rng(0))
    held_out = answers[24:]
    assert sum(a.correct for a in held_out) == 6
    assert all(correction(a).correct for a in held_out)
    again = method.from_json(dict(correction.to_json()))
    assert [again(a) for a in held_out] == [correction(a) for a in held_out]


def test_the_posterior_of_lad_is_the_gain_over_what_places_attract(indexed) -> None:
    method = rooms.find("debias", "lad").load(temperature=1.0)
    correction = method.fit(biased(indexed, range(4)), rng=np.random.default_rng(0))
    posterior_S = np.exp(correction.log_posterior_S(indexed(9, 2, LIKING, attention_on(2))))
    # Of the fitting trials a quarter has each place right, so what places attract is the same factor everywhere.
    assert posterior_S == pytest.approx(np.array([1, 1, 3, 1]) / 6)


def test_without_a_gain_lad_divides_by_the_mean_bias(indexed) -> None:
    method = rooms.find("debias", "lad").load()
    answers = biased(indexed, range(4))
    correction = method.fit(answers, rng=np.random.default_rng(0))
    even = indexed(9, 2, LIKING, attention_on(None))
    prior_J = np.exp(log_bias_IJ(answers, "4 segments")).mean(axis=0)
    expected = LIKING - np.log(prior_J)
    assert correction(even).logprobs == pytest.approx(expected - np.log(np.exp(expected).sum()))


def test_the_bias_of_lad_keeps_other_places_and_never_favours_the_right_one(indexed) -> None:
    answers = biased(indexed, range(4))
    bias_IJ = np.exp(log_bias_IJ(answers, "4 segments"))
    seen_IJ = np.array([np.exp(answers[gold].logprobs) for gold in range(4)])
    off = ~np.eye(4, dtype=bool)
    assert np.allclose(bias_IJ[off], seen_IJ[off])
    assert all(bias_IJ[i, i] <= bias_IJ[i, j] + 1e-12 for i in range(4) for j in range(4))


def test_lad_leaves_other_answers_alone_and_refuses_what_it_cannot_do(indexed, write, trial_of, answered) -> None:
    method = rooms.find("debias", "lad").load()
    answers = biased(indexed, range(4))
    correction = method.fit(answers, rng=np.random.default_rng(0))
    content = answered(write(trial_of(3, 1)), LIKING)
    assert correction(content) is content
    with pytest.raises(NotApplicable, match="tells no attention on its segments"):
        correction(replace(answers[0], segment_attention_LS=None))
    with pytest.raises(NotApplicable, match="no fitting answer has place 3 right"):
        method.fit([a for a in answers if a.asked.slot != 2], rng=np.random.default_rng(0))
    with pytest.raises(NotApplicable, match="the answer is not a segment"):
        method.needs(SETTING)
    index = replace(SETTING, answer_is_segment=True)
    method.needs(index)
    with pytest.raises(NotApplicable, match="attention of the model on each segment; the adapter hf gives it"):
        method.needs(replace(index, white_box=False))
    with pytest.raises(BadInput, match="log_bias of 4 segments"):
        method.from_json({**correction.to_json(), "log_bias": {"4 segments": [[0.0], ["x"]]}})
