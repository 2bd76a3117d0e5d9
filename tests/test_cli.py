"""The command line as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vlbias import cli, job

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
        (
            ("run", "--tasks", "drawn", "--model", "scripted", "--gen_kwargs", "temprature=0"),
            "did you mean temperature",
        ),
        (("run", "--tasks", "drawn", "--model", "scripted", "--gen_kwargs", "temperature=0.7"), "greedy"),
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


def test_a_launcher_names_the_shard_and_it_is_said_aloud(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ("run", "--tasks", "drawn", "--model", "scripted", "--limit", "8", "--dry_run")
    whole = call(*plan, capsys=capsys)
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    part = call(*plan, capsys=capsys)
    assert "shard 1/4, as SLURM_PROCID and SLURM_NTASKS say" in part[2] and part[1] != whole[1]
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "shard 0/2, as RANK and WORLD_SIZE say" in call(*plan, capsys=capsys)[2]
    told = call(*plan, "--shard", "0/1", capsys=capsys)
    assert told[1] == whole[1] and "shard" not in told[2]
    monkeypatch.setenv("RANK", "2")
    assert call(*plan, capsys=capsys)[0] == 2


def test_generation_flags_of_other_harnesses_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    given = job._parsed({"gen_kwargs": "max_gen_toks=5,temperature=0,do_sample=False"})
    assert given == {"max_new_tokens": 5}
    assert call("run", "--help", capsys=capsys)[1].count("--log_samples") >= 1


def test_foreign_counts_give_the_published_numbers_with_intervals_not_available(
    awkward_data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = str(tmp_path / "run")
    assert (
        call(
            "import", "--format", "levelgauge", str(awkward_data / "levelgauge_example_acc"), "-o", run, capsys=capsys
        )[0]
        == 0
    )
    code, out, _ = call("report", run, "--display", "plain", capsys=capsys)
    assert code == 0
    assert "Pran 12.4, Pvar 11.7, Pmean 89.6, CM 115.864, MR U-shaped" in out
    assert "not available" in out and (tmp_path / "run" / "report.txt").is_file()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version", capsys=capsys)[1].startswith("vlbias 0.")
