"""What is fitted on one run corrects another where the bias is the same, and the table says where it is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from vlbias import cli
from vlbias.config import RunConfig
from vlbias.errors import BadInput, NotApplicable
from vlbias.estimates import Carried, Estimate, Likeness, Transfer
from vlbias.plan import plan
from vlbias.reports import _transfer as shown
from vlbias.session import ask
from vlbias.transfer import transfer

FIRST, LAST = "12:1:1:1", "1:1:1:12"


def asked(folder: Path, name: str, **arguments: Any) -> Path:
    """A scripted run of the demo in letters; `segments` shortens it."""
    task_args = {"segments": arguments.pop("segments", 10)}
    style = arguments.pop("prompt_style", "letters")
    given: Any = {"tasks": "demo", "model": "scripted", "prompt_style": style, "task_args": task_args}
    one = RunConfig(**given, model_args={"scores": "graded", **arguments}, limit="72", batch_size=100)
    ask(one, plan(one), folder=folder / name)
    return folder / name


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    head = {"profile": ".95:.85:.75:.6:.5:.4:.35:.3:.25:.2"}
    return {
        "one": asked(folder, "one", prior=FIRST, **head),
        "alike": asked(folder, "alike", prior=FIRST, seed=7, **head),
        "short": asked(folder, "short", prior=FIRST, segments=4, profile=".95:.7:.4:.2", seed=3),
        "other": asked(folder, "other", prior=LAST, profile=".2:.25:.3:.35:.4:.5:.6:.75:.85:.95", seed=5),
    }


@pytest.fixture(scope="module")
def found(runs: dict[str, Path]) -> Transfer:
    return transfer([runs[name] for name in ("one", "alike", "short", "other")], "vector_per_slot", fit_share=0.4)


def carried(found: Transfer, source: str, target: str) -> Carried:
    (one,) = [c for c in found.carried if (c.fitted_on, c.applied_to) == (source, target)]
    return one


def test_bias_vectors_of_the_same_bias_are_alike_and_of_the_opposite_are_not(found: Transfer) -> None:
    told = {(pair.first, pair.second): shown.said(pair) for pair in found.likenesses}
    assert told["one", "alike"] == "alike" and told["one", "short"] == "alike"
    assert told["one", "other"] == "opposite" and len(told) == 6


def test_a_correction_carries_over_to_the_same_bias_and_harms_where_it_is_another(found: Transfer) -> None:
    def spread(source: str, target: str) -> float:
        """What is left of the spread of recalls over places, the planted bias, as a share of what was there."""
        proof = carried(found, source, target).proof
        assert proof is not None and proof.recall_spread[0] is not None and proof.recall_spread[1] is not None
        return proof.recall_spread[1] / proof.recall_spread[0]

    assert max(spread(source, "one") for source in ("one", "alike", "short")) < 0.6
    assert spread("one", "short") < 0.6 and spread("other", "one") > 1.1
    harmed = carried(found, "one", "other")
    assert harmed.proof is not None and harmed.proof.loses_accuracy
    assert ("vector_per_slot", "one", "other", "LOWERS ACCURACY") in {
        (*line[:3], line[-1]) for line in shown.carried_table(found)
    }


def test_what_is_fitted_elsewhere_is_measured_on_the_same_probes(found: Transfer) -> None:
    proofs = [c.proof for c in found.carried if c.applied_to == "one"]
    assert len(proofs) == 4 and len({(p.n, p.clusters, p.curve_before) for p in proofs if p is not None}) == 1


def test_methods_that_are_not_fitted_and_runs_that_are_one_are_refused(runs: dict[str, Path]) -> None:
    with pytest.raises(NotApplicable, match="permute: not applicable: nothing is fitted"):
        transfer([runs["one"], runs["alike"]], "permute,pride")
    with pytest.raises(BadInput, match="two or more, each with a name of its own"):
        transfer([runs["one"], runs["one"]], "pride")


def test_other_models_are_told_and_so_are_methods_that_were_not_applied_once_for_all(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    found = transfer([runs["one"], runs["alike"]], "vector_per_slot", fit_share=0.4)
    assert any(
        note.startswith("models: one (scripted ") and "refuses a correction" in note for note in shown.notes(found)
    )
    plain = [asked(tmp_path, name, prior=FIRST, prompt_style="cloze") for name in ("a", "b")]
    twice = transfer(plain, "pride,vector_per_slot,temperature_per_slot", fit_share=0.4)
    assert not any(note.startswith("models:") for note in shown.notes(twice))
    (told,) = [note for note in shown.notes(twice) if note.startswith("not applied")]
    assert told.startswith("not applied: pride, vector_per_slot: not applicable: the model is shown no options")
    assert {line[0] for line in shown.carried_table(twice)[1:]} == {"temperature_per_slot"}


def ordered(folder: Path, name: str, **arguments: Any) -> Path:
    """A scripted run of one clip per question under all rotations of its options."""
    given: Any = {"tasks": "options", "model": "scripted", "limit": "72", "batch_size": 72}
    one = RunConfig(**given, model_args={"scores": "graded", "profile": "0.5", **arguments})
    ask(one, plan(one), folder=folder / name)
    return folder / name


def test_of_runs_over_orders_of_options_the_places_of_the_right_option_are_compared(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    """A prior of 12:1:1:1 is undone by what divides it out, fitted here or elsewhere; another prior's is worse."""
    made = [ordered(tmp_path, "one", prior=FIRST), ordered(tmp_path, "alike", prior="9:1:1:1", seed=3)]
    made.append(ordered(tmp_path, "last", prior="1:1:1:9", seed=5))
    found = transfer(made, "pride", fit_share=0.4)
    assert found.position == "option place" and {len(v) for v in found.vectors.values()} == {4}
    told = {(pair.first, pair.second): shown.said(pair) for pair in found.likenesses}
    assert told["one", "alike"] == "alike" and told["one", "last"] != "alike"
    proofs = {name: carried(found, name, "one").proof for name in ("one", "alike", "last")}
    gaps = {name: p.changes["gap"] for name, p in proofs.items() if p is not None}
    assert gaps["one"].before > 40 and abs(gaps["one"].after) < 15 and abs(gaps["alike"].after) < 15
    assert gaps["last"].after > 40 and proofs["last"] is not None and proofs["last"].loses_accuracy
    rows = {row["name"]: row["value"] for row in shown.rows(found)}
    assert rows["pride_from_alike_to_one_rstd_after"] < 0.3 * rows["pride_from_alike_to_one_rstd_before"]
    assert shown.notes(found)[0].startswith("bias vector: probability of the right option at each option place")
    with pytest.raises(BadInput, match="of one over 4 option places, of short over slots"):
        transfer([made[0], runs["short"]], "pride")


def test_the_command_shows_both_tables_and_writes_them(runs: dict[str, Path], capsys: Any) -> None:
    others = f"{runs['alike']},{runs['short']}"
    with pytest.raises(SystemExit) as ended:
        cli.main(["debias", str(runs["one"]), "-m", "vector_per_slot", "--transfer", others, "--json"])
    assert ended.value.code == 0
    rows = json.loads(capsys.readouterr().out)
    names = {row["name"] for row in rows}
    assert {"pearson_one_short", "spearman_one_alike_ceiling", "vector_per_slot_from_one_to_alike_gap_after"} <= names
    assert all(set(row) == {"name", "value", "low", "high", "goal", "ok"} for row in rows)
    text = (runs["one"] / "transfer" / "transfer.md").read_text()
    assert "| one | short | 4 |" in text and "Spearman" in text
    assert (runs["one"] / "transfer" / "bias_vectors.png").stat().st_size > 5000


def seen(folder: Path, name: str, tasks: str, **arguments: Any) -> Path:
    """A scripted run about images."""
    given: Any = {"tasks": tasks, "model": "scripted", "model_args": {"scores": "graded"}, "batch_size": 100}
    one = RunConfig(**given, **arguments)
    ask(one, plan(one), folder=folder / name)
    return folder / name


def test_cells_of_other_grids_are_not_compared_by_their_number(tmp_path: Path) -> None:
    runs = [seen(tmp_path, "small", "grid-choice", limit="8"), seen(tmp_path, "large", "grid-12x12", limit="8")]
    with pytest.raises(BadInput, match="of small over 9 cells, of large over 144 cells"):
        transfer(runs, "temperature_per_slot")


def test_of_runs_about_relations_sides_are_compared(tmp_path: Path) -> None:
    runs = [seen(tmp_path, name, "relations", limit="400", seed=k) for k, name in enumerate("ab")]
    found = transfer(runs, "temperature_per_slot", fit_share=0.4)
    assert found.position == "side" and "left" in found.place_names
    assert {len(points) for points in found.vectors.values()} == {len(found.place_names)}
    assert found.outcome == "accuracy" and "(1 " in shown.notes(found)[0]


@pytest.mark.parametrize(
    ("value", "half", "ceiling", "told"),
    [
        (0.8, 0.1, 0.98, "alike"),
        (0.76, 0.04, 0.98, "partly alike"),
        (0.76, 0.04, 0.9, "alike"),
        (-0.16, 0.14, 0.98, "partly opposite"),
        (-0.9, 0.05, 0.98, "opposite"),
        (0.3, 0.31, 0.98, "no likeness found"),
        (0.3, 0.1, None, "no reliable bias vector in one of them"),
    ],
)
def test_the_verdict_on_two_bias_vectors_goes_by_their_ceiling(
    value: float, half: float, ceiling: float | None, told: str
) -> None:
    found = Estimate(metric="likeness_pearson", value=value, low=value - half, high=value + half)
    given: Any = {"first": "a", "second": "b", "n_slots": 10, "spearman": found, "spearman_ceiling": ceiling}
    assert shown.said(Likeness(pearson=found, pearson_ceiling=ceiling, **given)) == told
