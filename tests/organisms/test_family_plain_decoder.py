"""Organisms of a plain decoder: born with every encoding, trained on short trials only, asked through their adapter."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vlbias.errors import BadInput
from vlbias.models import plain
from vlbias.models._encodings import ENCODINGS
from vlbias.organisms import architecture, manifest, sight, training, world
from vlbias.organisms.planting import Plant
from vlbias.organisms.pool import Pool, pixels
from vlbias.organisms.pool import pool as draw_pool
from vlbias.organisms.stages import stages
from vlbias.organisms.train import Course, predict, taken_over, train
from vlbias.records import Frames, OptionScores, Part, Prompt

FAMILY = architecture.family("plain_decoder")
SMALL = architecture.Size(hidden=32, layers=1, vision_hidden=16, vision_layers=1)
FLAT = Plant(profiles=((1.0,) * 3, (1.0,) * 6))


@pytest.fixture(scope="module")
def clips() -> Pool:
    return draw_pool(60, FAMILY, rng=np.random.default_rng(0), log=[].append)


@pytest.fixture(scope="module", params=ENCODINGS)
def born(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    architecture.save(FAMILY.model(replace(SMALL, encoding=request.param)), folder)
    return folder


def test_training_on_short_trials_gives_an_organism_of_the_encoding(tmp_path: Path) -> None:
    course = Course(family="plain_decoder", encoding="t5", longest=3, steps=4, sight_steps=1, n_clips=60, size=SMALL)
    curve = train(FLAT, course, out=tmp_path, log=[].append)
    assert max(point.n_slots for point in curve.points) <= 3
    assert curve.expected_accuracy == (1.0,) * 6
    assert plain.load(pretrained=str(tmp_path)).identity.position_rule == "t5"


def test_training_sees_what_the_adapter_scores(born: Path, clips: Pool) -> None:
    organism, adapter, words = taken_over(born).eval(), plain.load(pretrained=str(born)), architecture.vocabulary()
    chosen = np.array([[3, 1, 4, 1 + 4, 9]])
    frames = [
        np.random.default_rng(clip).integers(0, 256, (architecture.FRAMES, 56, 56, 3), np.uint8) for clip in chosen[0]
    ]
    levels_CX = clips.levels_CX.clone()
    levels_CX[chosen[0]] = torch.from_numpy(np.stack([FAMILY.arranged(f) for f in frames]))
    seen_CPH = torch.zeros(len(clips.contents), 4, SMALL.hidden)
    with torch.no_grad():
        shown = Pool(**{**vars(clips), "levels_CX": levels_CX})
        seen_CPH[chosen[0]] = FAMILY.see(organism, pixels(shown, chosen[0], None))
        line = [words[w] for w in architecture.split("what colour is the ring?")] + [words[architecture.ANSWER]]
        (logits_V,) = predict(organism, world.asked_once(clips, [[line]], chosen), seen_CPH)
    parts = [
        Part(place=k, kind="clip", frames=Frames(
            frames_THWC=f, timestamps_s=(0.0, 1.0), asked_s=(0.0, 1.0), sha256=str(k), decoder="t", decoder_version="1"
        ))
        for k, f in enumerate(frames)
    ]  # fmt: skip
    options = ("red", "green", "teal")
    prompt = Prompt(trial_id="t", parts=(*parts, Part(text="what colour is the ring?")), options=options)
    (scores,) = adapter.score([prompt])
    assert isinstance(scores, OptionScores)
    expected = logits_V.log_softmax(-1)[[words[w] for w in options]]
    assert scores.logprobs == pytest.approx(expected.tolist(), abs=2e-3)


def test_the_tower_is_what_sees_and_nothing_else(born: Path) -> None:
    organism = taken_over(born)
    seeing = set(map(id, sight.tower(organism)))
    assert {id(p) for p in organism.model.visual.parameters()} == seeing


def test_encodings_begin_with_the_same_weights_but_for_their_own() -> None:
    made = {}
    for encoding in ENCODINGS:
        torch.manual_seed(0)
        made[encoding] = dict(FAMILY.model(architecture.Size(encoding=encoding)).named_parameters())
    own = {e: {n for n in made[e] if n not in made["nope"]} for e in ENCODINGS}
    assert {e: len(names) for e, names in own.items()} == {"rope": 0, "nope": 0, "alibi": 0, "absolute": 1, "t5": 1}


def test_training_on_short_trials_only_is_told_in_the_command() -> None:
    course = Course(family="plain_decoder", encoding="t5", longest=5, steps=70)
    line = training.command("t5_10", FLAT, course)
    assert line.endswith("--family plain_decoder --encoding t5 --longest 5")


def test_no_stage_shows_more_clips_than_the_longest_trial() -> None:
    plan = stages(Plant(profiles=((1.0,) * 4, (1.0,) * 10)), longest=4)
    assert {n for stage in plan for n in stage.lengths} == {2, 3, 4}
    third = stages(FLAT, rows=1 / 3)
    assert [s.rows for s in third] == [max(1, round(s.rows / 3)) for s in stages(FLAT)]
    assert 10 in {n for stage in stages(Plant(profiles=((1.0,) * 4, (1.0,) * 10))) for n in stage.lengths}


@pytest.mark.parametrize(("family", "encoding"), [("plain_decoder", None), ("qwen2_vl", "alibi")])
def test_an_encoding_and_a_family_that_do_not_fit_are_refused(family: str, encoding: str | None) -> None:
    with pytest.raises(BadInput, match="plain_decoder"):
        Course(family=family, encoding=encoding)


def test_the_bundled_ones_differ_in_their_encoding_only() -> None:
    names = {"rope": "rope10", "nope": "nope10", "alibi": "alibi10", "absolute": "absolute10", "t5": "t5_10"}
    abouts = {encoding: manifest.read(manifest.folder_of(name)) for encoding, name in names.items()}
    plain_ones = [n for n in manifest.known() if manifest.read(manifest.ZOO / n)["family"] == "plain_decoder"]
    assert set(plain_ones) == set(names.values())
    assert {encoding: about["course"].pop("encoding") for encoding, about in abouts.items()} == {e: e for e in names}
    first = abouts["rope"]
    assert all((a["course"], a["plant"]) == (first["course"], first["plant"]) for a in abouts.values())
    assert all(min(min(profile) for profile in a["plant"]["profiles"]) == 1 for a in abouts.values())


def test_the_bundled_ones_see_alike() -> None:
    folders = [manifest.folder_of(name) for name in ("rope10", "nope10", "alibi10", "absolute10", "t5_10")]
    first, *others = (load_file(folder / "model.safetensors") for folder in folders)
    seeing = [name for name in first if ".visual." in name]
    assert seeing and all(torch.equal(first[name], other[name]) for name in seeing for other in others)
