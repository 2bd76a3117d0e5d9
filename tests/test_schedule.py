"""What prompts share stands together, whatever the order of the suite."""

import dataclasses
import itertools

import pytest

from vlbias.config import AUTO_PROMPTS, RunConfig
from vlbias.plan import plan
from vlbias.records import Probe, Segment, Trial
from vlbias.schedule import batches, groups, pieces


def clip(name: str) -> Segment:
    return Segment(segment_id=name, path=f"{name}.mp4")


def sweep(name: str, *, evidence: str, backgrounds: str, alone: bool = True) -> list[Trial]:
    """A probe at every slot among backgrounds of one letter each."""
    around = tuple(clip(letter) for letter in backgrounds)
    probe = Probe(
        probe_id=name,
        task="t",
        question=f"{name}?",
        options=("a", "b"),
        gold=0,
        evidence=clip(evidence),
        backgrounds=around,
        cluster_id=evidence,
    )
    n = len(around) + 1
    slots = [*range(n), *([None] if alone else [])]
    return [
        Trial(
            trial_id=f"{name}/{slot}",
            probe=probe,
            slot=slot,
            n_slots=n,
            segments=(probe.evidence,) if slot is None else (*around[:slot], probe.evidence, *around[slot:]),
            option_order=(0, 1),
        )
        for slot in slots
    ]


def test_questions_about_the_same_clips_stand_together() -> None:
    first, other = sweep("p", evidence="x", backgrounds="abc"), sweep("q", evidence="y", backgrounds="def")
    second = sweep("r", evidence="x", backgrounds="abc")
    found = groups([*first, *other, *second])
    assert [[t.probe.probe_id for t in group] for group in found] == [["p"] * 5 + ["r"] * 5, ["q"] * 5]


def test_every_trial_is_in_one_batch_and_no_batch_is_too_large() -> None:
    trials = [t for k in range(7) for t in sweep(f"p{k}", evidence=f"x{k % 3}", backgrounds="abcd")]
    for size in (1, 4, 7, 12, 100):
        found = batches(trials, size=size)
        assert sorted(t.trial_id for batch in found for t in batch) == sorted(t.trial_id for t in trials)
        assert max(len(batch) for batch in found) <= size


def test_a_group_that_fits_is_not_cut() -> None:
    trials = [t for k in range(4) for t in sweep(f"p{k}", evidence=f"x{k}", backgrounds="abc")]
    assert [len(batch) for batch in batches(trials, size=12)] == [10, 10]


@pytest.mark.parametrize(("n", "segments"), [(1, 4), (3, 13), (9, 64)])
def test_a_sweep_prefills_the_segments_of_the_closed_form(n: int, segments: int) -> None:
    trials = sweep("p", evidence="x", backgrounds="abcdefghi"[:n])
    found = pieces(batches(trials, size=100))
    assert found.segments_shared == found.segments_closed == segments
    assert found.segments_apart == (n + 1) ** 2 + 1


def test_probes_over_the_same_backgrounds_share_the_chain() -> None:
    trials = [*sweep("p", evidence="x", backgrounds="abc"), *sweep("q", evidence="y", backgrounds="abc")]
    found = pieces(batches(trials, size=100))
    assert found.segments_shared == found.segments_closed == 3 + 2 * 10


def test_trials_that_are_no_whole_sweep_have_no_closed_form() -> None:
    assert pieces(batches(sweep("p", evidence="x", backgrounds="abc")[1:], size=9)).segments_closed is None


def test_another_order_of_the_backgrounds_shares_nothing_but_stands_with_them() -> None:
    trials = sweep("p", evidence="x", backgrounds="abc", alone=False)
    turned = [dataclasses.replace(t, segments=t.segments[::-1], trial_id=t.trial_id + "'") for t in trials]
    (together,) = batches([*trials, *turned], size=99)
    found = pieces((together,))
    assert len(together) == 8 and found.segments_shared < found.segments_apart == 32
    assert found.segments_closed is None


def test_auto_is_a_batch_size_and_nothing_else_is() -> None:
    assert RunConfig(tasks="drawn", batch_size="auto").batch_size == AUTO_PROMPTS  # type: ignore[arg-type]
    assert RunConfig(tasks="drawn").batch_size == AUTO_PROMPTS
    with pytest.raises(ValueError, match="batch_size"):
        RunConfig(tasks="drawn", batch_size="most")  # type: ignore[arg-type]


def test_all_orders_of_four_options_stand_in_one_batch_and_prefill_the_segments_of_one_order() -> None:
    trials = sweep("p", evidence="x", backgrounds="abcdefghi")
    orders = list(itertools.permutations(range(4)))
    permuted = [dataclasses.replace(t, option_order=o, trial_id=f"{t.trial_id} {o}") for t in trials for o in orders]
    (together,) = batches(permuted, size=132, whole=528)
    one, all_of_them = pieces(batches(trials, size=132)), pieces((together,))
    assert len(together) == 24 * 11 and all_of_them.segments_shared == one.segments_shared == 64
    assert all_of_them.segments_apart == 24 * one.segments_apart
    assert pieces(batches(permuted, size=132)).segments_shared > 64


def test_a_plan_of_all_orders_keeps_them_together_unless_a_batch_size_is_given() -> None:
    made = plan(RunConfig(tasks="drawn", model="scripted", limit="3", option_orders="full"))
    assert all(len({t.option_order for t in batch}) == 24 for batch in made.batches)
    assert len(made.batches) == len({t.probe.evidence.segment_id for t in made.trials})
    cut = plan(RunConfig(tasks="drawn", model="scripted", limit="3", option_orders="full", batch_size=50))
    assert max(map(len, cut.batches)) <= 50


def test_the_demo_asks_both_questions_of_a_clip_in_one_batch() -> None:
    made = plan(RunConfig(tasks="demo", model="scripted", limit="12"))
    for batch in made.batches:
        clips = {t.probe.evidence.segment_id for t in batch}
        others = [b for b in made.batches if b is not batch]
        assert not clips & {t.probe.evidence.segment_id for b in others for t in b}
