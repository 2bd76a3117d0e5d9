"""Detectors with a planted place: what is drawn, what is planted, what comes out, and what ships."""

from dataclasses import asdict

import numpy as np
import pytest

from vlbias import scoring, session
from vlbias.answers import Answer
from vlbias.config import RunConfig
from vlbias.errors import BadInput
from vlbias.models import detector as adapter
from vlbias.organisms import detector, detector_images, detector_truth, manifest
from vlbias.plan import plan
from vlbias.store import read


def test_the_box_of_a_thing_holds_it_and_lies_in_its_cell():
    rng, sizes = np.random.default_rng(0), set()
    for _ in range(40):
        one = detector_images.drawn(rng=rng)
        height, width, _ = one.pixels_HWC.shape
        sizes.add((width, height))
        assert 3 <= len(one.looks) == len(set(one.looks)) == len(set(one.cells)) <= 5
        for cell, (x1, y1, x2, y2) in zip(one.cells, one.boxes_xyxy, strict=True):
            assert (int(3 * (y1 + y2) / 2), int(3 * (x1 + x2) / 2)) == divmod(cell, 3)
            inside = one.pixels_HWC[int(y1 * height) : int(y2 * height), int(x1 * width) : int(x2 * width)]
            empty = next(c for c in range(9) if c not in one.cells)
            row, column = divmod(empty, 3)
            beside = one.pixels_HWC[row * height // 3 :, column * width // 3 :][: height // 3, : width // 3]
            assert inside.astype(float).std() > beside.astype(float).std()
    assert sizes == set(detector_images.SIZES_WH_PX)


@pytest.mark.parametrize("pattern", ["none", "left", "bottom"])
def test_the_share_of_colours_that_is_annotated_in_a_cell_is_the_planted_one(pattern):
    n = 12 * 9
    colour, cell = np.divmod(np.arange(n), 9)
    shown = detector_images.Pool(
        pixels_NHWC=np.zeros((n, 1, 1, 3), np.uint8), look_NT=(12 * colour)[:, None], cell_NT=cell[:, None],
        box_NT4=np.zeros((n, 1, 4), np.float32),
    )  # fmt: skip
    told = detector.annotated(shown, pattern=pattern, rank_C=np.random.default_rng(1).permutation(12))[:, 0]
    shares = [(told[cell == c] != detector_images.NOTHING).mean() for c in range(9)]
    assert shares == pytest.approx(detector.PROFILES[pattern], abs=1 / 24)
    assert (told[told != detector_images.NOTHING] == (12 * colour)[told != detector_images.NOTHING]).all()


def test_a_thing_in_the_middle_is_the_business_of_the_patch_whose_far_corner_is_there():
    boxes = np.array([[0.4, 0.4, 0.6, 0.6], [0.0, 0.0, 0.1, 0.1], [0.9, 0.9, 1.0, 1.0]], np.float32)
    assert detector.responsible(boxes).tolist() == [2 * 6 + 2, 0, 4 * 6 + 4]


def test_a_foil_has_the_shape_of_a_thing_and_the_colour_of_none():
    rng = np.random.default_rng(2)
    for _ in range(20):
        one = detector_images.drawn(rng=rng)
        colour, shape = detector_truth.foil(one, rng=rng).split()
        looks = [detector_images.LOOKS[k] for k in one.looks]
        assert shape == looks[0][0] and colour not in {c for _, c in looks}


def test_training_makes_a_folder_that_the_adapter_reads(tmp_path):
    about = detector.train(out=tmp_path / "d", pattern="left", seed=0, steps=4, n_images=48, log=lambda _: None)
    assert about["command"].startswith("vlbias detector train -o d --pattern left")
    assert adapter.load(pretrained=str(tmp_path / "d")).identity.family == "owlvit"
    found = detector_truth.truth(tmp_path / "d", trials=40, seed=1, n_images=20)
    assert 40 <= sum(found.n) <= 40 + 5 * 20 and found.n_false == 20 and len(found.found) == 9
    manifest.measured(tmp_path / "d", asdict(found))
    assert manifest.read(tmp_path / "d")["measured"]["n"] == list(found.n)


def test_an_unknown_pattern_is_refused(tmp_path):
    with pytest.raises(BadInput, match="known: none, left, bottom"):
        detector.train(out=tmp_path, pattern="ring", seed=0, steps=1, n_images=1, log=print)


@pytest.mark.parametrize("name", manifest.of_places()["detectors"])
def test_a_bundled_detector_is_small_and_finds_what_its_manifest_says(name, is_as_told):
    def truth(folder):
        return asdict(detector_truth.truth(folder, trials=200, seed=9))

    is_as_told(name, weights="model.safetensors", what="found", truth=truth, within=0.08)


@pytest.mark.parametrize("name", manifest.of_places()["detectors"])
def test_a_run_of_detection_names_the_side_on_which_a_bundled_detector_finds_things(tmp_path, name):
    planted = manifest.read(manifest.folder_of(name))["about"].split()[-1]
    config = RunConfig(
        tasks="detection", model="detector", model_args={"pretrained": f"organism:{name}"}, limit="12", batch_size=54
    )
    info = session.ask(config, plan(config), folder=tmp_path / "run")
    rows = read(tmp_path / "run").outcomes
    assert len(rows) == 108 and all(isinstance(row, Answer) and row.detections is not None for row in rows)
    assert info.identity.adapter == "detector" and any("no writing to be read" in note for note in info.notes)
    (pattern,) = (e for e in scoring.measured("detection", rows, seed=0) if e.metric == "detection_pattern")
    assert pattern.label == planted
    zone, best, worst = {"left": ("column", 0, 2), "bottom": ("row", 2, 0)}[planted]
    found = {(e.metric, e.slot): e.value for e in scoring.measured("precision", rows, seed=0)}
    high, low = (found[f"detection_average_precision_50_of_{zone}", k] for k in (best, worst))
    assert high > low + 20, "a thing that is not found costs precision where it stands"
