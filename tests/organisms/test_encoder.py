"""Encoders with a planted place: their words, what comes out of training, and what ships."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from vlbias.answers import Answer, asked
from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput
from vlbias.metrics import spatial
from vlbias.models import clip
from vlbias.organisms import encoder, manifest
from vlbias.probes import grid
from vlbias.prompts import Style, prompt
from vlbias.run import seen
from vlbias.strictyaml import parse
from vlbias.videos.cache import FrameCache


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
def test_a_bundled_encoder_is_small_and_is_what_its_manifest_says(name):
    folder = manifest.folder_of(name)
    about = manifest.read(folder)
    assert about["weights_sha256"] == sha256_of_file(folder / "open_clip_model.safetensors")
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 3e6 and sum(about["measured"]["n"]) >= 20_000
    again = encoder.truth(folder, trials=400, seed=9)
    told = np.average(about["measured"]["pooled"], weights=about["measured"]["n"])
    assert np.average(again.pooled, weights=again.n) == pytest.approx(told, abs=0.1)


SUITE = """
name: tiny
kind: grid
version: 1
description: x
licence: x
asks: choice
source: {drawn: {items: 16, seed: 3, size_px: [192, 192], distractors: 3}}
"""


@pytest.mark.parametrize("name", manifest.of_places()["encoders"])
def test_the_grid_finds_what_was_planted_in_the_pooled_feature_and_nothing_in_the_patches(name, tmp_path):
    suite = parse(SUITE, where="x", model=grid.Suite)
    trials = list(grid.trials(grid.probes(suite, folder=Path()), suite=suite, seed=1))
    with FrameCache(tmp_path, num_frames=1) as reader:
        prompts = [prompt(t, seen(t, reader), Style()) for t in trials]
    found = {}
    for pooling in clip.POOLINGS:
        model = clip.load(pretrained=str(manifest.folder_of(name)), pooling=pooling)
        rows = [
            Answer(asked=asked(t), chosen=t.option_order[int(np.argmax(one.logprobs))], logprobs=one.logprobs,
                   level="exact", reply=None, audit=None)
            for t, one in zip(trials, model.score(prompts), strict=True)
        ]  # fmt: skip
        found[pooling] = {e.metric: e for e in spatial.measure(rows, rng=np.random.default_rng(0)) if e.cell is None}
    planted = name.removeprefix("clip_")
    assert found["pooled"]["spatial_pattern"].label == planted
    assert found["patches"]["spatial_pattern"].label == "none"
    assert found["patches"]["spatial_cell_variance"].value < 0.1 * found["pooled"]["spatial_cell_variance"].value
