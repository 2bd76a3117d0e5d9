import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from vlbias.estimates import Estimate, Reference
from vlbias.reports import figures
from vlbias.reports._draw import encoded


@pytest.fixture(scope="module")
def paths(report, tmp_path_factory):
    return {p.name: p for p in figures.write(report, folder=tmp_path_factory.mktemp("run"))}


def test_each_curve_is_written_in_three_formats(paths):
    names = {f"{n}.{k}" for n in ("accuracy", "gold_probability", "accuracy_by_task") for k in ("png", "pdf", "svg")}
    assert set(paths) == names
    assert paths["accuracy.png"].read_bytes()[:4] == b"\x89PNG"
    assert paths["accuracy.pdf"].read_bytes()[:5] == b"%PDF-"


def test_slots_are_counted_from_one_and_the_ends_are_named(paths):
    text = " ".join(ET.parse(paths["accuracy.svg"]).getroot().itertext())
    assert "head" in text and "neighbour" in text
    assert "10" in text.split() and "0" not in text.split()


def test_the_same_report_gives_the_same_bytes(report, paths):
    again = encoded(figures.figures(report)["accuracy"], "svg")
    assert again == paths["accuracy.svg"].read_bytes()


def test_a_foreign_task_name_is_drawn_as_text(hostile):
    drawn = encoded(figures.figures(hostile)["accuracy_by_task"], "svg").decode()
    words = list(ET.fromstring(drawn).itertext())
    assert "&lt;script&gt;" in drawn and "<script" not in drawn
    assert any(w.startswith("$x$") for w in words)


def test_a_run_without_values_has_no_figures(empty):
    assert figures.figures(empty) == {}


def test_placements_and_displayed_places_have_figures_of_their_own(empty):
    points = {"unit": "points", "n": 60}
    null = Reference(mean=0.0, low=-9.0, high=9.0, p_value=0.5, method="m")
    placed = [Estimate(metric="placement_accuracy_change", task=t, value=4.0, reference=null, **points) for t in "ab"]
    base = Estimate(metric="placement_accuracy", task="$x$<b>", value=70.0, notes=("the baseline",), **points)
    shares = [Estimate(metric="option_share", slot=k, value=20.0 + k, **points) for k in range(4)]
    drawn = figures.figures(replace(empty, estimates=(*placed, base, *shares)))
    assert list(drawn) == ["option_share", "placement_accuracy", "placement_accuracy_change"]
    words = list(ET.fromstring(encoded(drawn["placement_accuracy"], "svg").decode()).itertext())
    assert "$x$<b> (baseline)" in words
    assert {"a", "b"} <= set(ET.fromstring(encoded(drawn["placement_accuracy_change"], "svg").decode()).itertext())
