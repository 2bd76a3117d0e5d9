"""Of equally likely options one is chosen by a lot that favours no place."""

from collections import Counter

from vlbias.answers import Answer, likeliest
from vlbias.config import RunConfig
from vlbias.plan import plan
from vlbias.prompts import Style, prompt
from vlbias.records import OptionScores, Trial
from vlbias.run import row

TRIALS = plan(RunConfig(tasks="options", model="scripted", limit="120")).trials


def answered(trial: Trial, logprobs: tuple[float, ...]) -> Answer:
    scores = OptionScores(logprobs=logprobs, level="exact", n_tokens=9)
    found = row(prompt(trial, {}, Style()), scores, batch_size=1)
    assert isinstance(found, Answer)
    return found


def test_a_model_that_cannot_tell_its_options_apart_likes_no_displayed_place() -> None:
    found = [answered(trial, (-1.0, -1.0, -1.0, -1.0)) for trial in TRIALS]
    assert all(answer.tied for answer in found)
    places = Counter(t.option_order.index(a.chosen) for t, a in zip(TRIALS, found, strict=True) if a.chosen is not None)
    assert set(places.values()) == {len(TRIALS) // 4}


def test_the_lot_falls_on_one_content_in_all_orders_and_on_each_content_in_some_probe() -> None:
    chosen: dict[str, set[int | None]] = {}
    for trial in TRIALS:
        chosen.setdefault(trial.probe.probe_id, set()).add(answered(trial, (-1.0, -1.0, -1.0, -1.0)).chosen)
    assert all(len(contents) == 1 for contents in chosen.values())
    assert {content for contents in chosen.values() for content in contents} == {0, 1, 2, 3}


def test_what_is_likelier_is_chosen_and_less_likely_ones_have_no_lot() -> None:
    trial = TRIALS[1]
    clear = answered(trial, (-3.0, -1.0, -2.0, -2.0))
    assert clear.chosen == trial.option_order[1] and not clear.tied
    two = answered(trial, (-3.0, -1.0, -2.0, -1.0))
    assert two.chosen in (trial.option_order[1], trial.option_order[3]) and two.tied
    assert likeliest((-3.0, -1.0, -2.0, -1.0), two.asked) == two.chosen
