import csv

import pytest

from vlbias.reports import tables


def test_the_csv_holds_every_estimate_in_full(report, tmp_path):
    paths = {p.name: p for p in tables.write(report, folder=tmp_path)}
    rows = list(csv.DictReader(paths["estimates.csv"].read_text().splitlines()))
    assert len(rows) == len(report.estimates)
    assert float(rows[0]["value"]) == report.estimates[0].value
    assert set(paths) == {"estimates.csv", "curve.md", "curve.tex", "summary.md", "summary.tex"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_spreadsheet_runs_no_text(text, hostile):
    e = hostile.estimates[0].__class__(metric=text)
    assert tables.as_csv([e]).splitlines()[1].startswith("'")


def test_a_negative_number_stays_a_number(hostile):
    e = hostile.estimates[0].__class__(metric="m", value=-1.5)
    assert tables.as_csv([e]).splitlines()[1].split(",")[3] == "-1.5"


def test_latex_prints_what_it_would_obey():
    table = tables.as_latex(("a",), [(r"50 % & \input{x} $y_1$ #~^",)])
    assert r"50 \% \& \textbackslash{}input\{x\} \$y\_1\$ \#\textasciitilde{}\textasciicircum{}" in table
    assert r"\toprule" in table


def test_a_cell_cannot_end_its_row_in_markdown():
    line = tables.as_markdown(("a",), [("x | y\n| z `<b>`",)]).splitlines()
    assert line[2] == r"| x \| y \| z \`&lt;b&gt;\` |"


def test_a_curve_without_values_has_dashes(empty):
    _, rows = tables.curve_table(empty)
    assert rows[0][:2] == ("1", "–")
