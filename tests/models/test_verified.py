"""A run that verifies itself finds a false sharing, and tells how far a sound one is off."""

import dataclasses

import pytest

from vlbias.errors import BadInput, SharingDiffers
from vlbias.models import hf, scripted
from vlbias.models._verified import Verified


@pytest.fixture(scope="module")
def qwen(build):
    return hf.load(pretrained=str(build("qwen2_vl")), device="cpu")


@pytest.fixture
def prompts(ask):
    return [dataclasses.replace(ask(order), trial_id=f"t{k}") for k, order in enumerate([(1, 2), (2, 1), (1, 3)])]


def test_only_chosen_prompts_are_asked_twice_and_the_answers_are_the_model_s_own(qwen, prompts, monkeypatch) -> None:
    expected = [found.logprobs for found in qwen.score(prompts)]
    twice = []
    apart = qwen.score_apart
    monkeypatch.setattr(qwen, "score_apart", lambda asked: twice.extend(p.trial_id for p in asked) or apart(asked))
    verified = Verified(qwen, {"t0", "t2", "of another batch"})
    assert [found.logprobs for found in verified.score(prompts)] == expected
    assert twice == ["t0", "t2"]
    assert verified.n_compared == 2 and 0 <= verified.largest < 1e-5


def test_a_false_sharing_stops_the_run_with_the_prompt_as_evidence(qwen, prompts, monkeypatch) -> None:
    logprobs = qwen.sharing.logprobs
    monkeypatch.setattr(qwen.sharing, "logprobs", lambda asked: [(a - 0.1, *more) for a, *more in logprobs(asked)])
    Verified(qwen, {"of another batch"}).score(prompts)
    with pytest.raises(SharingDiffers, match="trial t1: shared and apart differ by 0.1") as caught:
        Verified(qwen, {"t1"}).score(prompts)
    evidence = caught.value.evidence
    assert evidence["prompt_sha256"] == prompts[1].sha256
    assert evidence["logprobs_shared"][0] == pytest.approx(evidence["logprobs_apart"][0] - 0.1, abs=1e-5)


def test_a_model_with_one_way_of_asking_cannot_be_verified() -> None:
    with pytest.raises(BadInput, match="scripted asks every prompt in one way only"):
        Verified(scripted.load(), {"t0"})
