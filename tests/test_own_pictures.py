"""What docs/spatial.md says of a user's own pictures, done: its script, its suite, every kind of its table."""

import importlib.util
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from vlbias.answers import Answer
from vlbias.cli import app
from vlbias.config import RunConfig
from vlbias.errors import BadInput
from vlbias.plan import plan
from vlbias.session import ask
from vlbias.store import read

SECTION = (
    (Path(__file__).parents[1] / "docs" / "spatial.md").read_text().split("## Your own pictures")[1].split("\n## ")[0]
)
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", SECTION, flags=re.M)]
LEAST = {kind: int(n) for kind, n in re.findall(r"^\| `(\w+)` \|[^|]*\| (\d+) \|", SECTION, flags=re.M)}
NAMES = ("red_mug", "green_bag", "blue_hat", "old_shoe", "tin_cup", "big_key", "wet_dog", "fat_cat", "tall_jar",
         "odd_sock", "dry_leaf", "raw_egg", "new_coin")  # fmt: skip


def block(word: str) -> str:
    (found,) = (b for b in BLOCKS if word in b)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirteen pictures without symmetry, and the item file that the script of the page writes."""
    monkeypatch.setenv("VLBIAS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "media").mkdir()
    for k, name in enumerate(NAMES):
        image = Image.new("RGB", (100, 80 + k), (30, 30, 50))
        pen, colour = ImageDraw.Draw(image), (255 - 18 * k, 60 + 14 * k, (90 * k) % 256)
        pen.rectangle((8, 8, 30, 70), fill=colour)
        pen.rectangle((8, 8, 80, 24), fill=colour)
        pen.ellipse((60, 50, 76, 66), fill=colour)
        image.save(tmp_path / "media" / f"{name}.png")
    written = subprocess.run(
        [sys.executable, "-c", block("hashlib")], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    (tmp_path / "own.jsonl").write_text(written.stdout)
    return tmp_path


def suite_of(kind: str, folder: Path, *, first: int = len(NAMES)) -> str:
    """The page's suite with another kind, over the first pictures."""
    suite = yaml.safe_load(block("kind: grid")) | {"kind": kind, "name": f"own-{kind}"}
    (folder / "own.jsonl").write_text("".join((folder / "own.jsonl").read_text().splitlines(keepends=True)[:first]))
    (folder / f"{kind}.yaml").write_text(yaml.safe_dump(suite))
    return str(folder / f"{kind}.yaml")


def test_the_page_tells_of_all_kinds_and_its_line_is_what_its_script_writes(folder: Path) -> None:
    assert set(LEAST) == {"grid", "canvas", "needle", "detection", "threecell", "rotation", "relations"}
    shown = yaml.safe_load(block('"probe_id": "red_mug"'))
    written = [yaml.safe_load(line) for line in (folder / "own.jsonl").read_text().splitlines()]
    (mug,) = (line for line in written if line["probe_id"] == "red_mug")
    assert {**mug, "sha256": shown["sha256"]} == shown and len(written) == len(NAMES)


@pytest.mark.parametrize("kind", LEAST)
def test_every_kind_takes_the_pictures_and_says_when_they_are_one_too_few(kind: str, folder: Path) -> None:
    asked = plan(RunConfig(tasks=suite_of(kind, folder), model="scripted"))
    assert {p.cluster_id for p in asked.probes} == set(NAMES) and all(
        t.segments[0].scenes[0].pictures for t in asked.trials
    )
    plan(RunConfig(tasks=suite_of(kind, folder, first=LEAST[kind]), model="scripted"))
    with pytest.raises(BadInput):
        plan(RunConfig(tasks=suite_of(kind, folder, first=LEAST[kind] - 1), model="scripted"))


@pytest.mark.parametrize(("kind", "limit"), [("rotation", "0-9"), ("threecell", "3"), ("relations", "8")])
def test_a_suite_of_own_pictures_goes_from_the_command_line_to_its_report(kind: str, limit: str, folder: Path) -> None:
    flags = ["run", "--tasks", suite_of(kind, folder, first=4), "--model", "scripted", "--limit", limit]
    tried = CliRunner().invoke(app, [*flags, "--dry_run"])
    assert tried.exit_code == 0 and f"suite own-{kind}: " in tried.output and not (folder / "run").exists()
    done = CliRunner().invoke(app, [*flags, "-o", str(folder / "run"), "--display", "plain"])
    assert done.exit_code == 0, done.output
    outcomes = read(folder / "run").outcomes
    assert outcomes and all(isinstance(o, Answer) and o.chosen is not None for o in outcomes)
    assert f"own-{kind}" in (folder / "run" / "report.html").read_text() and (folder / "run" / "card.md").is_file()


@pytest.fixture(scope="module")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Qwen2-VL that can write letters, made by the builder that the tests of the adapter use."""
    spec = importlib.util.spec_from_file_location("tiny_families", Path(__file__).parent / "models" / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("tiny")
    for part in module.qwen("qwen2_vl"):
        part.save_pretrained(folder)
    return folder


def test_a_vlm_is_asked_about_own_pictures_and_every_prompt_has_an_answer(folder: Path, tiny_vlm: Path) -> None:
    one = RunConfig(
        tasks=suite_of("threecell", folder, first=4),
        model="hf",
        model_args={"pretrained": str(tiny_vlm), "dtype": "float32"},
        limit="2",
    )
    asked = plan(one)
    ask(one, asked, folder=folder / "run")
    found = [o for o in read(folder / "run").outcomes if isinstance(o, Answer) and o.logprobs]
    assert len(found) == len(asked.trials) == len({o.audit.segments[0].frames_sha256 for o in found}) == 2 * 9


def test_validate_tells_that_a_suite_of_own_pictures_is_sound_and_what_is_wrong_with_one(folder: Path) -> None:
    path = suite_of("rotation", folder)
    done = CliRunner().invoke(app, ["validate", path])
    assert done.exit_code == 0 and "sound: suite own-rotation, 520 probes, 13 clusters, 520 trials" in done.output
    Path(path).write_text(Path(path).read_text().replace("pictures:", "photos:"))
    done = CliRunner().invoke(app, ["validate", path])
    assert done.exit_code != 0 and "photos" in f"{done.output}{done.exception}"
