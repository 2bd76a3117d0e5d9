import json
from dataclasses import replace

import pytest

from vlbias.errors import NotARun
from vlbias.estimates import Estimate
from vlbias.reports import results


def test_estimates_come_back_as_they_were_written(report, tmp_path):
    (path,) = results.write(report, folder=tmp_path)
    assert results.estimates_from(path) == list(report.estimates)
    assert results.estimates_from(tmp_path) == list(report.estimates)


def test_the_cell_of_an_estimate_comes_back(report, tmp_path):
    held = Estimate(metric="map", value=3.0, cell=(2, 5))
    (path,) = results.write(replace(report, estimates=[held]), folder=tmp_path)
    assert results.estimates_from(path) == [held]


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


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 99}', '{"schema_version": 1, "estimates": [{"x": 1}]}'])
def test_a_file_of_another_kind_is_refused_by_name(text, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(NotARun, match="results.json"):
        results.estimates_from(path)


def test_a_file_with_nan_is_refused(report, tmp_path):
    (path,) = results.write(report, folder=tmp_path)
    path.write_text(path.read_text().replace('"n": 1200', '"n": NaN', 1))
    with pytest.raises(NotARun, match="NaN"):
        results.estimates_from(path)


def test_a_run_without_answers_can_be_written(empty, hostile, tmp_path):
    for k, one in enumerate((empty, hostile)):
        (path,) = results.write(one, folder=tmp_path / str(k))
        assert json.loads(path.read_text())["failures"][0]["failed"] == 1
