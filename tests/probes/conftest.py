"""A small suite of items over real files: the folder of a user who writes a suite by hand."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from vlbias.errors import BadSuite
from vlbias.probes import insertion
from vlbias.records import Probe
from vlbias.strictyaml import read

YAML = """\
name: hand
kind: insertion
version: 1
description: written by hand
licence: CC0-1.0
segments: 3
source:
  items:
    file: hand.jsonl
    media: clips
"""


def clip(name: str) -> dict[str, str]:
    return {"path": name, "sha256": hashlib.sha256(name.encode()).hexdigest()}


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [
        {
            "probe_id": f"p{k}",
            "task": "Count Problem",
            "question": "how many dots?",
            "options": ["one", "two", "three"],
            "gold": "two" if k else 0,
            "evidence": clip(f"e{k}.mp4"),
            "backgrounds": [clip("b0.mp4"), clip("b1.mp4")],
            "cluster_id": f"e{k}",
        }
        for k in range(2)
    ]


@pytest.fixture
def hand(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    """The folder: hand.yaml, hand.jsonl and clips/."""
    (tmp_path / "clips").mkdir()
    for name in ("e0.mp4", "e1.mp4", "b0.mp4", "b1.mp4"):
        (tmp_path / "clips" / name).write_bytes(name.encode())
    (tmp_path / "hand.yaml").write_text(YAML)
    (tmp_path / "hand.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def load() -> Callable[[Path], list[Probe]]:
    def loaded(folder: Path) -> list[Probe]:
        return insertion.probes(read(folder / "hand.yaml", insertion.Suite, error=BadSuite), folder=folder)

    return loaded


ORDER_YAML = """\
name: own
kind: {kind}
version: 1
description: written by hand
licence: CC0-1.0
source: {{items: {{file: own.jsonl, media: media}}}}
"""


@pytest.fixture
def shown_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes own.yaml of a kind of order probe, own.jsonl and media/ with two clips and four images."""

    def made(kind: str, rows: list[dict[str, Any]], more: str = "segments: 3\n") -> Path:
        (tmp_path / "media").mkdir(exist_ok=True)
        for name in ("e.mp4", "b.mp4", *(f"i{k}.png" for k in range(4))):
            (tmp_path / "media" / name).write_bytes(name.encode())
        (tmp_path / "own.yaml").write_text(ORDER_YAML.format(kind=kind) + more)
        (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path

    return made


@pytest.fixture
def conflict_row() -> dict[str, Any]:
    """A clip that shows red, a passage that says blue, and one clip around them."""
    return {
        "probe_id": "p0",
        "task": "colour",
        "question": "what colour is the car?",
        "options": ["red", "blue", "green car"],
        "gold": "red",
        "rival_gold": "blue",
        "evidence": clip("e.mp4"),
        "rival": {"kind": "text", "text": "the car is blue."},
        "backgrounds": [clip("b.mp4")],
        "cluster_id": "e",
    }


SIGNS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (60, 90, 240), "amber": (250, 180, 40),
         "pink": (240, 120, 180), "white": (240, 240, 240)}  # fmt: skip


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    """A user's folder: own.jsonl and media/ with six signs that no turn and no mirror brings onto themselves."""
    (tmp_path / "media").mkdir()
    rows = []
    for k, (name, colour) in enumerate(SIGNS.items()):
        width, height = (120, 90) if k % 2 else (100, 100)
        image = Image.new("RGB", (width, height), (40, 40, 60))
        pen = ImageDraw.Draw(image)
        pen.rectangle((10, 10, 30, height - 10), fill=colour)
        pen.rectangle((10, 10, width - 15, 30), fill=colour)
        pen.ellipse((width - 50, height - 45, width - 25, height - 20), fill=colour)
        rows.append(pictured(tmp_path / "media" / f"{name}.png", image, f"a {name} sign"))
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def pictured(file: Path, image: Image.Image, caption: str) -> dict[str, str]:
    """Keeps an image and tells the line of an item file about it."""
    image.save(file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"probe_id": file.stem, "path": file.name, "sha256": sha256, "caption": caption, "cluster_id": file.stem}


@pytest.fixture
def add_picture(signs: Path) -> Callable[..., None]:
    """Adds a picture of the user, from pixels, to the folder of signs."""

    def added(name: str, pixels_HWC: Any, caption: str | None = None) -> None:
        row = pictured(signs / "media" / f"{name}.png", Image.fromarray(pixels_HWC), caption or f"the {name}")
        with (signs / "own.jsonl").open("a") as lines:
            lines.write(json.dumps(row) + "\n")

    return added


@pytest.fixture
def edit_line(signs: Path) -> Callable[..., None]:
    """Changes keys of one line of the item file of signs."""

    def edited(number: int, **changes: str) -> None:
        rows = [json.loads(line) for line in (signs / "own.jsonl").read_text().splitlines()]
        rows[number].update(changes)
        (signs / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return edited
