import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vlbias import groundtruth, session, store
from vlbias.config import RunConfig
from vlbias.errors import BadInput
from vlbias.estimates import Estimate
from vlbias.groundtruth_page import page, table
from vlbias.organisms import architecture, manifest, sweep
from vlbias.organisms.true_shape import UNSHAPED, TrueShape
from vlbias.plan import plan
from vlbias.probes._world import ATTRIBUTE, COUNT, OCR, SPATIAL

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
    allowing=(3, 3),
    shape=TrueShape(name="head", right=("head",)),
    label="head",
    gold_label="head",
    confidence=0.97,
)


FLAT = TrueShape(name="none", right=UNSHAPED)


def profile(*accuracy: float) -> dict[str, object]:
    return {"accuracy": accuracy, "gold_probability": accuracy, "n": [2000] * len(accuracy)}


def test_probes_ask_three_questions_of_every_clip_in_the_mix_of_the_true_profile() -> None:
    asked = groundtruth.trials(3, probes=300, seed=0)
    assert len(asked) == 900 and {t.slot for t in asked} == {0, 1, 2}
    once = [t.probe for t in asked if t.slot == 0]
    assert set(Counter(probe.cluster_id for probe in once).values()) == {3}
    share = {task: n / len(once) for task, n in Counter(probe.task for probe in once).items()}
    # A third of clips hold a digit and can be asked four things, the others three; each is asked equally often.
    for task, wanted in ((ATTRIBUTE, 11 / 36), (OCR, 1 / 12), (SPATIAL, 1 / 12), (COUNT, 1 / 9)):
        assert share[task] == pytest.approx(wanted, abs=0.035)


def test_fewer_probes_are_the_first_of_more() -> None:
    more = {t.trial_id: t for t in groundtruth.trials(2, probes=groundtruth.MARGIN_PROBES, seed=3)}
    assert all(more[t.trial_id] == t for t in groundtruth.trials(2, probes=groundtruth.PROBES, seed=3))


def test_a_run_gives_the_log_probabilities_of_the_batches_of_the_check(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(groundtruth.suite(4, clips=24, seed=0).model_dump_json(exclude_none=True))  # JSON is YAML
    model_args = {"pretrained": "organism:u10", "dtype": "float32"}
    config = RunConfig(tasks=str(file), model="hf", model_args=model_args, limit="6")
    session.ask(config, plan(config), folder=tmp_path / "run")
    rows = {row.asked.trial_id: row for row in store.read(tmp_path / "run").outcomes}
    asked = [t for t in groundtruth.trials(4, probes=60, seed=0) if t.trial_id in rows]
    films = sweep.filmed(asked, scratch=tmp_path, log=[].append)
    ours = sweep.logprobs(manifest.folder_of("u10"), asked, films)
    assert len(ours) >= 16 and np.ptp([p for one in ours for p in one]) > 3
    for trial, mine in zip(asked, ours, strict=True):
        row = rows[trial.trial_id]
        # Options are not listed in the prompt, so their order decides nothing.
        theirs = dict(zip(row.asked.option_order, row.logprobs, strict=True))
        among = torch.tensor([theirs[k] for k in trial.option_order]).log_softmax(-1)
        np.testing.assert_allclose(mine, among, atol=2e-3)


def test_what_is_outside_or_misnamed_is_not_ok() -> None:
    flat = replace(FOUND, organism="flat", shape=FLAT, label="undetermined", inside=0)
    rows = {row["name"]: row for row in groundtruth.rows([FOUND, flat])}
    assert rows["true_value_inside"]["value"] == 0.5 and not rows["true_value_inside"]["ok"]
    assert rows["right_shape"]["ok"] and not rows["none_within_margin"]["ok"]
    wrong = {row["name"]: row for row in groundtruth.rows([replace(flat, label="U")])}
    assert not wrong["right_shape"]["ok"]
    json.dumps(list(rows.values()), allow_nan=False)


def test_a_wrong_shape_is_not_ok_whatever_the_truth() -> None:
    small = TrueShape(name="head", right=("head", *UNSHAPED), small=True)
    for shape, label, right in (
        (FOUND.shape, "none", False),
        (FOUND.shape, "undetermined", False),
        (FLAT, "head", False),
        (FLAT, "none", True),
        (small, "head", True),
        (small, "none", True),
        (small, "neighbour", False),
    ):
        rows = {row["name"]: row for row in groundtruth.rows([replace(FOUND, shape=shape, label=label)])}
        assert rows["right_shape"]["ok"] == right, f"{label} said of {shape}"


def test_the_error_of_the_truth_widens_what_is_inside_and_no_more_than_it_is() -> None:
    def band(value: float) -> Estimate:
        return Estimate(metric="accuracy_band", slot=0, value=value, low=value - 3, high=value + 3)

    inside = groundtruth._inside
    assert inside([band(90), band(80)], [0.92, 0.84]) == 1
    # Limits 3 and 1.96 errors of 1.5 points away add up to 4.2 points.
    assert inside([band(80)], [0.8415], error_S=[0.015]) == 1 and inside([band(80)], [0.8425], error_S=[0.015]) == 0


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
