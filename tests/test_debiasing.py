"""The loop: nothing that is reported was fitted on, and what was planted is corrected on held-out probes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from vlbias import arms, athand, cli, corrections, debiased, debiasing, tryout
from vlbias.answers import Answer
from vlbias.config import RunConfig
from vlbias.debias import pride
from vlbias.errors import BadInput, ConfigChanged, NotApplicable, UnknownName
from vlbias.plan import plan
from vlbias.reports import _corrections as shown
from vlbias.reports._frontier import frontier
from vlbias.session import ask
from vlbias.store import read, read_run

SLOPE = ".95:.9:.85:.8:.7:.6:.5:.4:.3:.2"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scripted run with a head preference and a preference for the first place, on 40 source clips."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLBIAS_CACHE_DIR", str(folder / "cache"))
        args: Any = {"profile": SLOPE, "scores": "graded", "prior": "4:1:1:1"}
        given: Any = {"tasks": "demo", "model": "scripted", "model_args": args, "prompt_style": "letters"}
        one = RunConfig(**given, limit="80", batch_size=16)
        ask(one, plan(one), folder=folder / "run")
    return folder / "run"


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in rows}


def test_no_cluster_is_fitted_on_and_reported(run: Path) -> None:
    outcomes = read(run).outcomes
    for share in (0.1, 0.3, 0.9):
        parts = debiasing.split(outcomes, fit_share=share, rng=np.random.default_rng(3))
        assert not parts.fit & parts.held_out
        fit, rest = parts.fitting(outcomes), parts.reported(outcomes)
        assert not {r.asked.cluster_id for r in fit} & {r.asked.cluster_id for r in rest}
        assert len(fit) + len(rest) == len(outcomes)
        assert len(parts.fit) == pytest.approx(share * len(parts.fit | parts.held_out), abs=1)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2])
def test_a_share_that_leaves_a_part_empty_is_refused(run: Path, share: float) -> None:
    with pytest.raises(BadInput, match="between 0 and 1"):
        debiasing.split(read(run).outcomes, fit_share=share, rng=np.random.default_rng(0))


@pytest.mark.parametrize("name", ["pride", "contextual", "bold", "dla", "vector_per_slot", "temperature_per_slot"])
def test_a_fit_sees_no_held_out_answer(run: Path, name: str) -> None:
    """Held-out answers are turned into others; a fit that had seen one would come out different."""
    info, outcomes = read_run(run), read(run).outcomes
    parts = debiasing.split(outcomes, fit_share=0.5, rng=np.random.default_rng(1))
    spoilt = [
        replace(o, logprobs=tuple(reversed(o.logprobs or ())), chosen=0)
        if isinstance(o, Answer) and o.asked.cluster_id in parts.held_out
        else o
        for o in outcomes
    ]
    arm = arms.load(name)
    with athand.at_hand(info) as hand:
        fitted = [
            tryout.trialled(
                arm, hand, run=info, fitting=parts.fitting(rows), held_out=parts.reported(rows), seed=0
            ).saved
            for rows in (outcomes, spoilt)
        ]
    assert fitted[0] is not None and fitted[1] is not None
    assert fitted[0].correction.to_json() == fitted[1].correction.to_json()


class Seen(athand.Counted):
    """A model that remembers about which source clips it was asked."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.clusters: set[str] = set()

    def score(self, prompts: Any) -> Any:
        self.clusters |= {p.trial.probe.cluster_id for p in prompts}
        return super().score(prompts)


@pytest.mark.parametrize("name", ["pride", "contextual", "bold"])
def test_a_fit_asks_nothing_about_held_out_clips(run: Path, name: str) -> None:
    info, outcomes = read_run(run), read(run).outcomes
    parts = debiasing.split(outcomes, fit_share=0.5, rng=np.random.default_rng(1))
    with athand.at_hand(info) as hand:
        seen = Seen(hand.asking.model)
        spied = replace(hand, asking=replace(hand.asking, model=seen))
        given: Any = {"fitting": parts.fitting(outcomes), "held_out": [], "seed": 0}
        tryout.trialled(arms.load(name), spied, run=info, **given)
    assert seen.clusters and seen.clusters <= parts.fit


def test_p_values_of_all_methods_are_adjusted_by_holm(run: Path) -> None:
    methods = debiasing.debias(run, "pride,vector_per_slot,dla,temperature_per_slot", fit_share=0.4).methods
    for statistic in ("accuracy", "gap", "head_minus_tail"):
        changes = [m.changes[statistic] for m in methods]
        expected = multipletests([c.p_value for c in changes], method="holm")[1]
        assert [c.p_adjusted for c in changes] == pytest.approx(list(expected))
    assert any(c.p_adjusted > c.p_value for m in methods for c in m.changes.values())


def test_the_loop_proves_what_closes_the_gap_and_what_cannot(run: Path) -> None:
    proof = debiasing.debias(run, "permute,pride,permute:over=options", fit_share=0.4)
    rows = by_name(shown.rows(proof))
    assert rows["best_gap_reduction"]["value"] >= 0.7 and rows["best_gap_reduction"]["ok"]
    assert rows["permute_cost"]["value"] > 9 and rows["pride_cost"]["value"] == 1
    assert rows["permute_time"]["value"] is None and rows["pride_time"]["goal"] == 1.05  # a script takes no time
    assert rows["permute_gap_before"]["value"] > 40
    assert rows["permute_gap_after"]["low"] <= 0 <= rows["permute_gap_after"]["high"]
    assert rows["pride_gap_after"]["value"] > 20
    by_method = {m.method: m for m in proof.methods}
    before, after = by_method["pride"].recall_spread
    assert before is not None and after is not None and after < before / 2
    assert "closes the gap" in shown.verdict(by_method["permute"])
    (why,) = [note for note in shown.notes(proof) if "evidence that was lost before the logits" in note]
    assert why.startswith("no effect on the gap: pride: ")


def test_the_prior_of_a_scripted_model_is_found_through_the_loop(run: Path) -> None:
    """Of 4:1:1:1, to a millionth, in every slot and alone; what was asked for it is told."""
    proof = debiasing.debias(run, "pride,bold,contextual", fit_share=0.3)
    for name, key in (("pride", "prior"), ("bold", "prior"), ("contextual", "content_free")):
        table = json.loads((run / "debias" / f"{name}.json").read_text())["correction"][key]
        assert len(table) == 11 and np.abs(np.array(list(table.values())) - np.array([4, 1, 1, 1]) / 7).max() < 1e-6
    fitted = sum(a.asked.n_options - 1 for a in proof_rows(run, proof.n_fit_clusters))
    assert f"prompts asked once to fit: pride {fitted:,}, bold" in "\n".join(shown.notes(proof))


def proof_rows(run: Path, n_fit: int) -> list[Answer]:
    """The answers that were fitted on, by what the saved correction says of its probes."""
    saved = corrections.load(run / "debias" / "pride.json")
    used = set(saved.fitted_on.probes_sha256)
    assert saved.fitted_on.n_clusters == n_fit
    rows = [o for o in read(run).outcomes if isinstance(o, Answer)]
    return [a for a in rows if corrections.probe_sha256(a.asked.probe_id) in used]


def test_the_frontier_numbers_every_method_once(run: Path) -> None:
    proof = debiasing.debias(run, "pride,vector_per_slot,temperature_per_slot", fit_share=0.4)
    figure = frontier(proof)
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["vanilla: 1", "1 pride: 1", "2 vector_per_slot: 1", "3 temperature_per_slot: 1"]
    numbers = ", ".join(text.get_text() for text in figure.axes[0].texts)
    assert sorted(numbers.split(", ")) == ["1", "2", "3"] or numbers == "1-3"


def test_methods_that_are_left_out_for_one_reason_are_told_together() -> None:
    found = shown.by_reason(
        [("pine", "pine: no weights"), ("vcd:step=7", "vcd: no frames"), ("sofa", "sofa: no weights")]
    )
    assert found == {"no weights": ["pine", "sofa"], "no frames": ["vcd:step=7"]}


def test_why_a_method_leaves_a_bias_is_told_by_its_name_or_its_shape() -> None:
    assert shown.why("vcd:step=700", "before") == shown.WHY["vcd"]
    assert "lost before the logits" in (shown.why("pride", "after") or "")
    assert shown.why("permute", "") is None


def test_every_row_of_a_proof_has_the_keys_that_programs_read(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["debias", str(run), "--method", "vector_per_slot,dla", "--json", "--display", "none"])
    assert ended.value.code == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(set(row) == {"name", "value", "low", "high", "goal", "ok"} for row in rows)
    for kind in ("gap_before", "gap_after", "accuracy_change", "cost"):
        assert f"dla_{kind}" in by_name(rows)
    files = {path.name for path in (run / "debias").iterdir()}
    assert {"corrections.json", "corrections.md", "frontier.png", "frontier.svg", "dla.json"} <= files


def test_the_table_names_every_method(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["debias", str(run), "--method", "vector_per_slot,dla", "--display", "plain"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "vector_per_slot" in out and "held-out probes" in out


def test_a_saved_correction_corrects_other_answers_of_its_model_only(run: Path) -> None:
    debiasing.debias(run, "pride", fit_share=0.4)
    saved = corrections.load(run / "debias" / "pride.json")
    info, outcomes = read_run(run), read(run).outcomes
    held_out = read(run / "debias" / "pride").outcomes
    raw = {o.asked.trial_id: o for o in outcomes if isinstance(o, Answer)}
    assert all(saved(raw[o.asked.trial_id]) == o for o in held_out if isinstance(o, Answer))
    assert saved.fitted_on.config_sha256 == info.config_sha256
    saved.refuse_other_model(info.identity)
    with pytest.raises(NotApplicable, match="fitted on scripted"):
        saved.refuse_other_model(replace(info.identity, revision="another"))
    with pytest.raises(NotApplicable, match="were used to fit"):
        saved.refuse_overlap(o.asked.probe_id for o in outcomes if isinstance(o, Answer))
    saved.refuse_overlap(o.asked.probe_id for o in held_out if isinstance(o, Answer))


def test_a_file_that_is_no_correction_is_refused_with_its_name(tmp_path: Path, run: Path) -> None:
    debiasing.debias(run, "dla", fit_share=0.5)
    good = json.loads((run / "debias" / "dla.json").read_text())
    cases = {
        "not JSON": "{",
        "not a saved correction": json.dumps({"a": 1}),
        "schema_version 9": json.dumps({**good, "schema_version": 9}),
        "no prior": json.dumps({**good, "correction": {}}),
        "not fitted": json.dumps({**good, "method": "permute"}),
    }
    for number, (message, text) in enumerate(cases.items()):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        with pytest.raises(BadInput, match=message) as found:
            corrections.load(path)
        assert path.name in str(found.value) or message == "not fitted"
    with pytest.raises(BadInput, match="cannot be read"):
        corrections.load(tmp_path / "absent.json")


def test_methods_are_named_with_their_options() -> None:
    one, two = arms.load_all("pride:per_slot=false,permute:over=options:rule=random:k=3")
    assert one.method == pride.PriDe(per_slot=False) and one.shape == "after"
    assert (two.method.over, two.method.rule, two.method.k) == ("options", "random", 3)
    for name in ("contextual", "vdd"):
        assert arms.load(f"{name}:content_free=none").method.fills == ("none",)
        assert arms.load(f"{name}:content_free=none+unknown:where=all").method.fills == ("none", "unknown")
    with pytest.raises(UnknownName, match="unknown correction .prid.; did you mean pride"):
        arms.load("prid")
    with pytest.raises(BadInput, match="each method once"):
        arms.load_all("pride,pride")


def test_a_run_without_log_probabilities_refuses_before_anything_is_asked(tmp_path: Path) -> None:
    one = RunConfig(tasks="demo", model="scripted", mode="generate", limit="8", positions="0,9")
    ask(one, plan(one), folder=tmp_path / "run")
    with pytest.raises(NotApplicable, match="mode: score"):
        debiasing.debias(tmp_path / "run", "pride,dla")
    assert not (tmp_path / "run" / "debias").exists()


def test_a_method_that_cannot_be_fitted_does_not_cost_the_others(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Any, answers: Any, *, rng: Any) -> Any:
        raise NotApplicable("pride: not applicable: found nothing")

    monkeypatch.setattr(pride.PriDe, "fit", never)
    proof = debiasing.debias(run, "pride,vector_per_slot", fit_share=0.4)
    assert [m.method for m in proof.methods] == ["vector_per_slot"]
    assert proof.refused == {"pride": "pride: not applicable: found nothing"}
    assert "left out: pride: not applicable: found nothing" in shown.notes(proof)
    with pytest.raises(NotApplicable, match="found nothing"):
        debiasing.debias(run, "pride", fit_share=0.4)


def test_a_preference_for_places_is_not_fitted_where_no_options_are_displayed(tmp_path: Path) -> None:
    one = RunConfig(tasks="demo", model="scripted", limit="8")
    ask(one, plan(one), folder=tmp_path / "run")
    for method in ("pride", "bold", "contextual", "dla", "vector_per_slot", "permute:over=options"):
        with pytest.raises(NotApplicable, match="is shown no options .style cloze"):
            debiasing.debias(tmp_path / "run", method, fit_share=0.5)
    assert not (tmp_path / "run" / "debias").exists()


def test_a_preference_for_places_is_found_where_options_are_listed_without_labels(tmp_path: Path) -> None:
    args: Any = {"accuracy": 0.6, "scores": "graded", "prior": "4:1:1:1"}
    given: Any = {"tasks": "demo", "model": "scripted", "model_args": args, "prompt_style": "listed"}
    one = RunConfig(**given, limit="16", task_args={"segments": 4})
    ask(one, plan(one), folder=tmp_path / "run")
    debiasing.debias(tmp_path / "run", "pride", fit_share=0.5)
    prior = corrections.load(tmp_path / "run" / "debias" / "pride.json").correction.to_json()["prior"]
    assert len(prior) == 5 and np.abs(np.array(list(prior.values())) - np.array([4, 1, 1, 1]) / 7).max() < 1e-6
    with pytest.raises(NotApplicable, match="bold: not applicable: options without labels"):
        debiasing.debias(tmp_path / "run", "bold", fit_share=0.5)


def test_a_changed_model_is_noticed_before_it_is_measured(run: Path) -> None:
    info, outcomes = read_run(run), read(run).outcomes
    rows = [o for o in outcomes if isinstance(o, Answer)]
    with athand.at_hand(info) as hand:
        assert athand.replayed(hand, rows).seconds_per_trial >= 0
        assert len(athand.timed(hand, rows)) == athand.TIMED_BATCHES * 16
        other = [replace(rows[0], logprobs=tuple(v - 1 for v in (rows[0].logprobs or ()))), *rows[1:]]
        with pytest.raises(ConfigChanged, match="does not give the stored answer"):
            athand.replayed(hand, other)


def test_a_run_through_a_saved_correction_gives_corrected_rows(run: Path, tmp_path: Path) -> None:
    debiasing.debias(run, "pride", fit_share=0.4)
    file = run / "debias" / "pride.json"
    args: Any = {"profile": SLOPE, "scores": "graded", "prior": "4:1:1:1"}
    given: Any = {"tasks": "demo", "model": "scripted", "model_args": args, "batch_size": 16, "prompt_style": "letters"}
    rest = {**given, "limit": "80-100"}
    for name, debias in (("plain", None), ("corrected", str(file))):
        one = RunConfig(**rest, debias=debias)
        ask(one, plan(one), folder=tmp_path / name)
    saved = corrections.load(file)
    plain, corrected = (
        {o.asked.trial_id: o for o in read(tmp_path / name).outcomes if isinstance(o, Answer)}
        for name in ("plain", "corrected")
    )
    assert plain and corrected == {name: saved(answer) for name, answer in plain.items()} and plain != corrected
    assert read_run(tmp_path / "corrected").config["debias"] == "pride.json"
    with pytest.raises(NotApplicable, match="were used to fit"):
        one = RunConfig(**given, limit="80", debias=str(file))
        ask(one, plan(one), folder=tmp_path / "overlap")
    with pytest.raises(NotApplicable, match="fitted on scripted"):
        one = RunConfig(**{**rest, "model_args": {"accuracy": 0.5}}, debias=str(file))
        ask(one, plan(one), folder=tmp_path / "other")


def test_a_saved_correction_of_another_length_is_refused_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args: Any = {"accuracy": 0.6, "scores": "graded", "prior": "4:1:1:1"}
    given: Any = {"tasks": "demo", "model": "scripted", "model_args": args, "prompt_style": "letters"}
    one = RunConfig(**given, limit="16", task_args={"segments": 5})
    ask(one, plan(one), folder=tmp_path / "run")
    debiasing.debias(tmp_path / "run", "pride", fit_share=0.5)
    monkeypatch.setattr(debiased, "answered", lambda *_: pytest.fail("the model was asked"))
    other = RunConfig(**given, limit="16-20", debias=str(tmp_path / "run" / "debias" / "pride.json"))
    with pytest.raises(NotApplicable, match="nothing was fitted for trials with 4 options, slot 0 of 10 and 9 more"):
        ask(other, plan(other), folder=tmp_path / "other")


def test_a_run_through_a_method_that_permutes_has_one_row_per_trial(tmp_path: Path) -> None:
    args: Any = {"profile": SLOPE, "scores": "graded"}
    one = RunConfig(
        tasks="demo", model="scripted", model_args=args, limit="6", batch_size=11, debias="permute:rule=random:k=3"
    )
    made = plan(one)
    ask(one, made, folder=tmp_path / "run")
    rows = read(tmp_path / "run").outcomes
    assert sorted(o.asked.trial_id for o in rows) == sorted(t.trial_id for t in made.trials)
    assert {o.audit.n_tokens for o in rows if isinstance(o, Answer) and o.asked.slot is not None} == {33}


def test_a_method_that_must_be_fitted_is_refused_without_its_file(tmp_path: Path) -> None:
    one = RunConfig(tasks="demo", model="scripted", limit="6", debias="pride")
    with pytest.raises(BadInput, match="is fitted first: vlbias debias RUN"):
        ask(one, plan(one), folder=tmp_path / "run")


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scripted run of option orders: one slot, and a preference for the first place."""
    args: Any = {"profile": "0.6", "scores": "graded", "prior": "6:1:1:1"}
    one = RunConfig(tasks="options", model="scripted", model_args=args, limit="60", batch_size=60)
    folder = tmp_path_factory.mktemp("orders")
    ask(one, plan(one), folder=folder / "run")
    return folder / "run"


def test_with_one_slot_the_places_of_the_right_option_are_compared(orders: Path) -> None:
    """A prior of 6:1:1:1 makes a gap between the first place and the others, and dividing it out closes the gap."""
    proof = debiasing.debias(orders, "pride,temperature_per_slot", fit_share=0.4)
    by_method = {m.method: m for m in proof.methods}
    gap = by_method["pride"].changes["gap"]
    assert proof.position == "option place" and len(by_method["pride"].curve_before) == 4
    assert 0 in proof.gap_slots[0] and gap.before_interval[0] > 10
    assert gap.after_interval[0] <= 0 <= gap.after_interval[1] and not by_method["pride"].loses_accuracy
    assert by_method["temperature_per_slot"].changes["gap"].change == 0
    assert shown.notes(proof)[0].startswith("gap: accuracy at option places 1")
    assert (by_method["pride"].flips[0].value or 0) > (by_method["pride"].flips[1].value or 0) + 10


def test_a_method_that_answers_nothing_costs_the_others_no_probe(run: Path) -> None:
    """The script writes no probabilities, so all answers of `verbalized` fail to be read."""
    proof = debiasing.debias(run, "verbalized,vector_per_slot", fit_share=0.4)
    assert [m.method for m in proof.methods] == ["vector_per_slot"] and proof.methods[0].n > 40
    assert "verbalized: not proved: it answers 0 of" in proof.refused["verbalized"]
    assert "JSON" in proof.refused["verbalized"]
    with pytest.raises(NotApplicable, match="not proved"):
        debiasing.debias(run, "verbalized", fit_share=0.4)


def test_what_only_the_loaded_model_tells_is_checked_before_it_is_asked(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script looks at no frames, so there is nothing to noise or to cut."""
    monkeypatch.setattr(debiasing, "replayed", lambda *_: pytest.fail("the model was asked"))
    with pytest.raises(
        NotApplicable, match="(?s)vcd: not applicable: the model sees no frames.*portia: not applicable"
    ):
        debiasing.debias(run, "vcd,portia", fit_share=0.4)


def test_a_run_without_a_gap_to_compare_is_refused_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: Any = {"tasks": "demo", "model": "scripted", "prompt_style": "letters", "positions": "0"}
    one = RunConfig(**given, model_args={"scores": "graded"}, limit="20", batch_size=40)
    monkeypatch.setattr(debiasing, "at_hand", lambda *_, **__: pytest.fail("the model was loaded"))
    ask(one, plan(one), folder=tmp_path / "run")
    with pytest.raises(BadInput, match="at every slot|one slot"):
        debiasing.debias(tmp_path / "run", "permute", fit_share=0.5)


def test_where_the_slot_is_the_answer_no_correction_is_told_it(tmp_path: Path) -> None:
    """The better candidate's place is the slot: a scale and a bias per slot would answer every probe rightly."""
    given: Any = {"tasks": "judge", "model": "scripted", "model_args": {"profile": ".6:.6", "scores": "graded"}}
    one = RunConfig(**given, limit="80", batch_size=160)
    ask(one, plan(one), folder=tmp_path / "run")
    (vector,) = debiasing.debias(tmp_path / "run", "vector_per_slot", fit_share=0.5).methods
    assert vector.changes["accuracy"].after < 80
    table = json.loads((tmp_path / "run" / "debias" / "vector_per_slot.json").read_text())["correction"]["bias"]
    assert list(table) == ["2 options"]


def test_a_prior_that_grows_with_the_slot_is_closed_by_calibrations_through_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script's liking for the first displayed option grows from nothing at the head to 27:1 at the question."""
    args: Any = {"accuracy": 0.85, "scores": "graded", "prior": "27:1:1:1", "sway": "0:0:0:.2:.4:.6:.8:1:1:1"}
    given: Any = {"tasks": "demo", "model": "scripted", "model_args": args, "prompt_style": "letters"}
    one = RunConfig(**given, limit="80", batch_size=160)
    ask(one, plan(one), folder=tmp_path / "run")
    command = ["debias", str(tmp_path / "run"), "--method", "pride,bold,contextual,temperature_per_slot", "--json"]
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    assert ended.value.code == 0
    rows = by_name(json.loads(capsys.readouterr().out))
    assert rows["pride_gap_before"]["low"] > 10
    for method in ("pride", "bold", "contextual"):
        left = abs(rows[f"{method}_gap_after"]["value"]) / abs(rows[f"{method}_gap_before"]["value"])
        assert left <= 0.3 and rows[f"{method}_accuracy_change"]["ok"] and rows[f"{method}_cost"]["value"] == 1
        assert rows[f"{method}_accuracy_change"]["low"] > 0
    assert rows["temperature_per_slot_gap_after"]["value"] == rows["temperature_per_slot_gap_before"]["value"]
    assert rows["best_gap_reduction"]["ok"] and rows["best_gap_reduction"]["goal"] == 0.7
