"""A small suite of items over real files: the folder of a user who writes a suite by hand."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
