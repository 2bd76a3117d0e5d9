import xml.etree.ElementTree as ET

import pytest

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
