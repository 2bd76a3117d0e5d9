from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard

from vlbias.estimates import Estimate, Reference
from vlbias.reports import Report, card
from vlbias.reports._text import model_name


def written(report, folder):
    return {p.name: p for p in card.write(report, folder=folder)}


def test_the_hub_library_reads_the_card_back(report, tmp_path):
    found = ModelCard.load(written(report, tmp_path)["card.md"])
    values = {r.metric_type: r.metric_value for r in found.data.eval_results}
    assert values["accuracy_head_minus_middle"] == 29.3
    assert found.data.model_name == "Org/Tiny-VL"
    assert "24.3 to" in found.content.replace("+", "") and "Shape: U" in found.content


def test_the_hub_results_hold_each_interval_in_the_notes(report, tmp_path):
    rows = yaml.safe_load(written(report, tmp_path)["vlbias.yaml"].read_text())
    assert all("interval" in row["notes"] for row in rows)
    assert {row["dataset"]["task_id"] for row in rows} >= {"accuracy", "accuracy_range"}


def test_foreign_text_cannot_leave_its_line(hostile, tmp_path):
    text = written(hostile, tmp_path)["card.md"].read_text().split("---", 2)[2]
    assert "<script" not in text and "<img" not in text and "\x1b" not in text
    assert "[x](" not in text and "\\[x\\](" in text
    assert "7\\*7" in text


def test_a_run_of_another_order_has_its_numbers_in_the_card_and_no_empty_curve(empty, tmp_path):
    null = Reference(mean=0.0, low=-9.0, high=9.0, p_value=0.004, method="m")
    points = {"unit": "points", "n": 60, "low": 20.0, "high": 40.0}
    index = Estimate(metric="preference_index", value=30.0, reference=null, **points)
    page = written(replace(empty, estimates=(index,)), tmp_path)["card.md"]
    (result,) = ModelCard.load(page).data.eval_results
    assert (result.metric_type, result.metric_value) == ("preference_index", 30.0)
    text = page.read_text()
    assert "| Preference for the head over the neighbour | +30.0 points | +20.0 to +40.0 |" in text
    assert "Accuracy by place of the evidence" not in text


def test_a_run_without_numbers_has_a_card_without_numbers(empty, counts_only, tmp_path):
    assert not ModelCard.load(written(empty, tmp_path / "a")["card.md"]).data.eval_results
    assert "counts only" in written(counts_only, tmp_path / "b")["card.md"].read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Org/Model", "Org/Model"),
        ("/data/me/models/Tiny/", "Tiny"),
        ("./tiny", "tiny"),
        ("C:\\models\\tiny", "tiny"),
        ("/c/models--Org--Tiny/snapshots/0f", "Org/Tiny"),
        ("/", "unnamed model"),
    ],
)
def test_a_folder_does_not_tell_where_it_stands(name, said):
    assert model_name(name) == said


def test_no_path_of_the_machine_is_in_the_card(report, tmp_path):
    run = report.run.__class__(**{**vars(report.run), "identity": _at(report, "/secret/place/Tiny")})
    one = Report(run=run, estimates=report.estimates, outcomes=report.outcomes)
    assert all("secret" not in p.read_text() for p in written(one, tmp_path).values())


def _at(report, name):
    return report.run.identity.__class__(**{**vars(report.run.identity), "name": name})
