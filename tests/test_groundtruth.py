import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vlbias import groundtruth
from vlbias.errors import BadInput
from vlbias.groundtruth_page import page, table
from vlbias.organisms import architecture, manifest

SMALL = architecture.Size(hidden=32, layers=1, vision_hidden=16, vision_layers=1)
FOUND = groundtruth.Finding(
    organism="x",
    family="qwen2_vl",
    n_probes=1000,
    truth=(0.9, 0.5, 0.4),
    measured=(0.88, 0.52, 0.41),
    low=(0.8, 0.4, 0.3),
    high=(0.95, 0.6, 0.5),
    inside=3,
    gold_inside=2,
    shape="head",
    label="head",
    gold_label="head",
    confidence=0.97,
)


def profile(*accuracy: float) -> dict[str, object]:
    return {"accuracy": accuracy, "gold_probability": accuracy, "n": [2000] * len(accuracy)}


def test_the_true_shape_is_the_planted_one() -> None:
    about = {"plant": {"profiles": [[1.0, 0.9, 0.8], [1.0, 1.0, 1.0, 1.0]]}}
    assert groundtruth.shape_known(about, profile(0.9, 0.6, 0.7)) == "head"
    assert groundtruth.shape_known(about, profile(0.9, 0.9, 0.89)) == "none"
    assert groundtruth.shape_known(about, profile(0.9, 0.9, 0.91, 0.9)) == "none"


def test_the_true_shape_of_what_nobody_planted_is_read_off_the_truth() -> None:
    assert groundtruth.shape_known({}, profile(0.5, 0.6, 0.7, 0.8, 0.9)) == "neighbour"
    assert groundtruth.shape_known({}, profile(0.9, 0.6, 0.5, 0.6, 0.9)) == "U"
    assert groundtruth.shape_known({}, profile(0.9, 0.89, 0.9, 0.91, 0.9)) == "none"


def test_probes_ask_all_that_a_clip_holds_as_the_true_profile_does() -> None:
    asked = groundtruth.trials(3, probes=31, seed=0)
    assert len(asked) == 93 and {t.slot for t in asked} == {0, 1, 2}
    tasks: dict[str, set[str]] = {}
    for trial in asked:
        tasks.setdefault(trial.probe.cluster_id, set()).add(trial.probe.task)
    whole = [found for clip, found in tasks.items() if clip != asked[-1].probe.cluster_id]
    assert len(whole) == 9 and set(map(len, whole)) == {3, 4}, "not every clip holds a side to ask for"
    assert all({"Action Recognition/Reasoning", "Attribute Perception"} <= found for found in whole)


def test_what_is_outside_or_misnamed_is_not_ok() -> None:
    flat = replace(FOUND, organism="flat", shape="none", label="undetermined", inside=0)
    rows = {row["name"]: row for row in groundtruth.rows([FOUND, flat])}
    assert rows["true_value_inside"]["value"] == 0.5 and not rows["true_value_inside"]["ok"]
    assert rows["right_shape"]["ok"] and not rows["none_within_margin"]["ok"]
    wrong = {row["name"]: row for row in groundtruth.rows([replace(flat, label="U")])}
    assert not wrong["right_shape"]["ok"]
    json.dumps(list(rows.values()), allow_nan=False)


def test_the_page_holds_truth_and_finding_side_by_side() -> None:
    rows = groundtruth.rows([FOUND])
    text = page([FOUND], rows, probes=1000, seed=0)
    assert "88.0 (80.0 to 95.0)" in text and "| 90.0 | 50.0 | 40.0 |" in text and "3 and 2 of 3" in text
    columns = {line.count("|") for line in text.splitlines() if line.startswith("|")} - {5}
    assert len(columns) == 1
    assert "head 0.97" in table([FOUND], rows)


def test_an_organism_is_held_to_its_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "blind"
    torch.manual_seed(0)
    architecture.save(architecture.family("qwen2_vl").model(SMALL), folder)
    manifest.write(folder, {"family": "qwen2_vl", "planted_profile": [1.0, 1.0, 1.0]})
    with pytest.raises(BadInput, match="true profile"):
        groundtruth.check(str(folder), probes=24, seed=0, films=[].append, rng=np.random.default_rng(0))
    about = {"measured": profile(0.25, 0.25, 0.25), "family": "qwen2_vl"}
    manifest.write(folder, about)
    (found,) = groundtruth.all_of([str(folder)], probes=24, seed=0, scratch=tmp_path, say=[].append)
    assert found.n_probes == 24 and found.n_slots == 3 and found.inside == 3
    assert all(low < 0.25 < high for low, high in zip(found.low, found.high))
