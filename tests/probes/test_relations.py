"""Questions about relations are true or false as they say, in the image that goes with them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlbias.errors import BadSuite
from vlbias.probes import _statements, relations
from vlbias.strictyaml import parse
from vlbias.videos.draw import snapshots

HEAD = "name: tiny\nkind: relations\nversion: 1\ndescription: x\nlicence: x\n"
DRAWN = "source: {drawn: {items: 8, seed: 3, size_px: [64, 64]}}\n"


def suite_of(more: str = DRAWN) -> relations.Suite:
    return parse(HEAD + more, where="tiny.yaml", model=relations.Suite, error=BadSuite)


def asked(suite: relations.Suite, folder: Path = Path()) -> list:
    return list(relations.trials(relations.probes(suite, folder=folder), suite=suite, seed=0))


def test_every_statement_is_true_of_its_image_as_its_factor_says():
    checks = {
        "left of": lambda a, b: a[0] < b[0], "right of": lambda a, b: a[0] > b[0],
        "above": lambda a, b: a[1] < b[1], "below": lambda a, b: a[1] > b[1],
    }  # fmt: skip
    n = 0
    for trial in asked(suite_of()):
        told, scene = dict(trial.factors), trial.segments[0].scenes[0]
        if told["form"] not in ("plain", "symmetry", "negation", "mirror"):
            continue
        said = trial.probe.question
        words = next(w for w in checks if f" {w} " in said)
        before, after = said.split(f" {words} ")
        places = [next(s.centre_xy for s in scene.sprites if f" {s.form}" in part) for part in (before, after)]
        fact = checks[words](*places) != ("not" in before.split())
        assert fact == (told["true"] == "yes") == (trial.probe.gold == 0)
        n += 1
    assert n == 8 * 68


def test_the_mirror_twin_is_the_mirrored_image():
    trials = {t.trial_id: t for t in asked(suite_of())}
    one = next(t for name, t in trials.items() if "form=mirror" in name)
    plain = trials[one.trial_id.replace("form=mirror", "form=plain")]
    images = [snapshots(t.segments[0].scenes[0], (0.5,))[0].astype(int) for t in (one, plain)]
    assert np.abs(images[0] - images[1][:, ::-1]).mean() < 3 < np.abs(images[0] - images[1]).mean()


def test_who_faces_down_has_left_and_right_exchanged():
    for trial in asked(suite_of()):
        told = dict(trial.factors)
        if told["form"] == "perspective":
            thing, tip = trial.segments[0].scenes[0].sprites
            in_image = "on the left" if thing.centre_xy[0] < tip.centre_xy[0] else "on the right"
            assert (trial.probe.options[0] == in_image) == (told["facing"] == "up")
            assert tip.form == {"up": "triangle", "down": "funnel"}[told["facing"]]


def test_right_answers_stand_evenly_at_every_letter():
    places: dict[str, list[int]] = {}
    for trial in asked(suite_of(DRAWN.replace("items: 8", "items: 12"))):
        places.setdefault(dict(trial.factors)["form"], []).append(trial.gold_displayed)
    assert all(len(set(np.bincount(found))) == 1 for found in places.values()), places


@pytest.mark.parametrize(
    "said", ["The cat was left of the dog.", "It is what it is.", "The cat is not left of the dog."]
)
def test_a_statement_that_cannot_be_negated_by_rule_is_refused(said):
    with pytest.raises(BadSuite, match="cannot be negated"):
        _statements.negated(said)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("forms: [symmetry]\n" + DRAWN, "symmetry is compared with plain"),
        ("forms: [plain, ternary]\n" + DRAWN, "ternary is compared with binary"),
        ("forms: [plain, plain]\n" + DRAWN, "one stands twice"),
        ("source: {vsr: {file: v.jsonl, media: m}}", "captions cannot be made|symmetry cannot be made"),
        ("source: {}", "found no source"),
    ],
)
def test_forms_that_cannot_be_asked_are_refused(more, words):
    with pytest.raises(BadSuite, match=words):
        suite_of(more)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "mug_left_of_plate.png", "mug_right_of_plate.png"):
        Image.fromarray(rng.integers(0, 255, (31, 41, 3), dtype=np.uint8)).save(tmp_path / "m" / name)
    row = {"image": "a.png", "caption": "The cat is left of the dog.", "label": 1, "relation": "left of"}
    (tmp_path / "v.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({**row, "caption": "The cat is on the dog."}))
    sides = ["left of", "right of"]
    items = [
        {"image_path": f"mug_{s.replace(' ', '_')}_plate.png", "caption_options": [f"A mug {t} a plate" for t in both]}
        for s, both in zip(sides, (sides, sides[::-1]), strict=True)
    ]
    (tmp_path / "w.json").write_text(json.dumps(items))
    return tmp_path


def test_rows_of_vsr_are_asked_with_their_negation_and_mirror_where_a_side_is_named(folder):
    suite = suite_of("forms: [plain, negation, mirror]\ntemplates: 2\nsource: {vsr: {file: v.jsonl, media: m}}")
    trials = asked(suite, folder)
    forms = [dict(t.factors)["form"] for t in trials]
    assert (forms.count("plain"), forms.count("negation"), forms.count("mirror")) == (2 * (2 + 2), 2, 1)
    mirror = next(t for t in trials if dict(t.factors)["form"] == "mirror")
    assert "right of the dog" in mirror.probe.question and mirror.probe.gold == 0
    images = [snapshots(t.segments[0].scenes[0], (0.5,))[0].astype(int) for t in (mirror, trials[0])]
    assert images[0].shape == (30, 40, 3) or images[0].shape == (32, 40, 3)
    assert np.abs(images[0] - images[1][:, ::-1]).mean() < 3


def test_images_of_whatsup_that_show_the_same_things_are_one_cluster(folder):
    suite = suite_of("forms: [captions]\nsource: {whatsup: {file: w.json, media: m}}")
    trials = asked(suite, folder)
    assert {t.probe.cluster_id for t in trials} == {"mug_plate"} and len(trials) == 2
    assert {dict(t.factors)["shown"] for t in trials} == {"left of", "right of"}
    assert [t.gold_displayed for t in trials] == [0, 1]


def test_a_row_without_its_image_is_named(folder):
    (folder / "m" / "a.png").unlink()
    with pytest.raises(BadSuite, match="row 1: .*missing"):
        asked(suite_of("forms: [plain]\nsource: {vsr: {file: v.jsonl, media: m}}"), folder)


# --- pictures of the user


def own(folder: Path, more: str = "", size: str = "[260, 220]") -> list:
    return asked(suite_of(f"{more}\nsource: {{pictures: {{file: own.jsonl, media: media, size_px: {size}}}}}"), folder)


def test_statements_about_pictures_are_true_of_their_image_as_their_factor_says(signs):
    checks = {
        "left of": lambda a, b: a[0] < b[0], "right of": lambda a, b: a[0] > b[0],
        "above": lambda a, b: a[1] < b[1], "below": lambda a, b: a[1] > b[1],
    }  # fmt: skip
    n = 0
    for trial in own(signs):
        told, pictures = dict(trial.factors), trial.segments[0].scenes[0].pictures
        at = {Path(p.path).stem: np.array(p.box_xyxy) for p in pictures}
        assert all(box.min() >= 0 and box.max() <= 1 for box in at.values()) and trial.probe.cluster_id in at
        if told["form"] in ("plain", "symmetry", "negation", "mirror"):
            words = next(w for w in checks if f" {w} " in trial.probe.question)
            parts = trial.probe.question.split(f" {words} ")
            boxes = [next(box for name, box in at.items() if f"picture of a {name} sign" in part) for part in parts]
            fact = checks[words](*boxes) != ("not" in parts[0].split())
            assert fact == (told["true"] == "yes") == (trial.probe.gold == 0)
            n += 1
    assert n == 6 * 68


def test_the_mirror_twin_of_pictures_is_the_mirrored_image_with_its_pictures(signs):
    trials = {t.trial_id: t for t in own(signs)}
    one = next(t for name, t in trials.items() if "form=mirror" in name)
    plain = trials[one.trial_id.replace("form=mirror", "form=plain")]
    images = [snapshots(t.segments[0].scenes[0], (0.5,))[0].astype(int) for t in (one, plain)]
    assert np.abs(images[0] - images[1][:, ::-1]).max() < 12 and np.abs(images[0] - images[1]).max() > 100


def test_whoever_faces_down_has_the_picture_on_the_other_side(signs):
    for trial in (t for t in own(signs) if dict(t.factors)["form"] == "perspective"):
        (tip,), (picture,) = trial.segments[0].scenes[0].sprites, trial.segments[0].scenes[0].pictures
        in_image = "on the left" if picture.box_xyxy[0] < tip.centre_xy[0] else "on the right"
        right = trial.probe.options[trial.probe.gold]
        assert (right == in_image) == (tip.form == "triangle") == (dict(trial.factors)["facing"] == "up")


def test_pictures_that_cannot_be_related_are_refused(signs, add_picture, edit_line):
    with pytest.raises(BadSuite, match="leaves a picture 12 pixels a side"):
        own(signs, size="[260, 98]")
    with pytest.raises(BadSuite, match="both sides must be even"):
        own(signs, size="[261, 220]")
    edit_line(0, caption="a lamp above a bed")
    edit_line(1, caption="a door that is open")
    with pytest.raises(BadSuite) as told:
        own(signs)
    first, second = str(told.value).splitlines()
    assert "red: " in first and "holds 'above'" in first and "green: " in second and "holds 'is'" in second
    with pytest.raises(BadSuite, match="holds 'above'"):
        own(signs, "forms: [plain]")
    edit_line(0, caption="a lamp")
    assert own(signs, "forms: [plain]"), "a second verb is in the way of a negation only"
    add_picture("strip", np.full((9, 300, 3), 99, np.uint8))
    with pytest.raises(BadSuite, match="own.jsonl:7: .*0 pixels thin"):
        own(signs)
    (signs / "own.jsonl").write_text("".join((signs / "own.jsonl").read_text().splitlines(keepends=True)[2:4]))
    edit_line(0, caption="amber")
    edit_line(1, caption="amber and blue")
    with pytest.raises(BadSuite, match="found no picture to stand beside it among 1"):
        own(signs)


def test_a_suite_of_drawn_pairs_is_told_as_before_pictures_came():
    assert set(suite_of().model_dump(mode="json")["source"]) == {"drawn", "vsr", "whatsup"}
