"""The command line as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vlbias import cli

REPOSITORY = Path(__file__).parents[1]


def call(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of one command in this process."""
    try:
        cli.main(list(arguments))
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    out = capsys.readouterr()
    return code, out.out, out.err


def modules_after(*arguments: str) -> set[str]:
    """The top-level modules that a fresh process has loaded after a command."""
    text = (
        "import sys, json\nfrom vlbias import cli\n"
        f"try:\n    cli.main({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("ls", "tasks"), ("ls", "metrics"), ("run", "--help")])
def test_light_commands_import_no_torch(arguments: tuple[str, ...]) -> None:
    assert not modules_after(*arguments) & {"torch", "transformers", "cv2", "av", "matplotlib", "scipy"}


def test_dashes_and_underscores_are_alike() -> None:
    assert cli.underscored("--model-args=a-b=1") == "--model_args=a-b=1"
    assert cli.underscored("--dry-run") == "--dry_run"
    assert cli.underscored("-o") == "-o"
    assert cli.underscored("a-b") == "a-b"


@pytest.mark.parametrize("what", ["tasks", "models", "metrics", "debias", "decoders", "formats"])
def test_every_list_can_be_listed(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call("ls", what, capsys=capsys)
    assert code == 0
    assert out or what == "debias"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--tasks", "drwan", "--model", "scripted"), "did you mean drawn"),
        (("run", "--tasks", "drawn", "--model", "scriptd"), "did you mean scripted"),
        (("run", "--tasks", "drawn", "--model", "scripted", "--metrics", "curv"), "did you mean curve"),
        (("run", "--tasks", "drawn", "--model", "scripted", "--limit", "0"), "limit"),
        (("run", "--tasks", "drawn", "--model", "scripted", "--positions", "3,77"), "slots 0 to 9"),
        (("run", "--tasks", "drawn", "--model", "scripted", "--shard", "2/2"), "--shard"),
        (("run", "--tasks", "drawn", "--model", "scripted", "--frame_size", "big"), "--frame_size"),
        (("run", "--tasks", "drawn", "--model", "scripted", "--model_args", "acuracy=1"), "did you mean accuracy"),
        (("report", "nowhere"), "nowhere"),
        (("validate", "nowhere.yaml"), "nowhere.yaml"),
        (("compare", "nowhere"), "two or more"),
        (("ls", "taks"), "did you mean tasks"),
        (("import", "nowhere", "-o", "x"), "nowhere"),
    ],
)
def test_bad_input_is_one_clear_message_and_exit_code_2(
    arguments: tuple[str, ...],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = call(*arguments, capsys=capsys)
    assert code == 2
    assert says in err
    assert "Traceback" not in err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version", capsys=capsys)[1].startswith("vlbias 0.")
