from pathlib import Path

import numpy as np
import pytest
import torch

from vlbias.errors import BadInput, UnknownName
from vlbias.organisms import architecture, manifest, training, verify
from vlbias.organisms.pool import pool as draw_pool
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


def test_an_untrained_organism_is_at_chance_at_every_slot(untrained: Path, tmp_path: Path) -> None:
    said: list[str] = []
    measured = training.measure(untrained, trials=600, seed=0, scratch=tmp_path, say=said.append)
    assert measured.n == (200, 200, 200)
    assert all(abs(value - 0.25) < 0.13 for value in measured.accuracy)
    assert set(measured.task_accuracy) == set(_world.TASKS)


def test_a_filmed_clip_looks_like_its_drawing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    filmed = verify.filmed(40, QWEN, scratch=tmp_path, rng=rng)
    drawn = draw_pool(2000, QWEN, rng=rng, log=[].append)
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
    about = {"measured": {"accuracy": [0.5], "n": [2000]}}
    measured = verify.Profile(
        accuracy=(found,), gold_probability=(0.5,), n=(2000,), task_accuracy={}, first_option=0.25, seed=0
    )
    assert (training.disagreements(measured, about) == []) == fits


def test_the_command_in_a_manifest_names_everything_that_decides_the_weights() -> None:
    line = training.command("u10", {"seed": 3, "steps": 70, "trunk": Path("/somewhere/none10")}, (1.0, 0.5))
    assert line == "vlbias organism train -o u10 --profile 1:0.5 --steps 70 --seed 3 --trunk none10"


def test_an_unknown_organism_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="nobody"):
        manifest.folder_of("nobody")


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=manifest.FILE):
        manifest.read(tmp_path)
