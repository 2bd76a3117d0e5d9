"""The main job on its real parts: bundled clips, decoded; the bundled organism, loaded as any model; the reports."""

import json
from pathlib import Path

import pytest

from vlbias import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLBIAS_CACHE_DIR", str(place / "cache"))
        with pytest.raises(SystemExit) as ended:
            cli.main(["run", "--limit", "72", "--display", "none", "--output_path", str(place / "run")])
    assert ended.value.code == 0
    return place / "run"


def test_the_demo_finds_the_u_that_was_planted(folder: Path) -> None:
    estimates = json.loads((folder / "results.json").read_text())["estimates"]
    whole = {e["metric"]: e for e in estimates if e["task"] == "all" and e["slot"] is None and e["cell"] is None}
    assert whole["shape"]["label"] == "U"
    for metric in ("accuracy_head_minus_middle", "accuracy_neighbour_minus_middle"):
        assert whole[metric]["low"] > 5
        assert whole[metric]["reference"]["p_value"] < 0.01


def test_the_organism_answers_every_probe_that_stands_alone(folder: Path) -> None:
    rows = [json.loads(line)["row"] for line in next(folder.glob("rows-*.jsonl")).read_text().splitlines()]
    alone = [row for row in rows if row["asked"]["slot"] is None]
    assert len(rows) == 72 * 11 and len(alone) == 72
    assert sum(row["chosen"] == row["asked"]["gold"] for row in alone) >= 70


def test_every_report_of_the_demo_is_there(folder: Path) -> None:
    for name in ("report.html", "report.txt", "card.md", "results.json", ".eval_results/vlbias.yaml"):
        assert (folder / name).stat().st_size > 500 or name.endswith(".yaml")
