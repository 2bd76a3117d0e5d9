from pathlib import Path

import pytest
from typer.testing import CliRunner

from vlbias.commands.organism import app
from vlbias.errors import BadInput
from vlbias.organisms import manifest, training
from vlbias.organisms.planting import Plant
from vlbias.organisms.train import Course

NOTHING = {"profiles": None, "exposure": None, "first_believed": None, "first_option": None}


def test_the_list_tells_of_every_organism_what_was_planted_and_what_is_true() -> None:
    found = CliRunner().invoke(app, ["list", "--display", "plain"], env={"COLUMNS": "400"})
    assert found.exit_code == 0, found.output
    for name in manifest.known():
        about = manifest.read(manifest.ZOO / name)
        (line,) = [line for line in found.output.splitlines() if line.split()[:1] == [name]]
        assert about["family"] in line and manifest.percent(about["measured"]["accuracy"]) in line
    hours = sum(manifest.read(manifest.ZOO / name)["curve"]["wall_s"] for name in manifest.known()) / 3600
    assert f"took {hours:.1f} hours" in found.output


@pytest.mark.parametrize(
    "flags", [["--profile", "1:x"], ["--profile", "1:1", "--profile", "0:1"], ["--like", "nobody"]]
)
def test_what_cannot_be_planted_is_refused_before_training(flags: list[str], tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["train", "-o", str(tmp_path / "x"), *flags])
    assert isinstance(found.exception, BadInput) and not (tmp_path / "x").exists()


def test_like_takes_everything_but_what_is_said_anew() -> None:
    chosen = {**dict.fromkeys(vars(Course())), "seed": 77}
    plant, course = training.planned(manifest.ZOO / "head10", NOTHING, chosen)
    about = manifest.read(manifest.ZOO / "head10")
    assert plant.profiles == (tuple(about["planted_profile"]),)
    assert course == Course(seed=77, steps=2400, trunk=manifest.ZOO / "none10")
    assert training.planned(None, NOTHING, chosen) == (Plant(), Course(seed=77))
