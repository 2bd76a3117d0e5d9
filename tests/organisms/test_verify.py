import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vlbias.errors import BadInput, UnknownName
from vlbias.organisms import architecture, asking, manifest, training, verify
from vlbias.organisms.planting import Plant
from vlbias.organisms.pool import pool as draw_pool
from vlbias.organisms.pool import pool_of
from vlbias.organisms.train import Course, taken_over
from vlbias.probes import _world

QWEN = architecture.family("qwen2_vl")
SMALL = architecture.Size(hidden=32, layers=1, vision_hidden=16, vision_layers=1)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrained")
    torch.manual_seed(0)
    architecture.save(QWEN.model(SMALL), folder)
    manifest.write(folder, {"about": "untrained", "planted_profile": [1.0, 1.0, 1.0]})
    return folder


@pytest.fixture(scope="module")
def untrained_eyes(untrained: Path) -> verify.Eyes:
    organism = taken_over(untrained)
    drawn = draw_pool(480, QWEN, rng=np.random.default_rng(0), log=[].append)
    return verify.opened(organism, drawn)


def test_a_pool_without_a_contradiction_is_refused(untrained_eyes: verify.Eyes) -> None:
    few = pool_of(untrained_eyes.pool.contents[:1], untrained_eyes.pool.levels_CX[:1], QWEN)
    content = few.contents[0]
    with pytest.raises(BadInput, match=content.shape):
        asking.rival(few, content, _world.ATTRIBUTE, np.random.default_rng(0))


def test_an_untrained_organism_is_at_chance_at_every_slot(untrained_eyes: verify.Eyes) -> None:
    measured = verify.profile(untrained_eyes, n_slots=3, trials=600, seed=0)
    assert measured.n == (200, 200, 200)
    assert all(abs(value - 0.25) < 0.13 for value in measured.accuracy)
    assert set(measured.task_accuracy) == set(_world.TASKS)


def test_a_filmed_clip_looks_like_its_drawing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    filmed = verify.filmed(48, QWEN, scratch=tmp_path, rng=rng)
    drawn = draw_pool(480, QWEN, rng=rng, log=[].append)
    by_colour = {
        colour: [
            pool.levels_CX[[k for k, c in enumerate(pool.contents) if c.colour == colour]].float().mean()
            for pool in (filmed, drawn)
        ]
        for colour in ("white", "brown")
    }
    assert by_colour["white"][0] > by_colour["brown"][0] + 10
    assert all(abs(a - b) < 12 for a, b in by_colour.values())


@pytest.mark.parametrize(("found", "fits"), [(0.52, True), (0.7, False)])
def test_a_profile_that_moved_more_than_chance_is_told(found: float, fits: bool) -> None:
    before, now = {"accuracy": [0.5], "n": [2000]}, {"accuracy": [found], "n": [2000]}
    assert (training.disagreements(now, before) == []) == fits


def test_the_command_in_a_manifest_names_everything_that_decides_the_weights() -> None:
    course = Course(seed=3, steps=70, trunk=Path("/somewhere/none10"), n_clips=60)
    plant = Plant(profiles=((1.0, 0.5), (1.0, 1.0, 0.25)), first_believed=0.75)
    assert training.command("x", plant, course) == (
        "vlbias organism train -o x --profile 1:0.5 --profile 1:1:0.25 --first_believed 0.75 --steps 70 --seed 3 "
        "--n_clips 60 --trunk none10"
    )


def test_a_manifest_tells_how_to_make_its_organism_again() -> None:
    plant = Plant(profiles=((1.0, 0.5), (1.0, 1.0, 0.25)), exposure=(1.0, 0.0))
    course = Course(seed=3, steps=70, trunk=manifest.ZOO / "u10", keep_trunk=Path("elsewhere"))
    about = {"plant": dataclasses.asdict(plant), "course": training.told(course)}
    again = training.like(json.loads(json.dumps(about)))
    assert again == (plant, dataclasses.replace(course, keep_trunk=None))


def test_who_is_believed_adds_up_over_pairs(untrained_eyes: verify.Eyes) -> None:
    found = verify.belief(untrained_eyes, n_slots=3, trials=90, seed=0)
    assert found.earlier + found.later + found.neither == pytest.approx(1)
    assert [pair[:2] for pair in found.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert found.earlier == pytest.approx(np.mean([share for _, _, share in found.pairs]))


def test_the_truth_holds_what_the_plant_needs(untrained_eyes: verify.Eyes) -> None:
    plant = dataclasses.asdict(Plant(profiles=((1.0,) * 2, (1.0,) * 3), first_option=0.5))
    about = {"planted_profile": [1.0] * 3, "plant": plant}
    found = training.truth(untrained_eyes, about, trials=60, seed=0)
    assert set(found) == {"measured", "measured_lengths", "measured_options"}
    assert found["measured"]["n"] == (20,) * 3 and found["measured_lengths"]["2"]["n"] == (30,) * 2
    about["plant"] = {**plant, "first_believed": 0.5}
    believed = training.truth(untrained_eyes, about, trials=60, seed=0)["measured_belief"]
    assert [belief["n_slots"] for belief in believed] == [2, 3]
    assert manifest.found({**found, "measured_belief": believed}).count(";") == 4


def test_options_are_counted_by_place(untrained_eyes: verify.Eyes) -> None:
    found = verify.options(untrained_eyes, trials=80, seed=0)
    assert found.n == 80 and sum(found.said) == pytest.approx(1)
    assert min(found.recall) <= found.accuracy <= max(found.recall)


def test_an_unknown_organism_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="nobody"):
        manifest.folder_of("nobody")


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=manifest.FILE):
        manifest.read(tmp_path)
