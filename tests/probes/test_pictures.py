"""The user's own pictures in the spatial probes: whole, in their cells, checked against their hashes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput, BadSuite
from vlbias.probes import canvas, grid, needle
from vlbias.probes._pictures import Pictures, read_pictures
from vlbias.prompts import Style, prompt
from vlbias.records import Picture, Scene
from vlbias.strictyaml import parse
from vlbias.videos.draw import snapshots

SOURCES = {
    "grid": (grid, "source: {pictures: {file: p.jsonl, media: media, size_px: [144, 144], distractors: 2}}"),
    "canvas": (canvas, "size_px: [144, 144]\nrows: 3\ncolumns: 3\nsource: {pictures: {file: p.jsonl, media: media}}"),
    "needle": (needle, "size_px: [96, 96]\nimages: 2\nsource: {pictures: {file: p.jsonl, media: media}}"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve plain pictures twice as wide as high, each of its own grey."""
    (tmp_path / "media").mkdir()
    lines = []
    for k in range(12):
        file = tmp_path / "media" / f"{k}.png"
        Image.new("RGB", (40, 20), (60 + 15 * k,) * 3).save(file)
        lines.append({"probe_id": f"p{k}", "path": f"{k}.png", "sha256": sha256_of_file(file),
                      "caption": f"grey number {k}", "cluster_id": f"c{k}"})  # fmt: skip
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def suite_of(kind: str):
    module, source = SOURCES[kind]
    head = f"name: own\nkind: {kind}\nversion: 1\ndescription: x\nlicence: x\n"
    return module, parse(head + source, where="own.yaml", model=module.Suite, error=BadSuite)


def test_a_picture_lies_whole_and_in_proportion_in_the_middle_of_its_box(folder):
    file = folder / "media" / "9.png"
    picture = Picture(path=str(file), sha256=sha256_of_file(file), box_xyxy=(0.5, 0.5, 1.0, 1.0))
    scene = Scene(sprites=(), pictures=(picture,), backdrop_rgb=(0, 0, 0), texture="plain", duration_s=1.0, fps=1.0,
                  size_wh_px=(80, 80), seed=0)  # fmt: skip
    image = snapshots(scene, (0.5,))[0].mean(axis=2)
    assert image[51:69, 41:79].min() > 180 and image[:49].max() < 10 and image[71:].max() < 10, "40 x 20 in 40 x 40"
    Image.new("RGB", (40, 20)).save(file)
    with pytest.raises(BadInput, match="restore the file"):
        snapshots(scene, (0.5,))


@pytest.mark.parametrize("kind", SOURCES)
def test_own_pictures_are_asked_at_every_place(kind, folder):
    module, suite = suite_of(kind)
    probes = module.probes(suite, folder=folder)
    trials = list(module.trials(probes, suite=suite, seed=0))
    assert len(trials) == len({t.trial_id for t in trials}) and {p.cluster_id for p in probes} == {
        f"c{k}" for k in range(12)
    }
    one = trials[5]
    image = snapshots(one.segments[0].scenes[0], (0.5,))[0]
    assert np.isfinite(image).all() and len(one.segments[0].scenes[0].pictures) >= 1


def test_the_grid_moves_a_picture_and_puts_another_in_its_place_when_absent(folder):
    module, suite = suite_of("grid")
    trials = list(module.trials(module.probes(suite, folder=folder), suite=suite, seed=0))
    there = [t for t in trials if t.probe.probe_id == "p0-yes"]
    gone = [t for t in trials if t.probe.probe_id == "p0-no"]
    for trial in there:
        row, column = (int(v) for v in dict(trial.factors)["cell"].split(","))
        first = trial.segments[0].scenes[0].pictures[0]
        middle = [(a + b) / 2 for a, b in zip(first.box_xyxy[:2], first.box_xyxy[2:], strict=True)]
        assert first.path.endswith("0.png") and middle == pytest.approx([(column + 0.5) / 3, (row + 0.5) / 3])
    for a, b in zip(there, gone, strict=True):
        one, other = (t.segments[0].scenes[0].pictures for t in (a, b))
        assert one[0].path != other[0].path and one[0].box_xyxy == other[0].box_xyxy and one[1:] == other[1:]


def test_bad_pictures_are_named_line_by_line(folder):
    lines = [json.loads(line) for line in (folder / "p.jsonl").read_text().splitlines()]
    lines[0]["sha256"] = "0" * 64
    lines[1]["path"] = "../p.jsonl"
    lines[3]["caption"] = lines[2]["caption"]
    (folder / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    module, suite = suite_of("canvas")
    with pytest.raises(BadSuite) as told:
        module.probes(suite, folder=folder)
    assert all(
        words in str(told.value) for words in ("p.jsonl:1: ", "the item says 000", "leaves the folder", "stands twice")
    )


def test_too_few_others_to_stand_around_are_told(folder):
    (folder / "p.jsonl").write_text("".join((folder / "p.jsonl").read_text().splitlines(keepends=True)[:3]))
    module, suite = suite_of("grid")
    with pytest.raises(BadSuite, match="2 others to stand beside it; 3 are needed"):
        module.probes(suite, folder=folder)


def test_pictures_that_neither_words_nor_pixels_tell_apart_are_all_named(signs, edit_line):
    rows = [json.loads(line) for line in (signs / "own.jsonl").read_text().splitlines()]
    edit_line(1, caption="A  red Sign")
    edit_line(3, caption=rows[2]["caption"], path=rows[4]["path"], sha256=rows[4]["sha256"])
    with pytest.raises(BadSuite) as told:
        read_pictures(Pictures(file="own.jsonl", media="media"), folder=signs, side_px=64)
    assert [line.partition(": ")[2] for line in str(told.value).splitlines()] == [
        "the caption 'A  red Sign' stands twice, at red and green; two pictures need words that tell them apart",
        "the caption 'a blue sign' stands twice, at blue and amber; two pictures need words that tell them apart",
        "amber and pink are one picture, to the byte; drop one of them",
    ]


@pytest.mark.parametrize("kind", SOURCES)
def test_pictures_that_cannot_be_made_out_are_all_told_before_anything_is_asked(kind, folder):
    (folder / "media" / "0.png").write_text("no picture")
    Image.new("RGB", (40, 20), (50, 40, 30)).save(folder / "media" / "3.png")
    Image.new("RGB", (200, 20), (250, 240, 230)).save(folder / "media" / "5.png")
    lines = [json.loads(line) for line in (folder / "p.jsonl").read_text().splitlines()]
    fresh = [line | {"sha256": sha256_of_file(folder / "media" / line["path"])} for line in lines]
    (folder / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in fresh))
    module, suite = suite_of(kind)
    with pytest.raises(BadSuite) as told:
        module.probes(suite, folder=folder)
    first, dark, thin = str(told.value).splitlines()
    assert "p.jsonl:1: " in first and "cannot be read" in first
    assert "p.jsonl:4: " in dark and "found grey levels up to 5" in dark and "56 are needed" in dark
    assert "p.jsonl:6: " in thin and "200 x 20 pixels would be shown 3 pixels thin in a square of 34" in thin


def test_a_file_without_pictures_is_refused(signs):
    (signs / "own.jsonl").write_text("\n")
    with pytest.raises(BadSuite, match="there is no picture"):
        read_pictures(Pictures(file="own.jsonl", media="media"), folder=signs, side_px=64)


@pytest.mark.parametrize("kind", ["grid", "needle"])
def test_a_suite_of_images_without_words_of_its_own_is_not_called_a_video(kind, folder):
    module, suite = suite_of(kind)
    trial = next(iter(module.trials(module.probes(suite, folder=folder), suite=suite, seed=0)))
    style = Style(style=suite.prompt.style, instruction=suite.prompt.instruction)
    words = "".join(part.text or "" for part in prompt(trial, {}, style).parts)
    assert words.startswith("Look at what is shown and answer") and "video" not in words


@pytest.mark.parametrize(("kind", "n"), [("grid", 7), ("needle", 1)])
def test_nothing_stands_beside_a_picture_whose_words_could_mean_it(kind, n, folder):
    lines = [json.loads(line) for line in (folder / "p.jsonl").read_text().splitlines()]
    lines[0]["caption"] = "a dog"
    for k in range(1, 1 + n):
        lines[k]["caption"] = f"a dog in yard {k}"
    (folder / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    module, suite = suite_of(kind)
    for probe in module.probes(suite, folder=folder):
        segments = (probe.evidence, *probe.backgrounds)
        shown = {int(Path(p.path).stem) for s in segments for p in s.scenes[0].pictures}
        if probe.cluster_id == "c0":
            assert not shown & set(range(1, 1 + n)) and len(shown) > 2
