"""Every file of every room is found by its name and holds its room's contract."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

from vlbias import rooms
from vlbias.errors import UnknownName

CONTRACTS = {
    "metrics": ("measure",),
    "models": ("load",),
    "reports": (),
    "formats": (),
    "probes": ("Suite", "probes", "trials"),
}
DECODER = ("version", "info", "frames")
FILES = [(room, name) for room in CONTRACTS for name in rooms.names(room)]


@pytest.mark.parametrize(("room", "name"), FILES)
def test_a_file_holds_its_rooms_contract(room: str, name: str) -> None:
    module = rooms.find(room, name)
    assert all(hasattr(module, part) for part in CONTRACTS[room])
    assert module.__doc__


@pytest.mark.parametrize("name", rooms.names("videos", prefix="decode_"))
def test_a_decoder_file_holds_the_decoders_contract(name: str) -> None:
    # Read and not imported: a decoder's library may be absent.
    text = (Path(rooms.__file__).parent / "videos" / f"decode_{name}.py").read_text()
    assert set(DECODER) <= {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}


def test_a_misspelt_name_is_told_its_neighbours() -> None:
    with pytest.raises(UnknownName, match="did you mean scripted"):
        rooms.find("models", "scriptd")


def test_underscored_files_are_not_names() -> None:
    assert not [name for room in CONTRACTS for name in rooms.names(room) if name.startswith("_")]


def test_data_folders_hold_what_the_demo_needs() -> None:
    assert (rooms.data("configs") / "demo.yaml").is_file()
    assert list(rooms.data("probes").glob("*.yaml"))


SPINE = [path.stem for path in sorted((Path(rooms.__file__).parent).glob("*.py")) if not path.stem.startswith("__")]


@pytest.mark.parametrize("name", SPINE)
def test_examples_in_docstrings_are_true(name: str) -> None:
    failures, _ = doctest.testmod(importlib.import_module(f"vlbias.{name}"))
    assert failures == 0
