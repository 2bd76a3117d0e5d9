"""Encoders with a planted place: their words, what comes out of training, and what ships."""

from dataclasses import asdict

import pytest

from vlbias.errors import BadInput
from vlbias.models import clip
from vlbias.organisms import encoder, manifest
from vlbias.prompts import Style


def test_a_caption_is_one_token_a_word_and_ends_with_the_highest_number():
    ids = encoder._tokenizer()(["a Red star", "a photo of it"])["input_ids"]
    assert [encoder.WORDS[k] for k in ids[0]] == ["a", "red", "star", encoder.END]
    assert [encoder.WORDS[k] for k in ids[1]] == ["a", *["<|unknown|>"] * 3, encoder.END]
    assert ids[0][-1] == max(range(len(encoder.WORDS)))


def test_training_makes_a_folder_that_the_adapter_reads_and_learns_something(tmp_path):
    about = encoder.train(out=tmp_path / "e", pattern="none", seed=0, steps=4, n_images=64, log=lambda _: None)
    assert about["command"].startswith("vlbias encoder train -o e --pattern none")
    found = encoder.truth(tmp_path / "e", trials=160, seed=1)
    assert sum(found.n) == 160 and len(found.pooled) == 9 and all(0 <= share <= 1 for share in found.pooled)
    manifest.measured(tmp_path / "e", asdict(found))
    assert manifest.read(tmp_path / "e")["measured"]["n"] == list(found.n)


def test_an_unknown_pattern_is_refused(tmp_path):
    with pytest.raises(BadInput, match="known: none, centre, left, bottom"):
        encoder.train(out=tmp_path, pattern="ring", seed=0, steps=1, n_images=1, log=print)


@pytest.mark.parametrize("name", manifest.of_places()["encoders"])
def test_a_bundled_encoder_is_small_and_is_what_its_manifest_says(name, is_as_told):
    def truth(folder):
        return asdict(encoder.truth(folder, trials=400, seed=9))

    is_as_told(name, weights="open_clip_model.safetensors", what="pooled", truth=truth, within=0.1)


@pytest.mark.parametrize("name", manifest.of_places()["encoders"])
def test_the_grid_finds_what_was_planted_in_the_pooled_feature_and_nothing_in_the_patches(name, over_grid):
    folder = str(manifest.folder_of(name))
    pooled, patches = (over_grid(clip.load(pretrained=folder, pooling=pooling), Style()) for pooling in clip.POOLINGS)
    assert pooled["spatial_pattern"].label == name.removeprefix("clip_")
    assert patches["spatial_pattern"].label == "none"
    assert patches["spatial_cell_variance"].value < 0.1 * pooled["spatial_cell_variance"].value
