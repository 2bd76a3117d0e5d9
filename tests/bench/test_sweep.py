"""The sweep's benchmark on a very small model: its rows are true of what was run."""

import numpy as np
import pytest
import torch

from vlbias.bench import _toy as toy
from vlbias.bench import sweep
from vlbias.errors import ModelError, UnknownName
from vlbias.models._room import Memory

SMALL = toy.Shape(
    hidden=32, feed_forward=48, layers=1, heads=2, key_heads=1, vocabulary=512, vision_hidden=32, vision_layers=1,
    vision_heads=2, n_frames=2, side_px=56, n_words=4, dtype=torch.float32,
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return toy.model(SMALL, device="cpu", seed=0)


@pytest.fixture(scope="module")
def prompts():
    rng = np.random.default_rng(0)
    return [p for slot in toy.sweep(SMALL, n_slots=sweep.N_SLOTS, n_questions=2, rng=rng) for p in slot]


def test_the_tokens_of_the_sweep_equal_the_closed_form_and_its_answers_those_asked_apart(model, prompts) -> None:
    rows = {row.name: row for row in sweep._exactness(model, prompts)}
    assert rows["sweep_token_closed_form_diff"].value == 0 and rows["sweep_token_closed_form_diff"].ok
    assert rows["sweep_max_logit_diff"].value <= 1e-5 and rows["sweep_max_logit_diff"].ok
    assert rows["sweep_argmax_agreement"].value == 1 and rows["sweep_argmax_agreement"].ok
    assert 1.5 < rows["sweep_token_ratio"].value < 2 * 100 / 64


def test_a_false_answer_of_sharing_shows_as_a_difference(model, prompts, monkeypatch) -> None:
    logprobs = model.sharing.logprobs
    monkeypatch.setattr(model.sharing, "logprobs", lambda asked: [(a + 1e-3, b) for a, b in logprobs(asked)])
    (row,) = (row for row in sweep._exactness(model, prompts[:20]) if row.name == "sweep_max_logit_diff")
    assert row.value == pytest.approx(1e-3, rel=0.05) and row.ok is False


def test_a_choice_that_sharing_turns_over_shows_as_disagreement(model, prompts, monkeypatch) -> None:
    logprobs = model.sharing.logprobs
    monkeypatch.setattr(model.sharing, "logprobs", lambda asked: [pair[::-1] for pair in logprobs(asked)])
    (row,) = (row for row in sweep._exactness(model, prompts[:20]) if row.name == "sweep_argmax_agreement")
    assert row.value == 0 and row.ok is False


def test_every_timed_sweep_encodes_every_clip_again_and_once(model, prompts) -> None:
    sweep._shared(model, prompts)
    sweep._shared(model, prompts)
    assert model.sharing.features.n_made == sweep.N_SLOTS


def test_a_loop_over_a_part_of_the_prompts_counts_as_a_loop_over_all(model, prompts, monkeypatch) -> None:
    asked = []
    found = sweep._against(model, asked.append, prompts, "cpu")
    assert len(asked) == sweep.ROUNDS * len(prompts[:: sweep.EVERY])
    assert found.value == pytest.approx(min(found.first_s) / min(found.second_s))


def test_a_clip_of_the_bundled_suite_is_decoded_once() -> None:
    (row,) = sweep.rows(only=["sweep_decodes_per_clip"], device="cpu", seed=0)
    assert (row.value, row.ok) == (1, True)


def test_every_shape_tells_what_it_needs_and_is_refused_where_that_is_not_there(monkeypatch) -> None:
    needed = [toy.needed_bytes(shape) for shape in toy.SHAPES.values()]
    assert needed == sorted(needed) and 14 < needed[-1] / toy.GIB / toy.ROOM < 17
    monkeypatch.setattr(toy, "memory", lambda _: Memory(free=lambda: 2 * toy.GIB, held=lambda: 0, most=lambda: 0))
    with pytest.raises(ModelError, match=r"needs about 20\.\d GiB of memory on cpu, found 2\.0 GiB free"):
        toy.model(toy.SHAPES["7b"], device="cpu", seed=0)


def test_weights_are_those_of_the_seed_and_nobody_else_s_chance_is_used(model) -> None:
    state = torch.random.get_rng_state()
    again, other = (toy.model(SMALL, device="cpu", seed=seed) for seed in (0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    first, second, third = (m.model.get_input_embeddings().weight for m in (model, again, other))
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_rows_of_a_gpu_are_not_had_on_a_cpu(monkeypatch) -> None:
    monkeypatch.setitem(toy.SHAPES, "tiny", SMALL)
    only = ["sweep_gpu_12q_over_naive", "sweep_gpu_1q_over_naive", "sweep_toy_1q_over_naive"]
    assert [row.name for row in sweep.rows(only=only, device="cpu", seed=0)] == ["sweep_toy_1q_over_naive"]


def test_an_unknown_row_is_named() -> None:
    with pytest.raises(UnknownName, match="did you mean sweep_token_ratio"):
        list(sweep.rows(only=["sweep_token_ration"], device="cpu", seed=0))
