"""Captioners of the grid: they see as their processor does, and a run asks of them what their training told."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from vlbias.answers import Answer
from vlbias.answers import asked as asked_of
from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput
from vlbias.metrics import spatial
from vlbias.models import hf
from vlbias.organisms import captioner, gridworld, manifest
from vlbias.probes import grid
from vlbias.prompts import Style, prompt
from vlbias.records import Frames, Part, Prompt
from vlbias.run import seen
from vlbias.strictyaml import parse
from vlbias.videos.cache import FrameCache


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioner") / "c"
    told = []
    about = captioner.train(out=folder, pattern="left", seed=0, steps=3, n_images=64, log=told.append)
    assert about["command"].startswith("vlbias captioner train -o c --pattern left") and told
    return folder


def asked(pixels_HWC, question, options):
    frames = Frames(
        frames_THWC=pixels_HWC[None], timestamps_s=(0.0,), asked_s=(0.0,), sha256="0", decoder="x", decoder_version="1"
    )
    parts = (Part(place=0, kind="image", frames=frames), Part(text=question))
    return Prompt(trial_id="t", parts=parts, options=options)


def test_images_are_cut_as_the_processor_cuts_them():
    shown = gridworld.images(2, rng=np.random.default_rng(0))
    reader = captioner.processor().image_processor(images=list(shown.pixels_NHWC), return_tensors="pt")
    assert reader["image_grid_thw"].tolist() == [[1, 6, 6]] * 2
    torch.manual_seed(0)
    model = captioner.model().eval()
    with torch.no_grad():
        right = model.model.visual(reader["pixel_values"], grid_thw=reader["image_grid_thw"]).pooler_output
        mine = captioner.see(model, shown.pixels_NHWC, None)
    assert torch.allclose(mine.flatten(0, 1), right, atol=1e-4) and not torch.allclose(mine[0], mine[1], atol=1e-3)


def test_a_run_scores_captions_as_the_truth_is_measured(trained):
    shown = gridworld.images(3, rng=np.random.default_rng(1))
    adapter = hf.load(pretrained=str(trained), dtype="float32", sharing="off")
    looks = shown.look_NT[:, :2]
    prompts = [
        asked(image, "Which of these?", tuple(gridworld.CAPTIONS[k] for k in pair))
        for image, pair in zip(shown.pixels_NHWC, looks)
    ]
    found = np.array([one.logprobs for one in adapter.score(prompts)])
    unknown = np.full(4, captioner.IDS["<|unknown|>"])
    with torch.no_grad():
        seen = captioner.see(adapter.model, shown.pixels_NHWC, None)
        each = captioner._logprobs(adapter.model, seen, looks, unknown)
    assert found == pytest.approx(each[..., :3].sum(dim=-1).numpy(), abs=1e-3)
    assert np.ptp(found) > 1e-3


def test_the_truth_is_measured_on_fresh_images_and_kept(trained):
    found = captioner.truth(trained, trials=160, seed=1)
    assert sum(found.n) == 160 and len(found.said) == 9 and all(0 <= share <= 1 for share in found.said)
    manifest.measured(trained, asdict(found))
    assert manifest.read(trained)["measured"]["n"] == list(found.n)


def test_an_unknown_pattern_is_refused(tmp_path):
    with pytest.raises(BadInput, match="known: none, centre, left, bottom"):
        captioner.train(out=tmp_path, pattern="ring", seed=0, steps=1, n_images=1, log=print)


@pytest.mark.parametrize("name", manifest.of_places()["captioners"])
def test_a_bundled_captioner_is_small_and_is_what_its_manifest_says(name):
    folder = manifest.folder_of(name)
    about = manifest.read(folder)
    assert about["weights_sha256"] == sha256_of_file(folder / "model.safetensors")
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 3e6 and sum(about["measured"]["n"]) >= 20_000
    again = captioner.truth(folder, trials=400, seed=9)
    told = np.average(about["measured"]["said"], weights=about["measured"]["n"])
    assert np.average(again.said, weights=again.n) == pytest.approx(told, abs=0.1)


SUITE = """
name: tiny
kind: grid
version: 1
description: x
licence: x
asks: choice
source: {drawn: {items: 16, seed: 3, size_px: [192, 192], distractors: 3}}
"""


@pytest.mark.parametrize("name", manifest.of_places()["captioners"])
def test_the_grid_finds_what_was_planted_in_a_captioner(name, tmp_path):
    suite = parse(SUITE, where="x", model=grid.Suite)
    trials = list(grid.trials(grid.probes(suite, folder=Path()), suite=suite, seed=1))
    model = hf.load(pretrained=str(manifest.folder_of(name)), dtype="float32")
    with FrameCache(tmp_path, num_frames=1) as reader:
        prompts = [prompt(t, seen(t, reader), Style(style="cloze")) for t in trials]
    rows = [
        Answer(asked=asked_of(t), chosen=t.option_order[int(np.argmax(one.logprobs))], logprobs=one.logprobs,
               level="exact", reply=None, audit=None)
        for t, one in zip(trials, model.score(prompts), strict=True)
    ]  # fmt: skip
    found = {e.metric: e for e in spatial.measure(rows, rng=np.random.default_rng(0)) if e.cell is None}
    assert found["spatial_pattern"].label == name.removeprefix("caption_")
