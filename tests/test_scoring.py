import json
import re
from pathlib import Path

import pytest

from vlbias import cli, imports, scoring, session
from vlbias.answers import Tally
from vlbias.config import RunConfig
from vlbias.plan import plan


def test_measuring_and_writing_tell_how_far_they_are(tmp_path: Path) -> None:
    counts = [Tally(task="t", slot=slot, n_slots=3, right=5 + slot, wrong=5) for slot in range(3)]
    imports.keep(counts, folder=tmp_path / "run", source="x", format_name="levelgauge", command=[])
    heard: list[tuple[int, int]] = []
    result = scoring.report(
        tmp_path / "run", metrics=("curve", "failures"), tell=lambda done, total, _: heard.append((done, total))
    )
    assert heard == [(0, 2), (1, 2)]
    scoring.write(
        result, folder=tmp_path / "run", writers=("card",), tell=lambda done, total, _: heard.append((done, total))
    )
    assert heard[-1] == (0, 1) and (tmp_path / "run" / "card.md").is_file()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of a scripted model that answers best at the head."""
    arguments = {"profile": "1:.9:.8:.7:.6:.5:.5:.5:.5:.5", "difficulty": 1.0}
    one = RunConfig(tasks="drawn", model="scripted", model_args=arguments, limit="80", batch_size=900)
    session.ask(one, plan(one), folder=tmp_path / "run")
    return tmp_path / "run"


def scored(folder: Path) -> dict[str, dict[str, object]]:
    """What `vlbias score` says of all tasks together, by metric, from the file it writes."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["score", str(folder), "--metrics", "shape,failures,detectable", "--display", "none"])
    assert ended.value.code == 0
    refuse = pytest.fail
    found = json.loads((folder / "results.json").read_text(), parse_constant=lambda text: refuse(f"{text} in a file"))
    return {e["metric"]: e for e in found["estimates"] if e["task"] == "all" and e["slot"] is None}


def test_a_third_of_one_slots_rows_deleted_withholds_the_label_and_says_why(folder: Path) -> None:
    whole = scored(folder)
    assert whole["shape"]["label"] == "head" and whole["attrition_test"]["value"] > 0.5
    assert 5 < whole["accuracy_smallest_detectable_effect"]["value"] < 60
    (rows,) = folder.glob("rows-*.jsonl")
    lines = rows.read_text().splitlines(keepends=True)
    at_slot = [k for k, line in enumerate(lines) if re.search(r'"slot": ?3[,}]', line)]
    assert len(at_slot) == 80
    gone = set(at_slot[::3])
    rows.write_text("".join(line for k, line in enumerate(lines) if k not in gone))
    found = scored(folder)
    assert found["attrition_test"]["value"] < 0.01
    assert found["shape"]["label"] == "undetermined" and found["shape"]["value"] is None
    assert "withheld: missing answers depend on the slot" in found["shape"]["notes"][0]
    assert "lack a usable answer in at least one slot" in found["shape"]["notes"][-1]
