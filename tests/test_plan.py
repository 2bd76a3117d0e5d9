"""What will be asked is decided before anything is loaded."""

import pytest

from vlbias.config import RunConfig
from vlbias.errors import BadConfig, BadSuite, UnknownName
from vlbias.plan import limited, plan, positions


def config(**values: object) -> RunConfig:
    return RunConfig(**{"tasks": "drawn", "model": "scripted", **values})


@pytest.mark.parametrize(
    ("text", "slots"), [("all", None), ("0,5,9", [0, 5, 9]), ("9,0", [0, 9]), ("every:3", [0, 3, 6, 9])]
)
def test_positions_are_read(text: str, slots: list[int] | None) -> None:
    assert positions(text, n_slots=10) == slots


@pytest.mark.parametrize("text", ["10", "-1", "0,0", "every:0", "every:x", "", "first"])
def test_positions_out_of_range_are_refused_with_the_range(text: str) -> None:
    with pytest.raises(BadConfig, match="positions"):
        positions(text, n_slots=10)


@pytest.mark.parametrize("limit", ["0", "-3", "0.0", "1.5", "many", "9-3"])
def test_a_limit_that_leaves_nothing_is_refused(limit: str) -> None:
    with pytest.raises(BadConfig, match="limit"):
        limited(list(range(10)), limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(("limit", "count"), [(None, 10), ("3", 3), ("0.5", 5), ("2-6", 4), ("99", 10), ("1.0", 10)])
def test_a_limit_takes_whole_probes(limit: str | None, count: int) -> None:
    assert len(limited(list(range(10)), limit)) == count  # type: ignore[arg-type]


def test_every_limited_probe_keeps_all_its_slots() -> None:
    made = plan(config(limit="4"))
    seen = {(t.probe.probe_id, t.slot) for t in made.trials}
    assert len(seen) == len(made.trials) == 4 * 11


def test_shards_part_the_probes_and_together_hold_every_trial() -> None:
    whole = {t.trial_id for t in plan(config(limit="20")).trials}
    parts = [{t.trial_id for t in plan(config(limit="20"), shard=(k, 3)).trials} for k in range(3)]
    assert set().union(*parts) == whole
    assert sum(map(len, parts)) == len(whole)


def test_an_unknown_suite_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean drawn"):
        plan(config(tasks="drwan"))


def test_an_unknown_suite_argument_names_the_known_ones() -> None:
    with pytest.raises(BadSuite, match="clipz.*did you mean clips"):
        plan(config(task_args={"clipz": 3}))


def test_a_suite_argument_changes_the_suite() -> None:
    assert plan(config(task_args={"clips": 24}, limit="3")).suite.source.drawn.clips == 24
