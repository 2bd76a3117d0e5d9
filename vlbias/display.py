"""What a person sees: a bar with rate and time left on a terminal, plain lines elsewhere, and tables of checks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

from vlbias.errors import BadInput

Display = Literal["rich", "plain", "none"]
PLAIN_EVERY_S = 5.0


def chosen(name: str | None) -> Display:
    """The display asked for, or the one that fits where the output goes."""
    if name in ("rich", "plain", "none"):
        return name  # type: ignore[return-value]
    if name is not None:
        raise BadInput(f"--display: found {name!r}; give rich, plain or none")
    return "rich" if sys.stderr.isatty() else "plain"


def console(display: Display, *, stderr: bool = False) -> Console:
    """Where results (stdout) or progress (stderr) are printed; plain has no colour and no control codes."""
    plain = display != "rich"
    return Console(
        stderr=stderr,
        quiet=display == "none" and stderr,
        no_color=plain or None,
        force_terminal=False if plain else None,
        highlight=False,
        soft_wrap=plain,
    )


def checks(rows: Iterable[Any]) -> Table:
    """A table of rows with a name, a value with its interval, a goal, and whether they are ok; names stay whole."""
    table = Table(Column("row", overflow="fold"), "value", "interval", "goal", "ok")
    for row in rows:
        told = row.low is not None and row.high is not None
        interval = f"{row.low:.3g} to {row.high:.3g}" if told else "–"
        value = "–" if row.value is None else f"{row.value:.3g}"
        table.add_row(row.name, value, interval, row.goal, "yes" if row.ok else "NO")
    return table


@contextmanager
def progress(display: Display, *, title: str, unit: str) -> Iterator[Callable[[int, int, int], None]]:
    """A function to call with (done, total, failed)."""
    if display == "rich":
        with _bar(title, unit) as update:
            yield update
    elif display == "plain":
        yield _lines(title, unit)
    else:
        yield _silent


@contextmanager
def _bar(title: str, unit: str) -> Iterator[Callable[[int, int, int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
    )
    start, first = time.monotonic(), [-1]
    bar = Progress(*columns, console=console("rich", stderr=True), transient=True)
    task = bar.add_task(title, total=None, rate="", failed="")

    def update(done: int, total: int, failed: int) -> None:
        if first[0] < 0:
            first[0] = done
            bar.start()  # not before: lines printed while a model is loaded would run into the bar
        rate = (done - first[0]) / max(time.monotonic() - start, 1e-9)
        note = f"[red]{failed} failed" if failed else ""
        bar.update(task, completed=done, total=total, rate=f"{rate:.1f} {unit}/s", failed=note)

    try:
        yield update
    finally:
        bar.stop()


def _silent(*_: int) -> None:
    """Says nothing."""


def _lines(title: str, unit: str) -> Callable[[int, int, int], None]:
    start, said, first = time.monotonic(), [0.0], [-1]
    out = console("plain", stderr=True)

    def update(done: int, total: int, failed: int) -> None:
        now = time.monotonic()
        if first[0] < 0:
            first[0] = done
        if now - said[0] < PLAIN_EVERY_S and done < total:
            return
        said[0] = now
        rate = (done - first[0]) / max(now - start, 1e-9)
        left = f", {(total - done) / rate:.0f} s left" if rate > 0 and done < total else ""
        out.print(f"{title}: {done}/{total} {unit}, {rate:.1f}/s{left}{f', {failed} failed' if failed else ''}")

    return update
