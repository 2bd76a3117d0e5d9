import json
from dataclasses import asdict, replace

import pytest

from vlbias.estimates import Estimate, Reference
from vlbias.reports import results


def test_estimates_are_written_whole_with_their_cell_and_their_reference(report, tmp_path):
    held = Estimate(metric="map", value=3.0, cell=(2, 5))
    (path,) = results.write(replace(report, estimates=[*report.estimates, held]), folder=tmp_path)
    found = json.loads(path.read_text())["estimates"]
    assert found == json.loads(json.dumps([asdict(e) for e in (*report.estimates, held)]))
    assert found[-1]["cell"] == [2, 5] and any(e["reference"] for e in found)


def test_accuracy_is_a_share_under_the_key_that_harnesses_share(report, tmp_path):
    (path,) = results.write(report, folder=tmp_path)
    found = json.loads(path.read_text())
    overall = next(e for e in report.estimates if e.metric == "accuracy" and e.slot is None and e.task == "all")
    assert found["results"]["all"]["acc,none"] == pytest.approx(overall.value / 100)
    assert 0 < found["results"]["all"]["acc_stderr,none"] < 0.05
    assert found["n-samples"]["all"]["original"] == 120
    assert found["n-samples"]["all"]["effective"] < 120
    assert [p["position"] for p in found["position"]["curve"]["all"]] == list(range(10))


def test_what_is_not_known_is_null_and_not_zero(counts_only, tmp_path):
    (path,) = results.write(counts_only, folder=tmp_path)
    found = json.loads(path.read_text())
    assert found["results"]["all"]["accuracy_head_minus_middle,none"] is None
    assert found["results"]["all"]["accuracy_head_minus_middle_stderr,none"] == "N/A"
    assert found["n-samples"]["all"] == {"original": None, "effective": None}


def test_a_number_that_json_does_not_know_is_refused(report, tmp_path):
    wrong = Reference(mean=float("nan"), low=0.0, high=0.0, p_value=None, method="x")
    with pytest.raises(ValueError, match="JSON compliant"):
        results.write(replace(report, estimates=[Estimate(metric="m", reference=wrong)]), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_without_answers_can_be_written(empty, hostile, tmp_path):
    for k, one in enumerate((empty, hostile)):
        (path,) = results.write(one, folder=tmp_path / str(k))
        assert json.loads(path.read_text())["failures"][0]["failed"] == 1
