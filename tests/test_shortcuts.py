"""What blind rules get of data sets that were made to give something away, or nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from vlbias import shortcuts
from vlbias.cli import app
from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput, UnknownName
from vlbias.formats import refcoco, screenspot, screenspot_v2, vsr, whatsup
from vlbias.formats._questions import Question


def refs(n_images: int, *, big_share: float, rng: np.random.Generator) -> list[dict]:
    """Rows of three boxes per image, of which one is asked for: the largest with `big_share`, else one by chance."""
    rows = []
    for k in range(n_images):
        halves = rng.permutation([20.0, 35.0, 60.0])
        xy = np.column_stack([rng.permutation([170, 500, 830]), rng.uniform(70, 930, 3)])
        boxes = [[x - h, y - h, x + h, y + h] for (x, y), h in zip(xy.tolist(), halves.tolist(), strict=True)]
        asked = int(np.argmax(halves)) if rng.random() < big_share else int(rng.integers(3))
        for m in [asked, *(j for j in range(3) if j != asked)]:
            rows.append({"image": f"{k}.jpg", "sent": "it", "bbox": boxes[m], "width": 1000, "height": 1000})
        rows[-3]["id"] = f"asked-{k}"
    return rows


def lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def named(data: shortcuts.DataSet, right_N=None) -> dict:
    found = shortcuts.estimates(data, right_N, rng=np.random.default_rng(0))
    return {e.task if e.metric == "rule_accuracy" else e.metric: e for e in found}


def test_a_rule_gets_a_third_of_the_phrases_where_every_box_is_asked_for_once(tmp_path):
    targets = refcoco.targets(lines(tmp_path / "a.jsonl", refs(60, big_share=1.0, rng=np.random.default_rng(0))))
    found = named(shortcuts.of_targets(targets))
    assert found["largest_box"].value == pytest.approx(100 / 3) == found["leftmost_box"].value
    assert found["largest_box"].reference.mean == pytest.approx(100 / 3) and found["largest_box"].clusters == 60


def test_phrases_that_mean_the_largest_or_the_first_listed_box_are_found_out(tmp_path):
    rows = refs(60, big_share=1.0, rng=np.random.default_rng(0))
    targets = refcoco.targets(lines(tmp_path / "a.jsonl", rows))
    data = shortcuts.of_targets(targets)
    guesses = {g.rule: g for g in data.guesses}
    asked_N = np.array(["asked" in name for name in data.ids])
    assert guesses["largest_box"].right_N[asked_N].mean() == 1 == guesses["first_listed_box"].right_N[asked_N].mean()
    assert guesses["leftmost_box"].right_N[asked_N].mean() < 0.6
    assert guesses["largest_box"].right_N[~asked_N].mean() == 0


def test_a_caption_that_names_boxes_from_left_to_right_is_found_out(tmp_path):
    rows = refs(40, big_share=0.0, rng=np.random.default_rng(1))
    for k in range(0, len(rows), 3):
        order = np.argsort([row["bbox"][0] for row in rows[k : k + 3]])
        for place, m in enumerate(order.tolist()):
            rows[k + m]["mention"] = place
    found = named(shortcuts.of_targets(refcoco.targets(lines(tmp_path / "a.jsonl", rows))))
    assert found["order_is_left_to_right"].value == 100 and found["best_rule"].label == "order_is_left_to_right"
    largest = [max(rows[k : k + 3], key=lambda row: row["bbox"][2] - row["bbox"][0]) for k in range(0, len(rows), 3)]
    named_first = 100 * np.mean([row["mention"] == 0 for row in largest])
    assert found["first_mentioned_is_largest"].n == 40
    assert found["first_mentioned_is_largest"].value == pytest.approx(named_first)


def test_equal_boxes_share_what_a_rule_that_is_torn_gets(tmp_path):
    rows = [
        {"image": "a", "sent": "it", "bbox": [x, 400, x + 100, 500], "width": 1000, "height": 1000} for x in (0, 900)
    ]
    found = {g.rule: g for g in shortcuts.of_targets(refcoco.targets(lines(tmp_path / "a.jsonl", rows))).guesses}
    assert found["largest_box"].right_N.tolist() == [0.5, 0.5] and found["centre_box"].right_N.tolist() == [0.5, 0.5]
    assert "mean_place" not in found, "there is no other image to learn places from"


def captions(n: int, *, share_true: float, rng: np.random.Generator) -> list[dict]:
    return [
        {"image": f"{k}.jpg", "caption": "A cat is left of a dog.", "label": int(rng.random() < share_true),
         "relation": "left of"} for k in range(n)
    ]  # fmt: skip


def test_a_model_that_says_what_the_majority_says_is_worth_nothing_over_it(tmp_path):
    asked = vsr.questions(lines(tmp_path / "v.jsonl", captions(400, share_true=0.7, rng=np.random.default_rng(0))))
    data = shortcuts.of_questions(asked)
    parrot = np.array([q.gold == 1 for q in asked], dtype=float)
    found = named(data, parrot)
    assert found["over_best_rule"].value == pytest.approx(0, abs=1e-9) and found["majority_letter"].value > 60
    sighted = named(data, np.ones(400))
    assert sighted["over_best_rule"].low > 20 and sighted["accuracy_where_it_is_wrong"].value == 100


def test_in_the_filtered_subset_no_rule_is_ahead_of_chance_and_most_rows_stay(tmp_path):
    asked = vsr.questions(lines(tmp_path / "v.jsonl", captions(400, share_true=0.7, rng=np.random.default_rng(0))))
    data = shortcuts.of_questions(asked)
    n = shortcuts.write_filtered(data, tmp_path / "fair.jsonl", rng=np.random.default_rng(0))
    fair = vsr.questions(tmp_path / "fair.jsonl")
    n_false = sum(q.gold == 0 for q in asked)
    assert n == len(fair) == 2 * n_false, "all of the rarer label stay, and as many of the other"
    assert np.mean([q.gold for q in fair]) == 0.5


def test_the_first_caption_of_whatsup_is_always_right_and_the_audit_says_so(tmp_path):
    rows = [
        {"image_path": f"{k}.jpg", "caption_options": [f"A mug {a} a plate", f"A mug {b} a plate"]}
        for k in range(30)
        for a, b in [("left of", "right of"), ("right of", "left of")]
    ]
    path = tmp_path / "w.json"
    path.write_text(json.dumps(rows))
    asked = whatsup.questions(path)
    found = named(shortcuts.of_questions(asked))
    assert found["first_option"].value == 100 == found["majority_letter"].value
    assert found["left"].value == 50 and {q.kind for q in asked} == {"left of", "right of"}
    rows[3]["caption_options"] = ["same", "same"]
    path.write_text(json.dumps(rows))
    with pytest.raises(BadInput, match="row 4: two captions are equal"):
        whatsup.questions(path)


def test_a_file_of_vsr_is_known_by_its_bytes_only(tmp_path, monkeypatch):
    path = lines(tmp_path / "v.jsonl", captions(3, share_true=0.5, rng=np.random.default_rng(0)))
    assert vsr.split_of(path) is None
    assert sum(n for _, n in vsr.SPLITS.values()) == 12_809 + 10_972 + 7_680 + 1_097 + 2_195 + 3_489 + 340 + 1_222
    monkeypatch.setitem(vsr.SPLITS, sha256_of_file(path), ("x", 4))
    with pytest.raises(BadInput, match="not its 4 rows"):
        vsr.split_of(path)


def screens(folder: Path, boxes: list[list[float]]) -> Path:
    rows = []
    for k, box in enumerate(boxes):
        Image.new("RGB", (400, 200)).save(folder / f"{k}.png")
        rows.append({"img_filename": f"{k}.png", "bbox": box, "instruction": "click", "data_type": "icon",
                     "data_source": "ios"})  # fmt: skip
    path = folder / "s.json"
    path.write_text(json.dumps(rows))
    return path


def test_screenspot_boxes_take_the_sizes_of_their_image_files(tmp_path):
    path = screens(tmp_path, [[300, 100, 100, 100], [0, 0, 40, 20]])
    assert [t.box_xyxy for t in screenspot.targets(path, images=tmp_path)] == [(0.75, 0.5, 1, 1), (0, 0, 0.1, 0.1)]
    assert [t.box_xyxy for t in screenspot_v2.targets(path, images=tmp_path)] == [(0.75, 0.5, 1, 1), (0, 0, 0.1, 0.1)]
    with pytest.raises(BadInput, match="--images"):
        screenspot.targets(path, images=tmp_path / "nowhere")
    with pytest.raises(BadInput, match="tells no sizes of images"):
        shortcuts.targets_of(path, "screenspot", images=None)


def test_screenspot_boxes_of_two_conventions_in_one_file_are_refused(tmp_path):
    path = screens(tmp_path, [[300, 100, 100, 100], [0.1, 0.1, 0.2, 0.2]])
    with pytest.raises(BadInput, match=r"some boxes lie in 0\.\.1 and some beyond"):
        screenspot_v2.targets(path, images=tmp_path)
    with pytest.raises(BadInput, match="do not fit xywh"):
        screenspot.targets(screens(tmp_path, [[300, 100, 400, 200]]), images=tmp_path)


def test_the_command_tells_rules_writes_rows_and_refuses_what_does_not_belong(tmp_path):
    path = lines(tmp_path / "v.jsonl", captions(50, share_true=0.8, rng=np.random.default_rng(0)))
    answers = lines(tmp_path / "p.jsonl", [{"id": str(k), "answer": "true"} for k in range(1, 51)])
    arguments = ["audit", str(path), "--format", "vsr", "--predictions", str(answers)]
    told = CliRunner().invoke(app, [*arguments, "--write_rows", str(tmp_path / "rows.jsonl")])
    assert told.exit_code == 0 and "over_best_rule: 0.00 points" in told.stdout
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 50
    lines(answers, [{"id": "51", "answer": "true"}])
    assert "unknown id '51'" in str(CliRunner().invoke(app, arguments).exception)
    lines(answers, [{"id": "1", "answer": "perhaps"}])
    assert "none of the 2 options" in str(CliRunner().invoke(app, arguments).exception)
    with pytest.raises(UnknownName, match="did you mean vsr"):
        shortcuts.reader("vrs")


def test_a_majority_is_learned_from_other_images_only():
    rows = [{"image": f"{k}", "caption": "c", "label": k, "relation": "on"} for k in (0, 1)]
    asked = [
        Question(question_id=str(k), image=r["image"], asked="c", options=("no", "yes"), gold=k, kind="on", row=r)
        for k, r in enumerate(rows)
    ]
    found = {g.rule: g for g in shortcuts.of_questions(asked).guesses}
    assert found["majority_letter"].right_N.tolist() == [0, 0], "the other row always says the other letter"
