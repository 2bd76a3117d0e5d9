"""A config says what was wrong, where, and what would be right."""

from pathlib import Path

import pytest

from vlbias import config
from vlbias.errors import BadConfig


def written(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text)
    return path


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "tasks: demo\nmodel: scripted\nseed: 3\n")
    assert config.load(path, {"seed": 5}).seed == 5
    assert config.load(path, {}).seed == 3


def test_model_arguments_of_the_file_do_not_reach_another_model(tmp_path: Path) -> None:
    path = written(tmp_path, "tasks: demo\nmodel: hf\nmodel_args: {pretrained: x}\n")
    assert config.load(path, {"model": "scripted"}).model_args == {}
    assert config.load(path, {"model_args": {"dtype": "float32"}}).model_args == {"pretrained": "x", "dtype": "float32"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tasks: demo\nmodle: hf\n", "did you mean .*model"),
        ("tasks: demo\nseed: -1\n", "seed"),
        ("tasks: demo\nbatch_size: 0\n", "batch_size"),
        ("tasks: demo\nmode: guess\n", "mode"),
        ("model: hf\n", "tasks"),
        ("tasks: [demo\n", "x.yaml"),
    ],
)
def test_a_bad_file_is_an_error_that_names_key_and_file(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadConfig, match=f"(?s)x.yaml.*{says}|{says}"):
        config.load(written(tmp_path, text), {})


def test_an_unknown_key_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="x.yaml:2"):
        config.load(written(tmp_path, "tasks: demo\nmodle: hf\n"), {})


def test_the_hash_tells_configs_apart(tmp_path: Path) -> None:
    first = config.load(None, {"tasks": "demo"})
    assert first.sha256 == config.load(None, {"tasks": "demo"}).sha256
    assert first.sha256 != config.load(None, {"tasks": "demo", "seed": 1}).sha256


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1,b=2.5,c=true,d=x/y", {"a": 1, "b": 2.5, "c": True, "d": "x/y"}),
        ('{"a": null, "b": "c=d"}', {"a": None, "b": "c=d"}),
        ("", {}),
    ],
)
def test_key_values_are_read(text: str, values: dict[str, object]) -> None:
    assert config.key_values(text, flag="--model_args") == values


@pytest.mark.parametrize("text", ["a", "=1", "{a: 1}"])
def test_what_is_not_key_values_is_named(text: str) -> None:
    with pytest.raises(BadConfig, match="--model_args"):
        config.key_values(text, flag="--model_args")
