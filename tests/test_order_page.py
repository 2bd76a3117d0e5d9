"""The page on order probes tells every rate, which of them miss their goal, and whom organisms believe."""

import json
from pathlib import Path

import pytest
from scipy import stats

from vlbias import cli, order_page, recovery, session
from vlbias import config as configs
from vlbias.commands import recovery as command
from vlbias.plan import plan
from vlbias.recovery import Case, Rate, as_json, cases


def all_rates(inside: int = 380, found: int = 20) -> list[Rate]:
    return [Rate(case=c, figure=f, n=400, inside=inside, found=found, mean=1.5) for c in cases() for f in c.figures]


@pytest.fixture(scope="module")
def believer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a model that believes the head."""
    folder = tmp_path_factory.mktemp("runs") / "believer"
    one = configs.check(
        {"model": "scripted", "model_args": {"head": 3.0}, "tasks": "conflict", "limit": "30", "positions": "0,2,5"},
        where="test",
    )
    session.ask(one, plan(one), folder=folder, command=["vlbias", "run", "--tasks", "conflict"])
    return folder


def test_every_figure_has_a_row_and_what_reaches_its_goal_is_counted() -> None:
    made = all_rates()
    page = order_page.page(made, [], command="vlbias recovery --seeds 400")
    covered = sum(rate.covered is not None for rate in made)
    alarms = sum(rate.is_false_alarm for rate in made)
    assert "`vlbias recovery --seeds 400`" in page and "outside:" not in page
    by_chance = 100 * sum(stats.binom.pmf(k, 400, 0.95) for k in range(401) if not 372 <= k <= 388)
    assert (
        f"Of {covered} shares inside, {covered} lie in 93 to 97 % (of true 95 %, chance puts {by_chance:.2g} %" in page
    )
    assert (
        f"Of {alarms} false-alarm rates, {alarms} lie in 3 to 7 % (of true 5 %, chance puts {by_chance:.2g} %" in page
    )
    assert sum(line.startswith("| ") for line in page.splitlines()) == len(made) + 3  # three heads
    assert "95.0 (92.4 to 96.7)" in page


def test_a_rate_that_misses_its_goal_is_named() -> None:
    made = all_rates()
    case, figure = made[0].case, made[0].figure
    made[0] = Rate(case=case, figure=figure, n=400, inside=368, found=40, mean=0.0)
    page = order_page.page(made, [], command="x")
    assert "- conflict, none, `preference_index`: 92.0 %" in page
    assert "- conflict, none, `preference_index`: 10.0 %" in page


def test_a_run_shows_its_index_and_its_matrix(believer: Path) -> None:
    page = order_page.page(all_rates(), [believer], command="x")
    rows = page[page.index("## Trained organisms") :].splitlines()
    rows = [line for line in rows if line.startswith(("| scripted", "| head"))]
    assert len(rows) == 3 and rows[0].startswith("| scripted | 90 | 0.0")
    assert rows[1].startswith("| head 1 | ") and rows[1].count("*") == 2
    assert rows[2].startswith("| head 3 |  | ") and rows[2].count("*") == 1
    assert "`vlbias run --tasks conflict`" in page


def test_the_command_writes_the_page_from_kept_rates(tmp_path: Path, believer: Path) -> None:
    kept, page = tmp_path / "rates.json", tmp_path / "docs" / "page.md"
    words = ["recovery", "--seeds", "2", "--rates", str(kept), "--run", str(believer), "-o", str(page)]
    kept.write_text(json.dumps(as_json(all_rates())))
    with pytest.raises(SystemExit) as left:
        cli.main([*words, "--workers", "1"])
    assert not left.value.code
    assert "vlbias recovery --seeds 400" in page.read_text() and "head 3" in page.read_text()


def test_a_simulation_that_is_stopped_goes_on_from_the_rates_it_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, made, judge = tmp_path / "rates.json", recovery.rates, [c for c in cases() if c.kind == "judge"][:1]
    firsts = []

    def stopped(chosen: list[Case], *, seeds: int, first: int = 0, **given: object) -> list[Rate]:
        firsts.append(first)
        if len(firsts) == 2:
            raise KeyboardInterrupt
        return made(chosen, seeds=seeds, first=first)

    monkeypatch.setattr(recovery, "cases", lambda: judge)
    monkeypatch.setattr(recovery, "rates", stopped)
    monkeypatch.setattr(command, "STEP", 2)
    words = ["recovery", "--seeds", "5", "--rates", str(kept), "-o", str(tmp_path / "page.md"), "--display", "none"]
    with pytest.raises(SystemExit):
        cli.main(words)
    assert [row["n"] for row in json.loads(kept.read_text())] == [2] and not (tmp_path / "page.md").exists()
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert not left.value.code and firsts == [0, 2, 2, 4]
    (row,) = json.loads(kept.read_text())
    (whole,) = made(judge, seeds=5)
    assert (row["n"], row["inside"], row["found"]) == (5, whole.inside, whole.found)
