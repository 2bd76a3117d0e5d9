"""The adapter of plain decoders, on tiny random ones behind a tiny random visual tower."""

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from vlbias import canary
from vlbias.errors import CanaryDied, ModelError
from vlbias.models import plain
from vlbias.models._encodings import ENCODINGS
from vlbias.records import OptionScores


@pytest.fixture(scope="session")
def plain_folders(build, tmp_path_factory) -> dict[str, Path]:
    """One folder per encoding; the visual tower and the words' processor are those of a tiny Qwen2-VL."""
    other = AutoModelForImageTextToText.from_pretrained(build("qwen2_vl"), dtype=torch.float32)
    text = dict(
        vocab_size=90, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=600, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    made = {}
    for encoding in ENCODINGS:
        torch.manual_seed(6)
        config = plain.PlainConfig(
            text_config={**text, "encoding": encoding},
            vision_config=other.config.vision_config.to_dict(),
            image_token_id=4,
            video_token_id=5,
        )
        model = plain.PlainDecoder(config)
        with torch.no_grad():
            for value in model.parameters():
                if value.dim() > 1:
                    value.normal_(0, 0.3)
        made[encoding] = tmp_path_factory.mktemp(encoding)
        model.save_pretrained(made[encoding])
        AutoProcessor.from_pretrained(build("qwen2_vl")).save_pretrained(made[encoding])
    return made


@pytest.fixture(scope="session", params=ENCODINGS)
def plain_model(request, plain_folders):
    return plain.load(pretrained=str(plain_folders[request.param]), device="cpu")


def scores(model, prompts) -> list[tuple[float, ...]]:
    found = model.score(prompts)
    assert all(isinstance(x, OptionScores) for x in found), found
    return [x.logprobs for x in found]


def test_a_prompt_padded_beside_a_longer_one_has_the_same_scores(plain_model, ask):
    short, long = ask([1, 2]), ask([3, 4, 5, 6])
    (alone,), (beside, _) = scores(plain_model, [short]), scores(plain_model, [short, long])
    assert beside == pytest.approx(alone, abs=1e-4)
    assert all(math.isfinite(x) and x < 0 for x in alone)


def test_the_clips_and_their_order_reach_the_answer(plain_model, ask):
    one, swapped, other = scores(plain_model, [ask([1, 2, 3]), ask([3, 2, 1]), ask([1, 2, 9])])
    assert one != pytest.approx(swapped, abs=1e-4)
    assert one != pytest.approx(other, abs=1e-4)


def test_an_option_of_two_words_is_scored_word_by_word(plain_model, ask):
    ((both,),) = scores(plain_model, [ask([1], options=("new york",))])
    (said,) = plain_model.nll([ask([1])], ["new york"])
    assert both == pytest.approx(-said, abs=1e-4)


def test_it_scores_and_does_not_generate(plain_model):
    assert plain_model.capabilities.score and plain_model.capabilities.nll and not plain_model.capabilities.generate


def test_what_is_known_of_the_model_names_its_encoding(plain_folders):
    model = plain.load(pretrained=str(plain_folders["t5"]), device="cpu", dtype="auto")
    about = model.identity
    assert (about.adapter, about.family, about.position_rule) == ("plain", "plain_decoder", "t5")
    assert about.context_window == 600 and about.sharing and about.sharing.startswith("off")


def test_a_prompt_beyond_the_learned_positions_is_too_long(plain_folders, ask):
    model = plain.load(pretrained=str(plain_folders["absolute"]), device="cpu")
    (fault,) = model.score([ask([1], words="red " * 600)])
    assert fault.kind == "too_long" and "600" in fault.reason


def test_the_canary_sings_and_dies_without_its_pixels(plain_folders, frames, monkeypatch):
    model = plain.load(pretrained=str(plain_folders["nope"]), device="cpu")
    seeds = {segment.segment_id: k for k, segment in enumerate(canary.segments())}
    assert canary.sing(model, lambda segment: frames(seeds[segment.segment_id])).startswith("alive")
    with pytest.raises(CanaryDied):
        canary.sing(model, lambda _: frames(0))


def test_lengths_are_counted_without_weights(plain_folders, ask):
    folder = plain_folders["rope"]
    model = plain.load(pretrained=str(folder), device="cpu")
    prompts = [ask([1]), ask([1, 2, 3])]
    assert plain.tokens(prompts, pretrained=str(folder)) == [x.n_tokens for x in model.score(prompts)]


def test_another_kind_of_model_is_sent_to_its_adapter(build):
    with pytest.raises(ModelError, match="--model hf"):
        plain.load(pretrained=str(build("qwen2_vl")))


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        plain.load(pretrained=str(tmp_path / "nowhere"))


def test_an_unknown_argument_is_told_with_the_known_ones(plain_folders):
    with pytest.raises(ModelError, match="device"):
        plain.load(pretrained=str(plain_folders["rope"]), devise="cpu")
