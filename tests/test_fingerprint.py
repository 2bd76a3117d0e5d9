"""What several runs of a model say together."""

import json
import re
import shutil
from pathlib import Path

import pytest

from vlbias import cli, fingerprint, job, session
from vlbias import config as configs
from vlbias.errors import BadInput, NotARun
from vlbias.plan import plan


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge who likes the first place, a believer in the head, and a suite that cannot stand in a panel."""
    root = tmp_path_factory.mktemp("runs")
    for tasks, arguments in (("judge", {"home": 2.0, "accuracy": 0.6}), ("conflict", {"head": 2.0})):
        one = configs.check(
            {"model": "scripted", "model_args": arguments, "tasks": tasks, "limit": "30", "positions": "0,1"
             if tasks == "judge" else "0,3,5"}, where="test",
        )  # fmt: skip
        session.ask(one, plan(one), folder=root / tasks)
    (root / "notes").mkdir()
    return root


def test_each_run_stands_in_its_panels_with_interval_and_reference(runs: Path) -> None:
    found = fingerprint.fingerprint(runs)
    marks = {mark.panel: mark for mark in found.marks}
    assert found.sweeps == () and not found.is_empty
    assert set(marks) == {"judge", "conflict", "fill"}
    assert marks["fill"].estimate.value is None and "no context window" in marks["fill"].estimate.notes[0]
    assert marks["judge"].suite == "judge" and marks["judge"].estimate.low > 0
    assert marks["conflict"].estimate.low > 0 and marks["conflict"].estimate.reference is not None


def test_one_run_alone_has_a_fingerprint_too(runs: Path) -> None:
    assert {mark.panel for mark in fingerprint.fingerprint(runs / "judge").marks} == {"judge", "fill"}


def test_the_page_the_figure_and_the_numbers_are_written(runs: Path, tmp_path: Path) -> None:
    found = fingerprint.fingerprint(runs)
    marks, paths = found.marks, fingerprint.write(found, folder=tmp_path)
    assert [path.name for path in paths] == [f"fingerprint.{kind}" for kind in ("json", "svg", "html", "md")]
    kept = json.loads(paths[0].read_text(), parse_constant=lambda name: pytest.fail(name))
    assert [row["estimate"]["value"] for row in kept["marks"]] == [mark.estimate.value for mark in marks]
    page = paths[2].read_text()
    known = [mark for mark in marks if mark.estimate.value is not None]
    assert page.count("<tr>") == len(known) + 1 and page.count("<svg") == 1 and "scripted" in page
    assert "<li>fill in conflict, judge: the model tells no context window</li>" in page
    assert [mark.panel for mark in marks] == ["conflict", "judge", "fill", "fill"]
    assert str(runs) not in page + paths[0].read_text()
    section = paths[3].read_text().splitlines()
    assert section[0] == "## Position fingerprint" and "![Position biases by panel](fingerprint.svg)" in section
    rows = [line for line in section if line.startswith(("| judge", "| conflict"))]
    assert len(rows) == len(known)
    assert any("without a value" in line for line in section)
    index = next(line.split(" | ") for line in rows if line.startswith("| conflict"))
    assert re.fullmatch(r"[+−]\d+\.\d points", index[3]) and re.fullmatch(r"[+−]\d+\.\d to [+−]\d+\.\d", index[4])


def test_a_model_from_a_folder_is_told_by_its_name_and_a_judge_without_a_verdict_by_the_reason(tmp_path: Path) -> None:
    one = configs.check(
        {"model": "scripted", "model_args": {"refusals": 1.0}, "tasks": "judge", "limit": "4"}, where="test"
    )
    session.ask(one, plan(one), folder=tmp_path / "judge")
    described = tmp_path / "judge" / "run.json"
    described.write_text(described.read_text().replace('"name": "scripted"', '"name": "/data/me/models/Tiny-VL"'))
    found = fingerprint.fingerprint(tmp_path)
    assert {(mark.model, mark.panel) for mark in found.marks} == {("Tiny-VL", "judge"), ("Tiny-VL", "fill")}
    text = fingerprint.page(found, "", [])
    assert "Position fingerprint of Tiny-VL" in text and "judge in judge: no probe has every rotation" in text
    assert "/data/me" not in text


def test_the_card_of_several_runs_is_their_fingerprint_and_of_one_its_own(runs: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(runs, both)
    assert [path.name for path in job.card(both)][-1] == "fingerprint.md"
    assert "card.md" in {path.name for path in job.card(both / "judge")}
    with pytest.raises(NotARun):
        job.card(both / "notes")


def test_a_run_of_several_suites_ends_with_their_fingerprint(tmp_path: Path) -> None:
    words = ["--tasks", "judge,judge-phrases", "--model", "scripted", "--limit", "8", "-o", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as left:
        cli.main(["run", *words])
    assert not left.value.code
    marks = json.loads((tmp_path / "runs" / "fingerprint.json").read_text())["marks"]
    assert {mark["suite"] for mark in marks} == {"judge", "judge-phrases"}


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no run"):
        fingerprint.fingerprint(tmp_path)
