import io
import subprocess
import sys
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
