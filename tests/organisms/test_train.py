from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from vlbias.errors import BadInput
from vlbias.organisms import architecture, sight, world
from vlbias.organisms.planting import Bias, Plant
from vlbias.organisms.pool import Pool, pixels
from vlbias.organisms.pool import pool as draw_pool
from vlbias.organisms.train import Course, predict, train
from vlbias.probes import _world

QWEN = architecture.family("qwen2_vl")
SMALL = architecture.Size(hidden=32, layers=1, vision_hidden=16, vision_layers=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("organism")
    lines: list[str] = []
    course = Course(steps=12, sight_steps=2, n_clips=150, size=SMALL)
    curve = train(Plant(profiles=((1.0, 0.5, 1.0),)), course, out=folder, log=lines.append)
    assert curve.points[-1].step == 12 and curve.points[-1].n_slots == 3
    assert curve.expected_accuracy == pytest.approx((1.0, 0.625, 1.0))
    assert any("step 12" in line for line in lines)
    return folder


@pytest.fixture(scope="module")
def clips() -> Pool:
    return draw_pool(150, QWEN, rng=np.random.default_rng(0), log=[].append)


def test_training_saves_a_folder_that_the_auto_classes_load(trained: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(trained)
    assert type(model).__name__ == "Qwen2VLForConditionalGeneration"
    assert type(AutoProcessor.from_pretrained(trained)).__name__ == "Qwen2VLProcessor"
    assert [p.suffix for p in trained.glob("model*")] == [".safetensors"]


def test_training_sees_what_the_model_computes_from_pixels(trained: Path, clips: Pool) -> None:
    model = AutoModelForImageTextToText.from_pretrained(trained, dtype=torch.float32).eval()
    for rows in (
        world.batch(clips, world.Sheet(rows=2, n_slots=3, n_questions=2), bias=None, rng=np.random.default_rng(2)),
        world.captions(clips, world.Sheet(rows=2, n_slots=3), bias=None, rng=np.random.default_rng(2)),
    ):
        ids, shown = rows.input_ids_BL, pixels(clips, rows.clip_S, np.random.default_rng(5))
        with torch.no_grad():
            seen = torch.zeros(len(clips.contents), 4, SMALL.hidden)
            seen[torch.from_numpy(rows.clip_S)] = QWEN.see(model, shown)
            ours = predict(model, rows, seen)
        for k, (row, place) in enumerate(zip(rows.row_K, rows.place_K)):
            block = rows.block_BL[row]
            alone = (block == 0) | ((block == block[place]) & (torch.arange(len(block)) <= place))
            with torch.no_grad():
                whole = model(
                    input_ids=ids[row][alone][None],
                    pixel_values_videos=shown.view(-1, 1176)[48 * int(row) : 48 * int(row) + 48],
                    video_grid_thw=torch.tensor([[1, 4, 4]] * 3),
                    mm_token_type_ids=(ids[row][alone] == model.config.video_token_id).int()[None] * 2,
                ).logits
            torch.testing.assert_close(ours[k], whole[0, -1], atol=1e-4, rtol=1e-4)


def captioned(clips: Pool, rows: int, n_slots: int, *, seed: int) -> world.Batch:
    return world.captions(clips, world.Sheet(rows=rows, n_slots=n_slots), bias=None, rng=np.random.default_rng(seed))


def test_a_caption_asks_each_word_at_the_word_before_it(clips: Pool) -> None:
    rows, words = captioned(clips, 4, 3, seed=6), architecture.vocabulary()
    after = rows.input_ids_BL[rows.row_K, rows.place_K + 1]
    assert torch.equal(after, rows.targets_KV.argmax(-1))
    told = {int(word) for word in after}
    assert told & {words[place] for place in architecture.PLACES} and told & {words[c] for c in _world.COLOURS}
    assert not told & {words[shape] for shape in _world.SHAPES}


def test_a_place_is_named_as_the_clips_stand(clips: Pool) -> None:
    rows, words = captioned(clips, 6, 5, seed=0), architecture.vocabulary()
    shapes = [[words[clips.contents[clip].shape] for clip in row] for row in rows.clip_S.reshape(6, 5)]
    found = 0
    for row, said in enumerate(rows.input_ids_BL.tolist()):
        for place in [k for k, word in enumerate(said) if word == words["where"]]:
            slot = shapes[row].index(said[place + 1])
            assert said[place + 2] == words[architecture.PLACES[slot]]
            found += 1
    assert found > 3


def test_a_trunk_is_taken_over_and_only_planted(trained: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    course = Course(steps=10, seed=1, n_clips=150, trunk=trained)
    curve = train(Plant(profiles=((1.0, 0.0, 1.0),)), course, out=tmp_path, log=lines.append)
    before, after = (AutoModelForImageTextToText.from_pretrained(p, dtype=torch.float32) for p in (trained, tmp_path))
    assert curve.sight is None and not any("seeing" in line for line in lines)
    changed = {n for (n, a), (_, b) in zip(before.named_parameters(), after.named_parameters()) if not a.equal(b)}
    assert changed and not any(".visual." in name for name in changed)


def test_another_family_takes_over_a_language_and_learns_to_see_with_its_words(trained: Path, tmp_path: Path) -> None:
    course = Course(
        family="llava_onevision", language=trained, sight_steps=1, steps=10, n_clips=60, size=SMALL, keep_trunk=tmp_path
    )
    curve = train(Plant(profiles=((1.0, 0.5, 1.0),)), course, out=tmp_path / "out", log=[].append)
    before, after = (AutoModelForImageTextToText.from_pretrained(p, dtype=torch.float32) for p in (trained, tmp_path))
    assert type(after).__name__ == "LlavaOnevisionForConditionalGeneration"
    assert curve.sight is not None and [point.step for point in curve.points] == [7, 10]
    given, learned = (model.model.language_model.state_dict() for model in (before, after))
    assert given.keys() == learned.keys()
    assert max(float((given[name] - learned[name]).abs().max()) for name in given) < 0.01


def test_a_trunk_of_another_family_is_refused(trained: Path, tmp_path: Path) -> None:
    course = Course(family="llava_onevision", trunk=trained, steps=10, n_clips=60)
    with pytest.raises(BadInput, match="qwen2_vl, not llava_onevision"):
        train(Plant(), course, out=tmp_path, log=[].append)


def test_seeing_improves_with_steps(clips: Pool) -> None:
    torch.manual_seed(0)
    organism = QWEN.model(SMALL)
    early = sight.learn_to_see(organism, clips, steps=2, rng=np.random.default_rng(0), log=[].append)
    late = sight.learn_to_see(organism, clips, steps=24, rng=np.random.default_rng(0), log=[].append)
    assert late > early + 0.02


def test_every_word_that_can_be_asked_or_answered_is_in_the_tokenizer() -> None:
    words = architecture.vocabulary()
    for task in _world.TASKS:
        for shape in _world.SHAPES:
            assert set(architecture.split(_world.question_text(task, shape))) <= set(words)
        assert set(_world.ANSWERS[task]) <= set(words)


def test_an_unseen_shape_has_an_even_target_and_a_seen_one_its_answer(clips: Pool) -> None:
    bias = Bias(plant=Plant(profiles=((0.0, 0.0),)), thresholds={s: 0.5 for s in _world.SHAPES})
    sheet = world.Sheet(rows=8, n_slots=2, n_questions=6)
    for planted, even in ((bias, True), (None, False)):
        rows = world.batch(clips, sheet, bias=planted, rng=np.random.default_rng(3))
        sizes = (rows.targets_KV[::2] > 0).sum(-1)
        torch.testing.assert_close(rows.targets_KV.sum(-1), torch.ones(len(rows.targets_KV)))
        assert bool((sizes > 1).any()) == even
        assert set(sizes.tolist()) <= {1} | ({len(a) for a in _world.ANSWERS.values()} if even else set())


def test_a_smaller_vocabulary_grows_and_keeps_its_words(trained: Path, tmp_path: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(trained, dtype=torch.float32)
    older = tmp_path / "older"
    model.resize_token_embeddings(len(architecture.vocabulary()) - 7)
    model.save_pretrained(older)
    course = Course(steps=4, n_clips=150, trunk=older)
    train(Plant(profiles=((1.0, 1.0),), first_option=0.5), course, out=tmp_path / "new", log=[].append)
    grown = AutoModelForImageTextToText.from_pretrained(tmp_path / "new")
    assert grown.get_input_embeddings().num_embeddings == len(architecture.vocabulary())
    assert grown.get_output_embeddings().out_features == len(architecture.vocabulary())


def test_eyes_are_taken_over_and_not_trained(trained: Path, tmp_path: Path) -> None:
    course = Course(steps=4, n_clips=150, size=SMALL, eyes=trained, seed=3)
    assert train(Plant(profiles=((1.0, 1.0),)), course, out=tmp_path, log=[].append).sight is None
    before, after = (AutoModelForImageTextToText.from_pretrained(p) for p in (trained, tmp_path))
    for mine, given in zip(sight.tower(after), sight.tower(before), strict=True):
        assert mine.equal(given)
    ours, theirs = (m.model.language_model.layers[0].mlp.up_proj.weight for m in (after, before))
    assert (ours - theirs).abs().max() > 0.05
