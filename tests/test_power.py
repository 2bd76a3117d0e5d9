"""What a design finds, against simulated answers and the decision that a report takes."""

import json

import numpy as np
import pytest

from vlbias import cli, power, session
from vlbias.config import RunConfig
from vlbias.dryrun import lines
from vlbias.errors import BadInput, UnknownName
from vlbias.metrics._detectable import clips_needed, components, found_share, rehearsed, sizes, smallest_effect
from vlbias.metrics._procedure import decide
from vlbias.metrics._simulate import simulate
from vlbias.plan import plan


def pilot(world: str, n: int = 2000, seed: int = 1):
    drawn = simulate("none", 0.0, n_probes=n, world=world, rng=np.random.default_rng(seed))
    return components(drawn.correct_PS, drawn.cluster_P, source="a pilot")


@pytest.mark.parametrize(("world", "effect"), [("independent", 0.08), ("sticky", 0.05)])
def test_the_power_of_drawn_curves_is_that_of_the_decision_on_answers(world: str, effect: float) -> None:
    rng, hits, n = np.random.default_rng(5), 0, 40
    for _ in range(n):
        drawn = simulate("head", effect, n_probes=300, world=world, rng=rng)
        found = decide(drawn.correct_PS, drawn.cluster_P, rng=rng, draws=199)
        hits += found.p_value is not None and found.p_value <= 0.05
    told = found_share(pilot(world), sizes(300, 1), effect=effect).power
    assert 0.3 < told < 0.97
    assert abs(hits / n - told) < 3.5 * np.sqrt(told * (1 - told) / n) + 0.03


def test_without_an_effect_the_gate_opens_one_time_in_twenty() -> None:
    noise = pilot("sticky")
    assert abs(found_share(noise, sizes(150, 2), effect=0.0).power - 0.05) < 0.03
    told = rehearsed(noise, sizes(60, 2), effect=0.0, replicates=300)
    assert told.low < 0.05 < told.high + 0.02


def test_a_rehearsal_agrees_with_drawn_curves() -> None:
    noise = power.assumed(10)
    told = found_share(noise, sizes(150, 2.7), effect=0.08).power
    assert abs(rehearsed(noise, sizes(150, 2.7), effect=0.08, replicates=300).power - told) < 0.1


def test_questions_that_share_clips_correlate_and_cost_power() -> None:
    shared, alone = pilot("clustered"), pilot("independent")
    assert shared.clip_correlation > 0.1
    assert alone.clip_correlation == 0.0
    few, many = smallest_effect(shared, sizes(100, 3)), smallest_effect(shared, sizes(300, 1))
    assert few is not None and many is not None and few > 1.1 * many


def test_more_probes_find_smaller_effects_and_the_clips_needed_are_enough() -> None:
    noise = pilot("independent")
    found = [smallest_effect(noise, sizes(n, 1)) for n in (100, 400, 1600)]
    assert None not in found
    ratios = [a / b for a, b in zip(found, found[1:])]
    assert all(1.6 < ratio < 2.5 for ratio in ratios)
    needed = clips_needed(noise, effect=0.06, questions=2.0)
    assert found_share(noise, sizes(needed, 2.0), effect=0.06).power >= 0.8
    assert found_share(noise, sizes(int(needed * 0.9), 2.0), effect=0.06).power < 0.8


def test_too_few_clips_find_nothing() -> None:
    assert smallest_effect(pilot("independent"), sizes(2, 1)) is None


def test_sizes_keep_the_average() -> None:
    assert sizes(10, 2.7).sum() == 27
    assert set(sizes(10, 2.7)) == {2, 3}


def test_the_command_prints_numbers_that_json_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["power", "--slots", "10", "--effect", "6", "--clips", "150", "--questions", "2.7"]
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as done:
            cli.main([*arguments, *more])
        assert done.value.code == 0
    text, found = (part for part in capsys.readouterr().out.split("{", 1))
    found = json.loads("{" + found)
    assert found["n_probes"] == 405
    assert f"{found['clips_needed']} clips, {found['probes_needed']} probes" in text
    assert 4 < found["smallest_effect_points"] < 12


def test_a_run_gives_its_own_scatter(tmp_path) -> None:
    for noise in ("independent", "shared"):
        arguments = {"noise": noise, "accuracy": 0.5}
        one = RunConfig(tasks="drawn", model="scripted", model_args=arguments, limit="40", batch_size=500)
        session.ask(one, plan(one), folder=tmp_path / noise)
    found = power.scatter(tmp_path / "independent", outcome="accuracy", n_slots=3, seed=0)
    assert found.noise_SS.shape == (10, 10)
    assert abs(np.trace(found.noise_SS) / 9 - 0.25) < 0.03
    with pytest.raises(BadInput, match="no answer changes with the slot"):
        power.scatter(tmp_path / "shared", outcome="accuracy", n_slots=10, seed=0)


def test_a_dry_run_says_what_it_will_find() -> None:
    one = RunConfig(tasks="drawn", model="scripted", limit="100")
    (said,) = [line for line in lines(plan(one), one) if "power 80 %" in line]
    assert said.startswith("with 100 probes of 50 clips a head effect of ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"n_clips": 1, "questions": 2}, "give 2 clips"),
        ({"n_clips": 10, "questions": 0.5}, "1 question or more"),
        ({"n_clips": 10, "questions": 2, "effect_points": 0}, "more than 0"),
        ({"n_clips": 10, "questions": 2, "shape": "J"}, "unknown shape 'J'"),
        ({"n_clips": 10, "questions": 2, "wanted_power": 1.0}, "between .05 and 1"),
    ],
)
def test_an_impossible_design_is_refused(arguments, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        power.advise(power.assumed(5), **arguments)


def test_an_unknown_outcome_names_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean accuracy"):
        power.scatter(None, outcome="acuracy", n_slots=10, seed=0)
