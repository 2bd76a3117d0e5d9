"""A run that is killed at any moment, from its first import to its last report, ends as an undisturbed one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
RUN = [
    sys.executable,
    "-m",
    "vlbias",
    "run",
    "--tasks",
    "drawn",
    "--model",
    "scripted",
    "--limit",
    "30",
    "--batch_size",
]


def rows(folder: Path) -> list[bytes]:
    return sorted(line for path in folder.glob("rows-*of[0-9].jsonl") for line in path.read_bytes().splitlines())


@pytest.mark.parametrize("kills_s", [(0.4, 1.0, 1.8, 2.6)])
def test_kills_at_any_moment_leave_the_rows_and_the_cache_whole(tmp_path: Path, kills_s: tuple[float, ...]) -> None:
    def start(name: str) -> subprocess.Popen[bytes]:
        own = {**os.environ, "VLBIAS_CACHE_DIR": str(tmp_path / f"cache-{name}"), "PYTHONPATH": str(REPOSITORY)}
        command = [*RUN, "2", "--metrics", "flips", "--display", "none", "--output_path", str(tmp_path / name)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, env=own, cwd=tmp_path)

    for after_s in kills_s:
        with start("killed") as process:
            try:
                process.wait(after_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    for name in ("killed", "whole"):
        with start(name) as process:
            assert process.wait(120) == 0
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole") and len(rows(tmp_path / "whole")) == 30 * 11
    assert (tmp_path / "killed" / "report.html").stat().st_size > 1000
