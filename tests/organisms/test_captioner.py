"""Captioners of the grid: they see as their processor does, and a run asks of them what their training told."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from vlbias.errors import BadInput
from vlbias.models import hf
from vlbias.organisms import captioner, gridworld, manifest
from vlbias.prompts import Style
from vlbias.records import Frames, Part, Prompt


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
def test_a_bundled_captioner_is_small_and_is_what_its_manifest_says(name, is_as_told):
    def truth(folder):
        return asdict(captioner.truth(folder, trials=400, seed=9))

    is_as_told(name, weights="model.safetensors", what="said", truth=truth, within=0.1)


@pytest.mark.parametrize("name", manifest.of_places()["captioners"])
def test_the_grid_finds_what_was_planted_in_a_captioner(name, over_grid):
    found = over_grid(hf.load(pretrained=str(manifest.folder_of(name)), dtype="float32"), Style(style="cloze"))
    assert found["spatial_pattern"].label == name.removeprefix("caption_")
