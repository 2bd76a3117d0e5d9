import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from vlbias.estimates import Estimate
from vlbias.reports import terminal
from vlbias.reports._plot import plot


def shown(report, width=100, plain=None, terminal_like=False) -> str:
    page = io.StringIO()
    console = Console(file=page, width=width, force_terminal=terminal_like, color_system=None)
    terminal.render(report, paths=[Path("out/report.html")], console=console, plain=plain)
    return page.getvalue()


def test_the_screen_has_verdict_curve_numbers_and_files(report):
    text = shown(report, terminal_like=True)
    assert "Shape: U (confidence 97 %)" in text
    assert "●" in text and "░" in text and "neighbour" in text
    assert "Head minus middle" in text.replace("head minus", "Head minus")
    assert "out/report.html" in text
    assert "clip.mp4: moov atom not found" in text


def test_a_pipe_gets_a_drawing_in_ascii_only(report):
    text = shown(report)
    assert text.isascii()
    assert " o" in text and "probe alone" in text


def test_no_line_is_wider_than_the_screen(report):
    text = shown(report, width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert "probe alone" in text


def test_more_slots_than_columns_are_thinned_and_said_so():
    points = [Estimate(metric="accuracy", slot=k, value=50.0 + k % 7, unit="points") for k in range(200)]
    drawn = plot(points, width=60, ascii_only=True)
    assert max(map(len, drawn.splitlines())) <= 60
    assert "every 4th slot is drawn" in drawn


def test_control_characters_of_foreign_text_do_not_reach_the_screen(hostile):
    text = shown(hostile)
    assert "\x1b" not in text
    assert "{{7*7}}" in text


def test_a_run_of_counts_or_of_failures_is_shown_as_such(counts_only, empty):
    assert "only counts of 400 answers over 4 slots are known" in " ".join(shown(counts_only).split())
    assert "1 of 1 trials have no answer" in " ".join(shown(empty).split())


def test_the_file_holds_what_the_screen_shows(report, tmp_path):
    (path,) = terminal.write(report, folder=tmp_path)
    assert "Shape: U" in path.read_text()


def test_the_terminal_report_loads_neither_matplotlib_nor_torch():
    code = "import sys, vlbias.reports.terminal; sys.exit(bool({'matplotlib', 'torch', 'jinja2'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_no_sweep_over_slots_is_shown_in_a_table_of_its_own(empty):
    points = {"unit": "points", "n": 60, "low": 3.0, "high": 9.0}
    judged = [Estimate(metric="judge_place_share", slot=0, value=6.0, **points)]
    placed = [Estimate(metric="placement_accuracy_change", task="after", value=5.5, **points)]
    by_task = [Estimate(metric="judge_place_share", task="colour", slot=0, value=77.7, **points)]
    cells = [Estimate(metric="preference_index_pair", cell=(0, 1), value=88.8, unit="points")]
    text = shown(replace(empty, estimates=(*judged, *placed, *by_task, *cells)))
    assert "The candidate at" in text and "place 1" in text and "6.0 points" in text
    assert "Accuracy less the" in text and "after" in text and "+5.5 points" in text
    assert "3.0 to 9.0" in text and "77.7" not in text and "88.8" not in text


def test_a_sweep_over_slots_keeps_its_few_numbers(report):
    extra = Estimate(metric="context_fill", value=12.5, unit="points")
    text = shown(replace(report, estimates=(*report.estimates, extra)))
    assert "context_fill" not in text and "Share of the context" not in text


def test_more_rows_than_a_screen_are_counted(empty):
    many = tuple(Estimate(metric=f"m{k:02d}", value=1.0, unit="points") for k in range(45))
    text = shown(replace(empty, estimates=many))
    assert "m39" in text and "m40" not in text and "5 more estimates are in tables/estimates.csv" in text
