import json
import time
from pathlib import Path

import numpy as np
import pytest

from vlbias import audit
from vlbias.commands.audit import command
from vlbias.errors import BadInput, UnknownName
from vlbias.formats import coco, screenspot_pro
from vlbias.metrics._zone_audit import Zoned, permuted_counts, strata, zone_estimates


def world(
    n: int, *, border: float, small: float, rng: np.random.Generator, other: float = 0.0
) -> tuple[list, list, list]:
    """ScreenSpot-Pro rows and two files of points: right with .7, less `border` at the border, less `small` if small.

    Border targets are more often small. The second file loses `other` more at the border.
    """
    rows, files = [], ([], [])
    for k in range(n):
        centre = rng.uniform(0.06, 0.94, 2)
        edge = min(*centre, *(1 - centre)) < 0.1
        tiny = rng.random() < (0.8 if edge else 0.3)
        half = rng.uniform(8, 12) if tiny else rng.uniform(30, 50)
        x, y = centre * 1000
        rows.append({"id": f"t{k}", "img_filename": f"i{k // 2}.png", "img_size": [1000, 1000],
                     "ui_type": "icon" if tiny else "text",
                     "bbox": [x - half, y - half, x + half, y + half], "instruction": "click"})  # fmt: skip
        luck = rng.random()
        for file, more in zip(files, (0.0, other), strict=True):
            right = luck < 0.75 - border * edge - small * tiny - more * edge
            file.append({"id": f"t{k}", "point": [x, y] if right else [x + half + 5, y + half + 3]})
    return rows, *files


def written(folder: Path, rows: list, *files: list) -> list[Path]:
    paths = [folder / f"f{k}.json" for k in range(1 + len(files))]
    for path, body in zip(paths, (rows, *files), strict=True):
        path.write_text(json.dumps(body))
    return paths


def audited(paths: list[Path], **more: str) -> dict:
    found = audit.audit(paths[0], "screenspot_pro", paths[1:], frame="pixels", zones=more.get("zones", "rings"),
                        rng=np.random.default_rng(0))  # fmt: skip
    return {(e.metric, e.slot): e for e in found}


def test_small_targets_at_the_border_look_like_a_bias_until_strata_are_compared(tmp_path: Path) -> None:
    rows, one, _ = world(1600, border=0.0, small=0.4, rng=np.random.default_rng(1))
    start = time.process_time()
    found = audited(written(tmp_path, rows, one))
    assert time.process_time() - start < 10
    naive, fair = found["zone_border_less_rest", None], found["zone_border_less_rest_stratified", None]
    assert naive.high < -10 and naive.reference.p_value < 0.001
    assert fair.low < 0 < fair.high and fair.reference.p_value > 0.05
    assert (
        found["zone_variance", None].reference.p_value
        < 0.01
        < found["zone_variance_stratified", None].reference.p_value
    )
    assert found["zone_variance_stratified", None].reference.mean > found["zone_variance", None].reference.mean


def test_a_true_border_effect_is_left_among_targets_of_one_size_and_type(tmp_path: Path) -> None:
    rows, one, _ = world(1600, border=0.2, small=0.2, rng=np.random.default_rng(2))
    found = audited(written(tmp_path, rows, one))
    fair = found["zone_border_less_rest_stratified", None]
    assert fair.low < -20 < fair.high and fair.high < 0 and fair.reference.p_value < 0.001
    assert found["error_right_misses", None].low > 0.5 and abs(found["error_down_hits", None].value) < 1e-9


def test_two_files_are_compared_target_by_target(tmp_path: Path) -> None:
    rows, one, two = world(1000, border=0.0, small=0.2, other=0.3, rng=np.random.default_rng(3))
    found = audited(written(tmp_path, rows, one, two))
    gap = found["border_gap_difference", None]
    assert gap.low > 0 and gap.low < 30 < gap.high + 5 and found["accuracy_difference", None].low > 0
    same = audited(written(tmp_path, rows, one, one))
    assert same["border_gap_difference", None].value == 0


def test_what_was_not_predicted_is_counted_apart_and_never_wrong(tmp_path: Path) -> None:
    rows, one, _ = world(400, border=0.0, small=0.0, rng=np.random.default_rng(4))
    full = audited(written(tmp_path, rows, one))
    for row in one[:100:2]:
        row["point"] = None
    found = audited(written(tmp_path, rows, one[:-10]))
    assert sum(found["zone_accuracy", k].n for k in range(5)) == 340
    for k in range(5):
        assert found["zone_accuracy", k].value == pytest.approx(full["zone_accuracy", k].value, abs=15)
    assert found["zone_predicted", 0].value < 100 == full["zone_predicted", 0].value


def test_an_empty_zone_has_no_value(tmp_path: Path) -> None:
    rows, one, _ = world(300, border=0.0, small=0.0, rng=np.random.default_rng(5))
    keep = [k for k, r in enumerate(rows) if abs(r["bbox"][0] + r["bbox"][2] - 1000) > 250]
    found = audited(written(tmp_path, [rows[k] for k in keep], [one[k] for k in keep]))
    assert found["zone_accuracy", 4].value is None and "no target" in found["zone_accuracy", 4].notes[0]
    assert not any("border" in name for name, _ in audited(written(tmp_path, rows, one), zones="rows"))


def test_drawing_without_replacement_is_permuting() -> None:
    rng = np.random.default_rng(6)
    found = Zoned(right_N=(rng.random(60) < 0.5).astype(float), zone_N=rng.integers(0, 3, 60), n_zones=3,
                  stratum_N=rng.integers(0, 2, 60), image_N=np.arange(60))  # fmt: skip
    fast = permuted_counts(found, rng=rng, draws=4000)
    slow = np.zeros((4000, 3))
    for row in slow:
        for s in (0, 1):
            here = found.stratum_N == s
            np.add.at(row, found.zone_N[here], rng.permutation(found.right_N[here]))
    assert fast.mean(axis=0) == pytest.approx(slow.mean(axis=0), abs=0.15)
    assert np.cov(fast.T) == pytest.approx(np.cov(slow.T), abs=0.4)
    assert (fast.sum(axis=1) == found.right_N.sum()).all()


def test_a_flat_model_has_a_border_gap_in_five_of_a_hundred_runs() -> None:
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(80):
        zone = rng.integers(0, 5, 150)
        found = Zoned(right_N=(rng.random(150) < 0.6).astype(float), zone_N=zone, n_zones=5,
                      stratum_N=rng.integers(0, 4, 150), image_N=np.arange(150) % 3)  # fmt: skip
        gap = next(
            e for e in zone_estimates(found, task="rings", rng=rng, draws=199) if e.metric.endswith("stratified")
        )
        alarms += gap.reference.p_value <= 0.05
    assert 1 <= alarms <= 10


def test_fifths_of_area_and_kind_make_the_strata() -> None:
    found = strata(np.arange(10.0), ["a"] * 5 + ["b"] * 5)
    assert len(set(found.tolist())) == 6 and len(set(strata(np.ones(4), "aabb").tolist())) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "nobody"}, "unknown id 'nobody'"),
        ({"id": "t1"}, "a second prediction for 't1'"),
        ({"point": [1200, 5]}, "lies outside the image in pixels"),
        ({"point": [1, 2, 3]}, "right are 2 numbers"),
        ({"box": [5, 5, 9, 9]}, "give exactly one of point, box"),
        ({"id": True}, "right is a text"),
    ],
)
def test_a_bad_prediction_is_refused_by_row(tmp_path: Path, change: dict, message: str) -> None:
    rows, one, _ = world(20, border=0.0, small=0.0, rng=np.random.default_rng(8))
    one[3] |= change
    with pytest.raises(BadInput, match=message):
        audited(written(tmp_path, rows, one))


def test_boxes_of_another_order_or_scale_are_refused_and_not_guessed(tmp_path: Path) -> None:
    rows, one, _ = world(20, border=0.0, small=0.0, rng=np.random.default_rng(9))
    for row in rows:
        x1, y1, x2, y2 = row["bbox"]
        row["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    with pytest.raises(BadInput, match="all 20 fit xywh; correct the file"):
        audited(written(tmp_path, rows, one))
    with pytest.raises(UnknownName, match="did you mean screenspot_pro"):
        audit.audit(tmp_path, "screenspotpro", [], frame="pixels", zones="rings", rng=np.random.default_rng(0))


def coco_body() -> dict:
    return {"images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}],
            "categories": [{"id": 7, "name": "cat"}],
            "annotations": [{"id": 5, "image_id": 1, "category_id": 7, "bbox": [100, 50, 100, 50], "iscrowd": 0},
                            {"id": 6, "image_id": 1, "category_id": 7, "bbox": [0, 0, 200, 100],
                             "iscrowd": 1}]}  # fmt: skip


def test_cocos_boxes_are_xywh_and_crowds_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(coco_body()))
    (target,) = coco.targets(path)
    assert target.box_xyxy == (0.5, 0.5, 1.0, 1.0) and (target.target_id, target.kind) == ("5", "cat")
    body = coco_body()
    body["annotations"][0]["bbox"] = [100, 50, 200, 100]
    path.write_text(json.dumps(body))
    with pytest.raises(BadInput, match="all 1 fit xyxy"):
        coco.targets(path)
    body["annotations"][0]["image_id"] = 9
    path.write_text(json.dumps(body))
    with pytest.raises(BadInput, match="image 9 is not among the images"):
        coco.targets(path)


def test_the_command_prints_strict_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, one, _ = world(60, border=0.0, small=0.0, rng=np.random.default_rng(10))
    paths = written(tmp_path, rows, one)
    command(paths[0], "screenspot_pro", paths[1], "pixels", as_json=True)
    assert {e["metric"] for e in json.loads(capsys.readouterr().out)} >= {"zone_accuracy", "zone_variance_stratified"}
    command(paths[0], "screenspot_pro", paths[1], "pixels")
    assert "zone_border_less_rest_stratified: " in capsys.readouterr().out
    assert len(screenspot_pro.targets(paths[0])) == 60


def test_a_model_that_always_points_at_the_centre_is_worth_nothing_over_a_blind_rule(tmp_path: Path) -> None:
    rows, one, _ = world(200, border=0.0, small=0.0, rng=np.random.default_rng(11))
    for row in rows[:60]:
        row["bbox"] = [400, 450, 600, 550]
    blind = audited(written(tmp_path, rows, [{"id": r["id"], "point": [500, 500]} for r in rows]))
    assert blind["over_best_blind", None].value == 0 and blind["blind_centre", None].value >= 30
    seen = audited(written(tmp_path, rows, one))
    assert seen["blind_centre", None].value == blind["blind_centre", None].value
    assert "blind_" in seen["over_best_blind", None].notes[0]
    boxes = [{"id": r["id"], "box": r["bbox"]} for r in rows]
    found = audited(written(tmp_path, rows, boxes))
    assert ("blind_centre", None) not in found and found["zone_accuracy", 1].value == 100


def of_coco(file: Path, results: Path) -> list:
    return audit.audit(file, "coco", [results], frame=None, zones="rings", rng=np.random.default_rng(0))


def test_a_coco_results_file_gives_average_precision_by_zone_and_bad_rows_are_named(tmp_path: Path) -> None:
    body, file, results = coco_body(), tmp_path / "instances.json", tmp_path / "results.json"
    file.write_text(json.dumps(body))
    (true,) = (row for row in body["annotations"] if not row.get("iscrowd"))
    row = {"image_id": true["image_id"], "category_id": true["category_id"], "bbox": true["bbox"], "score": 0.9}
    results.write_text(json.dumps([row]))
    found = {(e.metric, e.slot): e for e in of_coco(file, results)}
    assert found["zone_average_precision_50", None].value == 100 and found["zone_average_precision_50", None].n == 1
    for change, words in (
        ({"score": None}, "score is None"),
        ({"image_id": 99}, "image_id 99"),
        ({"bbox": [1]}, "bbox"),
    ):
        results.write_text(json.dumps([{**row, **change}]))
        with pytest.raises(BadInput, match=words):
            of_coco(file, results)


def of_maps(file: Path, maps: Path) -> list:
    return audit.audit(file, "screenspot_pro", [maps], frame=None, zones="rings", rng=np.random.default_rng(0))


def test_attention_that_leaves_the_border_shows_by_zone_and_even_attention_is_worth_its_area(tmp_path: Path) -> None:
    rows, *_ = world(200, border=0.0, small=0.0, rng=np.random.default_rng(3))
    (file,) = written(tmp_path, rows)
    maps = {}
    for row in rows[:-1]:
        x1, y1, x2, y2 = (v / 1000 for v in row["bbox"])
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        at_border = min(x, y, 1 - x, 1 - y) < 0.1
        seen_HW = np.ones((50, 50))
        if not at_border:
            seen_HW[int(50 * y), int(50 * x)] = 2500.0
        maps[row["id"]] = seen_HW
    np.savez(tmp_path / "maps.npz", **maps)
    found = audit.attended(file, "screenspot_pro", tmp_path / "maps.npz", zones="rings", rng=np.random.default_rng(0))
    at = {(e.metric, e.slot): e for e in found}
    assert at["attention_in_box_over_area", 0].value == pytest.approx(0, abs=1e-9)
    assert at["attention_in_box_over_area", 2].low > 10
    assert at["attention_peak_offset", 2].high < 1.5 < at["attention_peak_offset", 0].low
    assert "1 of 200 targets have no map" in at["attention_peak_offset", None].notes
    np.savez(tmp_path / "odd.npz", **{"t999": np.ones((2, 2))})
    with pytest.raises(BadInput, match="unknown id 't999'"):
        of_maps(file, tmp_path / "odd.npz")
