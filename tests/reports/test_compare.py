import io
import json

import pytest
from rich.console import Console

from vlbias.estimates import Comparison, Difference, Estimate
from vlbias.reports import compare

NAMES = ("first <b>\x1b[31m", "second | run")


@pytest.fixture
def comparison():
    estimate = Estimate(metric="accuracy", value=-12.5, unit="points", low=-20, high=-5, interval="bootstrap", n=100)
    one = Difference(
        first=NAMES[0], second=NAMES[1], first_value=50.0, second_value=62.5, estimate=estimate, p_value=0.0005,
        p_adjusted=0.0015, adjusted="Holm over 3 pairs",
    )  # fmt: skip
    return Comparison(
        runs=NAMES, suite_sha256="s", n_slots=2, n_probes=100, n_clusters=50, curves=((40.0, 60.0), (60.0, 65.0)),
        differences=(one,), notes=("3 of 103 probes left out",),
    )  # fmt: skip


def test_all_forms_say_the_difference_with_its_interval(comparison, tmp_path):
    page = io.StringIO()
    compare.render(comparison, console=Console(file=page, width=200, color_system=None))
    files = {p.name: p.read_text() for p in compare.write(comparison, folder=tmp_path)}
    for text in (page.getvalue(), files["compare.html"], files["compare.md"].replace("\\", "")):
        assert (
            "−12.5" in text and "−20.0 to −5.0" in text and "P adjusted: Holm over 3 pairs" in text and "0.002" in text
        )
        assert "3 of 103 probes left out" in text
    assert json.loads(files["compare.json"])["differences"][0]["estimate"]["value"] == -12.5


def test_names_of_runs_do_nothing(comparison):
    text = compare.page(comparison)
    assert "<b>" not in text and "&lt;b&gt;" in text and "\x1b" not in text
    assert "second \\| run" in compare.markdown(comparison)
    assert "http" not in text.replace("http-equiv", "")
