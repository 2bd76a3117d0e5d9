"""What a session gives its model, and how it verifies itself."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from vlbias import scoring, session
from vlbias.config import RunConfig
from vlbias.errors import BadConfig, BadInput, SharingDiffers
from vlbias.models import scripted
from vlbias.plan import plan
from vlbias.records import OptionScores
from vlbias.reports import results
from vlbias.store import read, read_run


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLBIAS_CACHE_DIR", str(tmp_path / "cache"))


class TwoWays:
    """A scripted model that has a second way to ask, `off` nats away from the first."""

    def __init__(self, off: float) -> None:
        self.off, self._model = off, scripted.load(accuracy=0.7)
        self.identity = replace(self._model.identity, dtype="float32")
        self.capabilities = self._model.capabilities
        self.apart: list[str] = []

    def score(self, prompts):
        return self._model.score(prompts)

    def score_apart(self, prompts):
        self.apart += [p.trial_id for p in prompts]
        return [moved(found, self.off) for found in self._model.score(prompts)]


def moved(found: OptionScores, off: float) -> OptionScores:
    first, *more = found.logprobs
    return replace(found, logprobs=(first + off, *more))


def asked(folder: Path, monkeypatch: pytest.MonkeyPatch, *, off: float, tell=lambda _: None, **values) -> TwoWays:
    one = RunConfig(**{"tasks": "drawn", "model": "scripted", "limit": "3", "batch_size": 11, **values})
    model = TwoWays(off)
    monkeypatch.setattr(session, "load", lambda _: model)
    session.ask(one, plan(one), folder=folder, tell=tell)
    return model


def test_a_sound_run_says_how_many_prompts_were_asked_apart_and_how_far_off_they_were(tmp_path, monkeypatch) -> None:
    model = asked(tmp_path / "run", monkeypatch, off=1e-6, verify=5)
    (note,) = (note for note in read_run(tmp_path / "run").notes if note.startswith("verified"))
    assert "5 of 5 chosen prompts" in note and "1e-06 nats" in note
    assert len(set(model.apart)) == 5
    told = read_run(tmp_path / "run").verification
    assert (told.n_chosen, told.n_compared, told.tolerance) == (5, 5, 1e-4)
    assert told.largest_nats == pytest.approx(1e-6)
    (path,) = results.write(scoring.report(tmp_path / "run", metrics=["curve"]), folder=tmp_path)
    assert json.loads(path.read_text())["verification"] == asdict(told)
    other = asked(tmp_path / "other", monkeypatch, off=1e-6, verify=5, seed=1)
    assert set(model.apart) != set(other.apart)


def test_a_difference_stops_the_run_and_saves_the_prompt(tmp_path, monkeypatch) -> None:
    with pytest.raises(SharingDiffers, match="differ by 0.1 nats"):
        asked(tmp_path / "run", monkeypatch, off=0.1, verify=2)
    saved = json.loads((tmp_path / "run" / session.EVIDENCE).read_text())
    assert saved["logprobs_apart"][0] == pytest.approx(saved["logprobs_shared"][0] + 0.1)
    stored = {o.asked.trial_id for o in read(tmp_path / "run").outcomes}
    assert saved["trial_id"] not in stored and len(stored) < 33


def test_a_verified_run_that_was_interrupted_tells_of_all_its_sessions(tmp_path, monkeypatch) -> None:
    def stop(progress):
        if progress.done >= 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked(tmp_path / "run", monkeypatch, tell=stop, off=1e-6, verify=33)
    first = read_run(tmp_path / "run").verification
    model = asked(tmp_path / "run", monkeypatch, off=1e-7, verify=33)
    told = read_run(tmp_path / "run").verification
    assert first.n_compared == 11 and told.n_compared == 11 + len(model.apart) == 33
    assert told.largest_nats == first.largest_nats == pytest.approx(1e-6)


def test_a_run_that_is_not_verified_asks_nothing_twice_and_says_nothing(tmp_path, monkeypatch) -> None:
    assert asked(tmp_path / "run", monkeypatch, off=0.1).apart == []
    told = read_run(tmp_path / "run")
    assert told.verification is None and not any(note.startswith("verified") for note in told.notes)


def test_a_model_that_asks_in_one_way_only_cannot_be_verified(tmp_path) -> None:
    one = RunConfig(tasks="drawn", model="scripted", limit="2", verify=3)
    with pytest.raises(BadInput, match="one way only"):
        session.ask(one, plan(one), folder=tmp_path / "run")


def test_the_bound_of_the_cache_reaches_the_adapter() -> None:
    asked = RunConfig(tasks="drawn", model_args={"pretrained": "organism:u10"})
    assert "cache_gb" not in session.model_arguments(asked)
    assert session.model_arguments(asked.model_copy(update={"cache_gb": 0.5}))["cache_gb"] == 0.5


def test_a_model_that_nobody_named_is_refused_with_what_names_one() -> None:
    with pytest.raises(BadConfig, match=r"model_args: hf needs pretrained; give --model_args pretrained=\.\.\.: a"):
        session.model_arguments(RunConfig(tasks="drawn", model="hf"))
    assert session.model_arguments(RunConfig(tasks="drawn", model="scripted")) == {}


class Chooses(TwoWays):
    """A model that trials in the first slot cannot be put to, or none."""

    def __init__(self, *, some: bool) -> None:
        super().__init__(0.0)
        self._some, self.heard = some, 0

    def unfit(self, trial):
        return None if self._some and trial.slot != 0 else f"{trial.trial_id} is beyond me"

    def score(self, prompts):
        self.heard += len(prompts)
        return super().score(prompts)


@pytest.mark.parametrize("some", [False, True])
def test_a_plan_of_which_nothing_can_be_put_to_the_model_is_refused_before_it_is_asked(tmp_path, monkeypatch, some):
    model = Chooses(some=some)
    monkeypatch.setattr(session, "load", lambda _: model)
    one = RunConfig(tasks="drawn", model="scripted", limit="1", batch_size=11)
    trials = plan(one).trials
    assert trials[0].slot == 0 and model.unfit(trials[0])
    if some:
        session.ask(one, plan(one), folder=tmp_path / "r")
        assert model.heard == len(trials), "what is unfit is the model's to tell, prompt by prompt"
        return
    with pytest.raises(BadInput, match=r"drawn: none of its \d+ trials can be put to the model; .* is beyond me"):
        session.ask(one, plan(one), folder=tmp_path / "r")
    assert model.heard == 0
