"""`vlbias cellcheck` prints a table of what it is asked for, and knows what it can be asked for."""

import pytest
from typer.testing import CliRunner

from vlbias import cellcheck
from vlbias.cli import app
from vlbias.errors import UnknownName


@pytest.fixture
def small(monkeypatch):
    settings = tuple(cellcheck.Setting(kind=kind, side=3, items=8) for kind in ("detection", "canvas"))
    monkeypatch.setattr(cellcheck, "SETTINGS", settings)


def asked(*flags):
    return CliRunner().invoke(app, ["cellcheck", "--flat", "2", "--planted", "1", "--workers", "1", *flags])


def test_all_settings_are_counted_unless_some_are_named(small):
    told, some = asked("--display", "none").output, asked("--display", "none", "--tasks", "canvas").output
    assert "| detection, 3 x 3, 8 items | " in told and "| canvas, 3 x 3, 8 items | " in told and "of 2 |" in told
    assert "| canvas, 3 x 3, 8 items | " in some and "detection" not in some


def test_an_unknown_task_is_named_with_those_that_are_known(small):
    found = asked("--tasks", "canvs")
    assert isinstance(found.exception, UnknownName) and "did you mean canvas" in str(found.exception)
