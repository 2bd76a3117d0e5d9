"""The instrument is checked on responders whose bias is known; a failed check is seen."""

import json
import os
from dataclasses import replace
from math import comb

import pytest

from vlbias import cli, responders, rooms, selfcheck
from vlbias.estimates import Estimate, Reference
from vlbias.metrics._rates import Case, tally
from vlbias.responders import Finding, Spec, follow
from vlbias.selfcheck import Job, Row, allowed, done, pipeline_rows, rate_rows, share_row, wilson


def finding(responder: str = "uniform", **values) -> Finding:
    planted = values.pop("planted", None)
    given = {
        "n_probes": 10, "alarms": {"curve": False}, "label": "none", "attrition_p": 1.0, "covered": 10,
        "intervals": 10, "n_rows": 110,
    }  # fmt: skip
    spec = Spec(suite="drawn", kind="insertion", responder=responder, planted=planted)
    return Finding(spec=spec, **{**given, **values})


def named(rows: list[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


def test_every_kind_of_probe_has_a_suite_that_is_run() -> None:
    known, refused = responders.suites()
    assert set(responders.one_per_kind(known)) == set(rooms.names("probes"))
    assert all("VLBIAS_DATA_DIR" in reason for reason in refused.values())


def test_a_planted_shape_goes_through_the_pipeline_and_is_named() -> None:
    found = follow(Spec(suite="drawn", kind="insertion", responder="planted U", planted="U"))
    assert found.label == "U"
    assert found.alarms["shape"]
    assert found.intervals == 10
    assert found.covered >= 7


def test_a_slot_that_loses_answers_withholds_the_shape() -> None:
    arguments = responders.NULL["crash"]
    found = follow(Spec(suite="drawn", kind="insertion", responder="crash", arguments=arguments))
    assert found.label == "undetermined"
    assert found.attrition_p is not None and found.attrition_p < 0.01


def test_a_responder_that_reads_no_evidence_raises_no_alarm() -> None:
    found = follow(Spec(suite="drawn", kind="insertion", responder="longest", arguments=responders.NULL["longest"]))
    assert not any(found.alarms.values())
    assert found.label in responders.SHAPELESS


@pytest.mark.parametrize("kind", ["images", "placement", "needle", "relations"])
def test_an_effect_is_heard_from_a_metric_whose_tasks_name_ways_of_asking(kind: str) -> None:
    arguments = responders.PLANTED.get(kind, {})
    spec = Spec(suite=kind, kind=kind, responder="planted", arguments=arguments, planted="effect")
    assert follow(spec).alarms[kind]


def test_p_values_that_are_adjusted_over_tasks_or_places_are_one_family() -> None:
    def one(metric: str, task: str, p: float, adjusted: str | None) -> Estimate:
        chance = Reference(mean=0.0, low=0.0, high=0.0, p_value=p, method="x")
        return Estimate(metric=metric, task=task, value=1.0, reference=chance, adjusted=adjusted)

    holm = [one("m", task, 0.03, "max-T over 4 slots; Holm over 2 tasks") for task in "ab"]
    alone = [one("m", task, 0.03, None) for task in "ab"]
    assert responders.alarm(holm) is True
    assert responders.alarm(alone) is False
    assert responders.alarm([*holm, one("other", "a", 0.9, None)]) is False
    assert responders.alarm([]) is None


def test_what_cannot_be_run_is_told_in_words() -> None:
    said = done(Job(work=Spec(suite="nosuch", kind="insertion", responder="flat", arguments={"accuracy": 0.5})))
    assert isinstance(said, str) and "nosuch" in said
    row = selfcheck._suites({"insertion": "drawn"}, {}, [said])
    assert not row.ok and "nosuch" in row.goal


def test_alarms_beyond_chance_are_not_ok() -> None:
    quiet = [finding(f"null {k}") for k in range(8)]
    loud = [replace(f, alarms={"curve": True}) for f in quiet]
    assert named(pipeline_rows(quiet), "null_insertion_curve").ok
    assert not named(pipeline_rows([*quiet[:4], *loud[:4]]), "null_insertion_curve").ok


def test_a_planted_effect_that_no_metric_finds_is_not_ok() -> None:
    for alarms, ok in (({"a": True, "b": False}, True), ({"a": False, "b": None}, False)):
        assert named(pipeline_rows([finding(planted="effect", alarms=alarms)]), "planted_insertion").ok is ok


def test_wrong_shapes_and_kept_labels_are_not_ok() -> None:
    sweeps = [finding(f"planted {s}", planted=s, label=s) for s in responders.SHAPES]
    assert named(pipeline_rows(sweeps), "planted_shapes").ok
    wrong = [replace(f, label="volatile") for f in sweeps]
    assert not named(pipeline_rows(wrong), "planted_shapes").ok
    kept = finding("crash", label="head", attrition_p=0.0001)
    assert not named(pipeline_rows([kept]), "crash_withheld").ok
    assert named(pipeline_rows([replace(kept, label="undetermined")]), "crash_withheld").ok


def test_intervals_that_miss_the_truth_are_not_ok() -> None:
    assert named(pipeline_rows([finding(covered=10)] * 9), "slot_coverage").value == 1.0
    assert not named(pipeline_rows([finding(covered=6)] * 9), "slot_coverage").ok


def test_simulated_rates_have_the_rows_that_are_promised_and_repeat() -> None:
    cases = [
        Case(world="independent", n_probes=60),
        Case(world="independent", n_probes=300, shape="head", points=12),
        Case(world="independent", n_probes=300, shape="head", points=6),
    ]
    tallies = [tally(case, n=8, seed=3, draws=99) for case in cases]
    assert tallies[1] == tally(cases[1], n=8, seed=3, draws=99)
    assert tallies[1].found >= 6
    assert tallies[1].labels["head"] >= 5
    rows = rate_rows(tallies)
    wanted = {"false_alarm_rate", "label_accuracy", "interval_coverage", "power_6pt_300"}
    assert wanted <= {row.name for row in rows}
    lying = [replace(tallies[0], found=8), *tallies[1:]]
    assert not named(rate_rows(lying), "false_alarm_rate").ok


def test_a_share_is_ok_unless_its_interval_lies_outside_the_goal() -> None:
    assert share_row("x", 20, 400, at_least=0.03, at_most=0.07).ok
    assert not share_row("x", 60, 400, at_least=0.03, at_most=0.07).ok
    assert not share_row("x", 0, 400, at_least=0.03, at_most=0.07).ok
    assert not share_row("x", 0, 0).ok


def test_wilson_gives_the_published_interval() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I


def test_the_number_of_alarms_that_chance_allows_is_the_binomial_quantile() -> None:
    for n, most in ((8, 3), (20, 5), (400, 35)):
        assert allowed(n) == most
        more = [comb(n, k) * 0.05**k * 0.95 ** (n - k) for k in range(most + 1, n + 1)]
        assert sum(more) <= 1e-3 < sum(more) + comb(n, most) * 0.05**most * 0.95 ** (n - most)


def test_a_row_fails_where_every_null_run_has_an_alarm() -> None:
    assert [allowed(n) for n in (1, 2, 3)] == [0, 1, 2]
    rows = pipeline_rows([finding(alarms={"curve": True}), finding(alarms={"curve": True})])
    assert not next(r for r in rows if r.name.startswith("null_")).ok


def test_worker_processes_compute_on_one_thread_and_leave_the_environment_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    assert list(selfcheck.in_parallel(os.getenv, names, workers=2)) == ["1", "1"]
    assert [os.getenv(name) for name in names] == ["7", None]


def test_the_command_fails_when_a_row_is_not_ok(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The rows themselves take most of a minute; here only what the command makes of them.
    for ok, code in ((True, 0), (False, 1)):
        row = Row(name="x", value=None, low=None, high=None, goal="g", ok=ok)
        monkeypatch.setattr(selfcheck, "rows", lambda row=row, **_: [row])
        with pytest.raises(SystemExit) as ended:
            cli.main(["selfcheck", "--json", "--display", "none"])
        assert ended.value.code == code
        assert json.loads(capsys.readouterr().out) == [
            {"name": "x", "value": None, "low": None, "high": None, "goal": "g", "ok": ok}
        ]
