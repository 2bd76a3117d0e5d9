"""Progress: a bar on a terminal, lines elsewhere, nothing if asked."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from vlbias import display
from vlbias.errors import BadInput


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def attached(monkeypatch) -> Terminal:
    """A terminal as stderr; called by the test itself, because pytest sets stderr again after its fixtures."""
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    return screen


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_bar_waits_for_the_first_trial_and_then_tells_count_rate_and_failures(monkeypatch):
    terminal = attached(monkeypatch)
    with display.progress("rich", title="asking", unit="trials") as update:
        assert terminal.getvalue() == "", "lines about loading would run into a bar"
        update(0, 40, 0)
        update(10, 40, 3)
    shown = plain(terminal.getvalue())
    assert "asking" in shown and "10/40" in shown and "trials/s" in shown and "left" in shown and "3 failed" in shown


def test_a_bar_gives_the_cursor_back_when_the_work_breaks_off(monkeypatch):
    terminal = attached(monkeypatch)
    with pytest.raises(KeyError), display.progress("rich", title="asking", unit="trials") as update:
        update(1, 2, 0)
        raise KeyError
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1


def test_a_pipe_gets_lines_without_control_codes_and_none_gets_nothing(capsys):
    assert display.chosen(None) == "plain"
    for how in ("plain", "none"):
        with display.progress(how, title="asking", unit="trials") as update:
            update(4, 4, 1)
    text = capsys.readouterr().err
    assert text.count("asking: 4/4 trials") == 1 and "1 failed" in text and "\x1b" not in text


def test_an_unknown_display_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match="rich, plain or none"):
        display.chosen("fancy")


def test_a_table_of_checks_keeps_names_whole_on_a_narrow_terminal() -> None:
    long = "false_alarm_rate_gold_" + "x" * 70
    rows = [
        SimpleNamespace(name=long, value=0.0646, low=0.0459, high=0.0902, goal="0.03 to 0.07; 480 runs", ok=True),
        SimpleNamespace(name="b", value=None, low=None, high=None, goal="", ok=False),
    ]
    out = io.StringIO()
    Console(file=out, width=80).print(display.checks(rows))
    first = "".join(line.split("│")[1].strip() for line in out.getvalue().splitlines() if line.startswith("│"))
    assert first == long + "b" and "…" not in out.getvalue()
    assert "0.0459 to" in out.getvalue() and "yes" in out.getvalue() and "NO" in out.getvalue()
