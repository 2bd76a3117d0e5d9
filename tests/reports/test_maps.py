import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from vlbias.estimates import Estimate
from vlbias.reports import _maps, figures, html


def cells(rows: int, columns: int, **other) -> list[Estimate]:
    return [
        Estimate(metric="conflict", cell=(r, c), value=10.0 * r + c, low=10.0 * r + c - 2, high=10.0 * r + c + 3,
                 interval="bootstrap", unit="points", n=9, **other)
        for r in range(rows) for c in range(columns)
    ]  # fmt: skip


@pytest.fixture
def mapped(report):
    return replace(report, estimates=[*report.estimates, *cells(3, 4, notes=("axes: place of A x place of B",))])


def test_cells_become_one_map_with_named_axes_counted_from_one(mapped):
    (drawn,) = _maps.maps(mapped)
    assert drawn.values_RC[2][3] == 23 and drawn.low_RC[2][3] == 21 and drawn.high_RC[2][3] == 26
    words = list(ET.fromstring(re.sub(r"var\(--\w+\)", "#000", _maps.heatmap(drawn, name="m"))).itertext())
    assert {"place of A", "place of B", "23.0", "21.0 to 26.0", "4"} <= {w.strip() for w in words}
    assert not {"0"} & {w.strip() for w in words}


def test_a_page_shows_a_map_once_and_not_as_rows_too(mapped):
    page = html.page(mapped)
    assert page.count('id="maps"') == 1 and "row 3: 20.0, 21.0, 22.0, 23.0" in page
    assert "cell 3, 4" not in page and "#0102" not in page


def test_a_hole_is_a_dash_and_not_a_zero(report):
    (drawn,) = _maps.maps(replace(report, estimates=cells(3, 4)[:-1]))
    assert drawn.values_RC[2][3] is None
    assert "row 3: 20.0, 21.0, 22.0, –" in _maps.heatmap(drawn, name="m")


def test_more_is_stronger_and_signs_differ_in_colour(report):
    assert _maps.strength(5.0, [1.0, 5.0]) > _maps.strength(1.0, [1.0, 5.0])
    assert _maps.strength(-4.0, [-4.0, 2.0]) > _maps.strength(2.0, [-4.0, 2.0])
    both = [replace(e, value=e.value - 11) for e in cells(2, 2)]
    svg = _maps.heatmap(_maps.maps(replace(report, estimates=both))[0], name="m")
    assert "var(--alone)" in svg


def test_cells_of_three_coordinates_stand_in_the_table(report):
    page = html.page(replace(report, estimates=[Estimate(metric="cube", cell=(0, 1, 2), value=4.0, n=3)]))
    assert "cube, cell 1, 2, 3" in page


def test_a_map_is_a_figure_of_its_own(mapped):
    assert "map_1_conflict" in figures.figures(mapped)


def test_a_foreign_name_in_a_map_does_nothing(report):
    bad = [replace(e, metric="<script>x", task="$\\frac{$") for e in cells(2, 2)]
    page = html.page(replace(report, estimates=bad))
    assert "<script" not in page and "&lt;script&gt;x" in page
