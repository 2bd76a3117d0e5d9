"""What will be asked is decided before anything is loaded."""

import hashlib
import json
from pathlib import Path

import pytest

from vlbias.config import RunConfig
from vlbias.errors import BadConfig, BadSuite, UnknownName
from vlbias.plan import expanded, group_names, limited, plan, positions, suite_file, suite_names


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


def test_any_kind_is_asked_under_all_rotations_of_its_options() -> None:
    plain, made = plan(config(limit="3")), plan(config(limit="3", option_orders="cyclic"))
    assert len(made.trials) == 4 * len(plain.trials) and made.probes == plain.probes
    for k, trial in enumerate(made.trials):
        whole = plain.trials[k // 4]
        assert (trial.slot, trial.segments) == (whole.slot, whole.segments)
        assert trial.option_order == whole.option_order[k % 4 :] + whole.option_order[: k % 4]
        assert trial.factors == (("order", f"cyclic{k % 4}"),) and trial.trial_id == f"{whole.trial_id}/cyclic{k % 4}"


def test_a_number_of_orders_is_the_same_at_every_slot() -> None:
    made = plan(config(limit="1", option_orders="3"))
    assert len({tuple(u.option_order for u in made.trials if u.slot == t.slot) for t in made.trials}) == 1
    assert len({t.option_order for t in made.trials}) == 3


@pytest.mark.parametrize("orders", ["1", "-2", "sideways", "25"])
def test_orders_that_cannot_be_are_refused(orders: str) -> None:
    with pytest.raises((BadConfig, BadSuite, ValueError), match="orders"):
        plan(config(limit="1", option_orders=orders))


def test_orders_are_refused_where_no_option_is_shown_or_the_suite_has_its_own() -> None:
    with pytest.raises(BadConfig, match="cloze shows no options"):
        plan(config(prompt_style="cloze", option_orders="full"))
    with pytest.raises(BadConfig, match="judge turns its candidates itself; leave it out"):
        plan(config(tasks="judge", option_orders="full"))
    for name in ("options", "judge"):
        with pytest.raises(BadConfig, match=f"cloze shows no options, and the suite {name} is about their order"):
            plan(config(tasks=name, prompt_style="cloze"))


def test_options_are_listed_without_labels_only_where_the_suite_gives_them_none() -> None:
    assert plan(config(prompt_style="listed", option_orders="cyclic")).style.style == "listed"
    assert plan(config(tasks="images", prompt_style="listed")).style.style == "listed"
    with pytest.raises(BadConfig, match="the suite options names them by letters"):
        plan(config(tasks="options", prompt_style="listed"))


@pytest.mark.parametrize(("orders", "n"), [("cyclic", 4), ("full", 24), ("gold_moving", 4), ("5", 5)])
def test_every_kind_that_shows_options_is_asked_under_the_orders_of_the_flag(orders: str, n: int) -> None:
    for tasks in ("drawn", "options", "conflict", "placement"):
        asked = plan(config(tasks=tasks, limit="1", option_orders=orders))
        found = {trial.option_order for trial in asked.trials}
        assert len(found) == n and len(asked.trials) % n == 0
        assert len({dict(trial.factors)["order"] for trial in asked.trials}) == n


def test_an_item_that_refers_to_a_place_is_left_out_and_listed(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "e.mp4").write_bytes(b"e")
    evidence = {"path": "e.mp4", "sha256": hashlib.sha256(b"e").hexdigest()}
    row = {"task": "t", "question": "q?", "gold": 0, "evidence": evidence, "cluster_id": "e"}
    rows = [row | {"probe_id": "good", "options": ["x", "y"]}, row | {"probe_id": "bad", "options": ["x", "neither"]}]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    head = "name: own\nkind: options\nversion: 1\ndescription: x\nlicence: x\n"
    (tmp_path / "own.yaml").write_text(head + "source: {items: {file: own.jsonl, media: media}}\n")
    made = plan(config(tasks=str(tmp_path / "own.yaml")))
    assert {t.probe.probe_id for t in made.trials} == {"good"}
    assert len(made.notes) == 1 and "probe bad is left out" in made.notes[0]


def test_a_group_stands_for_its_suites_each_once() -> None:
    assert expanded("all_judge,drawn, judge") == ["judge", "judge-phrases", "drawn"]
    for name, path in group_names().items():
        suites = expanded(name)
        assert len(suites) > 1 and set(suites) <= set(suite_names()) and expanded(str(path)) == suites
        assert all(suite_file(suite)[1] for suite in suites)


def test_every_order_probe_is_in_the_group_of_all() -> None:
    kinds = {suite_file(name)[1] for name in expanded("all_order")}
    assert kinds >= {"insertion", "conflict", "options", "images", "judge", "placement"}


def test_an_unknown_task_is_told_the_groups_too() -> None:
    with pytest.raises(UnknownName, match="did you mean all_order"):
        plan(config(tasks="all_ordr"))


def test_a_group_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nkind: group\ndescription: x\nsuites: [drawn]\nextra: 1\n")
    with pytest.raises(BadSuite, match="unknown key 'extra'"):
        expanded(str(tmp_path / "mine.yaml"))


def test_the_sweep_over_length_asks_the_same_questions_in_growing_contexts() -> None:
    made = {name: plan(config(tasks=name, limit="20")) for name in expanded("all_length")}
    assert len({tuple((p.question, p.evidence) for p in one.probes) for one in made.values()}) == 1
    sizes = {name: (one.trials[0].n_slots, one.num_frames) for name, one in made.items()}
    assert sorted(sizes.values()) == [(4, 6), (8, 2), (8, 6), (8, 12), (8, 24), (12, 6)]


def test_numbers_of_images_are_not_asked_in_another_order() -> None:
    with pytest.raises(BadSuite, match="numbers of its images, so they have no other order"):
        plan(config(tasks="images", limit="4", option_orders="cyclic"))


def test_the_sweep_over_context_fills_the_window_at_fixed_slots() -> None:
    made = [plan(config(tasks=name, limit="20")) for name in expanded("all_context")]
    asked = {tuple((t.trial_id, t.slot, t.n_slots, t.segments) for t in one.trials) for one in made}
    assert len(asked) == 1
    assert [one.num_frames for one in made] == [2, 6, 12, 24]


def test_a_bad_value_of_task_args_is_told_in_one_line_with_its_key() -> None:
    with pytest.raises(BadSuite) as refused:
        plan(config(task_args={"clips": 0}))
    told = str(refused.value)
    assert "--task_args: source: drawn: clips: " in told and "greater than" in told
    assert "\n" not in told and "pydantic" not in told
