"""Every kind of probe is told what it will find, by its own test, or why that cannot be said."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vlbias import forecast
from vlbias.cli import app
from vlbias.config import RunConfig
from vlbias.estimates import Estimate
from vlbias.metrics._even_share import above_even
from vlbias.metrics._order_designs import design
from vlbias.plan import Plan, plan
from vlbias.store import read_run

FOUND = {"conflict": "index of preference", "options": "one of 4 places", "images": "over 4 places",
         "placement": "6 placements", "judge": "one of 2 places", "grid": "3x3 cells", "needle": "2x2 cells",
         "detection": "3x3 cells", "threecell": "3x3 cells", "drawn": "head effect"}  # fmt: skip


def planned(suite: str, limit: str = "24") -> Plan:
    return plan(RunConfig(tasks=suite, model="scripted", limit=limit))


def points(text: str) -> float:
    found = re.search(r"of ([\d.]+) points is found with power 80 %", text)
    assert found, text
    return float(found[1])


@pytest.mark.parametrize("suite", FOUND)
def test_what_a_plan_finds_is_said_in_the_words_of_its_kind(suite: str) -> None:
    text = forecast.sentence(planned(suite, "80"), seed=0)
    assert FOUND[suite] in text and 1 < points(text) < 60


def test_a_plan_of_another_kind_than_a_sweep_notes_its_sentence() -> None:
    grid, sweep = planned("grid"), planned("drawn")
    assert forecast.noted(grid, seed=0).notes == (*grid.notes, f"planned: {forecast.sentence(grid, seed=0)}")
    assert forecast.noted(sweep, seed=0) == sweep


@pytest.mark.parametrize(("suite", "why"), [("canvas", "nats"), ("relations", "each form"), ("rotation", "each form")])
def test_what_cannot_be_planned_says_why(suite: str, why: str) -> None:
    text = forecast.sentence(planned(suite, "200"), seed=0)
    assert text.startswith("no power sentence: ") and why in text


def test_one_cluster_and_an_unknown_factor_say_why() -> None:
    asked = planned("drawn", "8")
    one = replace(
        asked, trials=tuple(t for t in asked.trials if t.probe.cluster_id == asked.trials[0].probe.cluster_id)
    )
    assert "1 cluster tells nothing" in forecast.sentence(one, seed=0)
    strange = replace(asked, trials=tuple(replace(t, factors=(("moon", "full"),)) for t in asked.trials))
    assert "differ in moon" in forecast.sentence(strange, seed=0)


def test_two_versions_of_an_item_are_one_item_with_two_answers_in_a_cell() -> None:
    asked = planned("grid", "40")
    only_yes = replace(asked, trials=tuple(t for t in asked.trials if dict(t.factors)["present"] == "yes"))
    both, alone = (forecast.sentence(p, seed=0) for p in (asked, only_yes))
    assert both.split(" items")[0] == alone.split(" items")[0]
    assert points(both) == pytest.approx(points(alone) / np.sqrt(2), rel=0.1)


def test_the_index_of_a_conflict_is_that_of_the_exact_design() -> None:
    asked = planned("conflict", "60")
    n = len({t.probe.cluster_id for t in asked.trials})
    index = points(forecast.sentence(asked, seed=0)) / 100
    assert design(n, index).both_orders == pytest.approx(0.8, abs=0.01)


def test_a_liking_for_a_place_is_found_about_as_often_as_said() -> None:
    asked = planned("options", "120")
    liking = points(forecast.sentence(asked, seed=0)) / 100
    clusters = [t.probe.cluster_id for t in asked.trials if dict(t.factors)["order"] == asked.trials[0].factors[1][1]]
    rng, found, n = np.random.default_rng(1), 0, len(clusters)
    for _ in range(40):
        # The first place wins `liking` of answers more than its share, whatever is asked; the rest is right by .65.
        said = np.where(rng.random((n, 4)) < 0.65, np.arange(4), rng.integers(4, size=(n, 4)))
        said = np.where(rng.random((n, 4)) < liking / 0.75, 0, said)
        share_NK = np.stack([(said == k).mean(axis=1) - 0.25 for k in range(4)], axis=1)
        first = above_even(Estimate(metric="m"), share_NK, clusters, rng=rng, bounds=(-1.0, 1.0))[0]
        found += first.reference is not None and first.reference.p_value is not None and first.reference.p_value <= 0.05
    assert found >= 24, "99.9 % of a binomial of .8; answers of a clip are independent here, so more is found than said"


def test_a_part_of_a_run_notes_what_the_whole_will_find(tmp_path: Path) -> None:
    for name, shard in (("whole", None), ("part", "0/2")):
        asked = ["run", "--tasks", "threecell", "--limit", "20", "--model", "scripted", "-o", str(tmp_path / name)]
        done = CliRunner().invoke(app, [*asked, *(["--shard", shard] if shard else [])])
        assert done.exit_code == 0, done.output
    whole, part = (read_run(tmp_path / name).notes for name in ("whole", "part"))
    assert whole == part and any(note.startswith("planned: with 20 items") for note in whole)
