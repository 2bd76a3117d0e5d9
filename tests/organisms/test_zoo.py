import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from vlbias.disk import sha256_of_file
from vlbias.organisms import architecture, manifest, training, verify
from vlbias.organisms.pool import Pool
from vlbias.organisms.train import taken_over

NAMES = manifest.known()
REAL = [name for name in NAMES if manifest.read(manifest.ZOO / name)["family"] in architecture.families()]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pool]:
    @cache
    def of_family(name: str) -> Pool:
        rng, scratch = np.random.default_rng(7), tmp_path_factory.mktemp("films")
        return verify.filmed(96, architecture.family(name), scratch=scratch, rng=rng)

    return of_family


def test_the_zoo_has_the_organism_of_the_demo() -> None:
    assert "u10" in REAL


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_is_of_these_weights(name: str) -> None:
    about = manifest.read(manifest.ZOO / name)
    assert about["weights_sha256"] == sha256_of_file(manifest.ZOO / name / "model.safetensors")
    assert about["command"].startswith("vlbias organism train ")
    assert sum(about["measured"]["n"]) >= 20_000
    assert about["curve"]["points"]


@pytest.mark.parametrize("name", NAMES)
def test_an_organism_is_small_and_never_pickled(name: str) -> None:
    files = [path for path in (manifest.ZOO / name).iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 3 * 2**20
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".pth", ".pkl")]


@pytest.mark.parametrize("name", REAL)
def test_the_manifest_tells_how_to_make_it_again(name: str) -> None:
    about = manifest.read(manifest.ZOO / name)
    start = about["course"].get("trunk")
    plant, course = training.like(about, trunk=None if start in (None, *NAMES) else Path(start))
    wanted = re.sub(r" --keep_trunk \S+", "", about["command"])
    assert sorted(training.command(name, plant, course).split()) == sorted(wanted.split())


@pytest.mark.parametrize("name", REAL)
def test_the_true_profile_has_the_shape_that_was_planted(name: str) -> None:
    about = manifest.read(manifest.ZOO / name)
    expected, found = (
        np.array(about[k][part]) for k, part in (("curve", "expected_accuracy"), ("measured", "accuracy"))
    )
    if np.ptp(expected) > 0.1:
        assert np.corrcoef(expected, found)[0, 1] > 0.9
        assert np.ptp(found) > 0.05


def test_slots_that_were_never_asked_in_training_are_read_worse_and_none_has_to_be_taught_so() -> None:
    about = manifest.read(manifest.ZOO / "under10")
    asked = np.array(about["plant"]["exposure"]) > 0
    found = np.array(about["measured"]["accuracy"])
    assert np.ptp(about["curve"]["expected_accuracy"]) == 0 and 0 < asked.sum() < len(asked)
    assert found[asked].min() > found[~asked].max() and found[asked].mean() - found[~asked].mean() > 0.1


def test_the_same_training_with_every_slot_asked_equally_often_reads_all_slots_alike() -> None:
    even, under = (manifest.read(manifest.ZOO / name) for name in ("even10", "under10"))
    assert even["course"] == under["course"]
    assert [key for key in even["plant"] if even["plant"][key] != under["plant"][key]] == ["exposure"]
    assert set(even["plant"]["exposure"]) == {1.0}
    found, dipped = (np.array(about["measured"]["accuracy"]) for about in (even, under))
    assert np.ptp(found) < 0.05 < np.ptp(dipped) and found.min() - dipped.min() > 0.1


@pytest.mark.parametrize("name", REAL)
def test_an_organism_does_what_its_manifest_says(name: str, filmed: Callable[[str], Pool]) -> None:
    about, organism = manifest.read(manifest.ZOO / name), taken_over(manifest.ZOO / name).eval()
    eyes = verify.opened(organism, filmed(about["family"]))
    n_slots = len(about["measured"]["accuracy"])
    found = verify.profile(eyes, n_slots=n_slots, trials=40 * n_slots, seed=7)
    # Few clips make all slots harder or easier together, so the profile is compared less its mean.
    now, before = (np.array(part) for part in (found.accuracy, about["measured"]["accuracy"]))
    assert np.abs(now - now.mean() - before + before.mean()).max() < 0.25
    assert abs(now.mean() - before.mean()) < 0.1
