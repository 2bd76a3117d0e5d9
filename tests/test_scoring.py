from pathlib import Path

from vlbias import imports, scoring
from vlbias.answers import Tally


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
