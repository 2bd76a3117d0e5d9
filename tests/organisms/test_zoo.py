from pathlib import Path

import numpy as np
import pytest

from vlbias.disk import sha256_of_file
from vlbias.organisms import manifest, training

NAMES = manifest.known()


def test_the_zoo_has_the_organism_of_the_demo() -> None:
    assert "u10" in NAMES


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


@pytest.mark.parametrize("name", NAMES)
def test_the_true_profile_has_the_shape_that_was_planted(name: str) -> None:
    about = manifest.read(manifest.ZOO / name)
    expected, found = (
        np.array(about[k][part]) for k, part in (("curve", "expected_accuracy"), ("measured", "accuracy"))
    )
    assert np.abs(expected - found).max() < 0.2
    if np.ptp(expected) > 0.1:
        assert np.corrcoef(expected, found)[0, 1] > 0.95


def test_the_demo_organism_does_what_its_manifest_says(tmp_path: Path) -> None:
    folder = manifest.ZOO / "u10"
    measured = training.measure(folder, trials=1500, seed=7, scratch=tmp_path, say=[].append)
    assert training.disagreements(measured, manifest.read(folder)) == []
