"""A run from the plan to the rows: complete, resumable, and honest about what failed."""

import importlib.util
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vlbias import cli, scoring, session
from vlbias.answers import Answer
from vlbias.config import RunConfig
from vlbias.errors import ConfigChanged
from vlbias.estimates import Estimate
from vlbias.plan import plan
from vlbias.session import ask
from vlbias.store import read

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLBIAS_CACHE_DIR", str(tmp_path / "cache"))


def config(**values: object) -> RunConfig:
    given = {"tasks": "drawn", "model": "scripted", "limit": "12", "batch_size": 7, **values}
    return RunConfig(**given)  # type: ignore[arg-type]


def rows(folder: Path) -> list[bytes]:
    return sorted(line for path in folder.glob("rows-*of[0-9].jsonl") for line in path.read_bytes().splitlines())


def find(estimates: object, metric: str) -> Estimate:
    (found,) = [e for e in estimates if e.metric == metric and e.task == "all" and e.slot is None]  # type: ignore[attr-defined]
    return found


def test_every_trial_has_one_row(tmp_path: Path) -> None:
    one = config()
    made = plan(one)
    ask(one, made, folder=tmp_path / "run")
    outcomes = read(tmp_path / "run").outcomes
    assert sorted(o.asked.trial_id for o in outcomes) == sorted(t.trial_id for t in made.trials)


@pytest.fixture
def counts(monkeypatch) -> list[tuple[int, int]]:  # type: ignore[no-untyped-def]
    """For each session asked: how many segments were decoded, and how many were encoded."""
    found, ask_all = [], session.ask_all

    def counted(plan, asking, store, **given):  # type: ignore[no-untyped-def]
        features, before = asking.model.sharing.features, asking.reader.n_decoded
        encoded = features.n_made
        spent = ask_all(plan, asking, store, **given)
        found.append((asking.reader.n_decoded - before, features.n_made - encoded))
        return spent

    monkeypatch.setattr(session, "ask_all", counted)
    return found


def test_a_whole_run_decodes_and_encodes_every_clip_exactly_once(tmp_path: Path, counts) -> None:
    one = RunConfig(tasks="demo", model="hf", model_args={"pretrained": "organism:u10", "dtype": "float32"}, limit="4")
    made = plan(one)
    ask(one, made, folder=tmp_path / "run")
    clips = {s.segment_id for t in made.trials for s in t.segments}
    assert counts == [(len(clips), len(clips))]
    assert sum(len(t.segments) for t in made.trials) > 10 * len(clips)


def test_a_second_session_asks_nothing_and_changes_no_row(tmp_path: Path) -> None:
    one = config()
    ask(one, plan(one), folder=tmp_path / "run")
    before = rows(tmp_path / "run")
    info = ask(one, plan(one), folder=tmp_path / "run")
    assert rows(tmp_path / "run") == before
    assert info.cost.sessions == 2


def test_a_lost_row_is_asked_again_and_comes_out_the_same(tmp_path: Path) -> None:
    one = config()
    ask(one, plan(one), folder=tmp_path / "run")
    before = rows(tmp_path / "run")
    path = tmp_path / "run" / "rows-0of1.jsonl"
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(kept[:5] + kept[6:-1]) + kept[-1][:40])
    ask(one, plan(one), folder=tmp_path / "run")
    assert rows(tmp_path / "run") == before


def test_another_config_in_the_same_folder_is_refused_with_the_difference(tmp_path: Path) -> None:
    ask(config(), plan(config()), folder=tmp_path / "run")
    other = config(seed=1)
    with pytest.raises(ConfigChanged, match="seed"):
        ask(other, plan(other), folder=tmp_path / "run")


def test_shards_end_with_the_same_rows_as_one_process(tmp_path: Path) -> None:
    one = config()
    ask(one, plan(one), folder=tmp_path / "whole")
    for k in range(3):
        ask(one, plan(one, shard=(k, 3)), folder=tmp_path / "parts", shard=(k, 3))

    def told(folder: Path) -> list[tuple[str, int | None, tuple[float, ...] | None]]:
        found = [o for o in read(folder).outcomes if isinstance(o, Answer)]
        return [(o.asked.trial_id, o.chosen, o.logprobs) for o in found]

    assert told(tmp_path / "parts") == told(tmp_path / "whole")


def test_refusals_are_failures_and_not_wrong_answers(tmp_path: Path) -> None:
    one = config(model_args={"accuracy": 1.0, "refusals": 0.3})
    ask(one, plan(one), folder=tmp_path / "run")
    outcomes = read(tmp_path / "run").outcomes
    assert {o.kind for o in outcomes if o.row == "failure"} == {"refused"}
    assert all(o.correct for o in outcomes if isinstance(o, Answer))


def test_generated_answers_are_parsed_and_marked(tmp_path: Path) -> None:
    one = config(mode="generate", model_args={"accuracy": 1.0, "phrase": "sentence"})
    ask(one, plan(one), folder=tmp_path / "run")
    answers = [o for o in read(tmp_path / "run").outcomes if isinstance(o, Answer)]
    assert answers
    assert all(o.correct and o.level == "generated" and o.logprobs is None for o in answers)


def test_a_flat_model_is_reported_as_none(tmp_path: Path) -> None:
    one = config(limit=None, model_args={"accuracy": 0.75, "noise": "shared"}, batch_size=110)
    ask(one, plan(one), folder=tmp_path / "run")
    assert find(scoring.report(tmp_path / "run", metrics=["shape"]).estimates, "shape").label == "none"


@pytest.mark.parametrize(
    ("profile", "label"),
    [
        ("1:.9:.8:.7:.65:.6:.55:.5:.45:.4", "head"),
        (".4:.45:.5:.55:.6:.65:.7:.8:.9:1", "neighbour"),
        ("1:.9:.7:.5:.4:.4:.5:.7:.9:1", "U"),
        (".4:.5:.7:.9:1:1:.9:.7:.5:.4", "inverted U"),
    ],
)
def test_a_planted_shape_is_recovered(tmp_path: Path, profile: str, label: str) -> None:
    one = config(limit="240", model_args={"profile": profile}, batch_size=110)
    ask(one, plan(one), folder=tmp_path / "run")
    assert find(scoring.report(tmp_path / "run", metrics=["shape"]).estimates, "shape").label == label


def test_a_run_killed_at_random_moments_ends_with_the_rows_of_an_undisturbed_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vlbias", "run", "--tasks", "drawn", "--model", "scripted", "--limit", "150"]
    command += ["--batch_size", "3", "--metrics", "flips", "--display", "none", "--output_path"]
    rng = np.random.default_rng(0)
    for _ in range(6):
        process = subprocess.Popen([*command, str(tmp_path / "killed")], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        wait_for_rows(tmp_path / "killed" / "rows-0of1.jsonl", process)
        time.sleep(float(rng.uniform(0, 0.4)))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, str(tmp_path / "killed")], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    one = config(limit="150", batch_size=3, metrics=("flips",))
    ask(one, plan(one), folder=tmp_path / "whole")
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")


def wait_for_rows(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the process has begun to write, or has ended."""
    before = path.stat().st_size if path.exists() else 0
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if path.exists() and path.stat().st_size > before:
            return
        time.sleep(0.01)


def test_the_command_ends_with_a_table_and_the_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["run", "--tasks", "drawn", "--model", "scripted", "--limit", "24", "-o", str(tmp_path / "run")])
    out = capsys.readouterr().out
    assert "report.html" in out
    assert "accuracy" in out.lower()
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000


def test_every_row_tells_how_full_the_window_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted model has no window; one is put in place of none."""
    one = config(limit="1")
    ask(one, plan(one), folder=tmp_path / "without")
    assert {o.audit.fill_ratio for o in read(tmp_path / "without").outcomes} == {None}
    loaded = session.load

    def with_window(given: RunConfig) -> object:
        model = loaded(given)
        model.identity = replace(model.identity, context_window=110)
        return model

    monkeypatch.setattr(session, "load", with_window)
    ask(one, plan(one), folder=tmp_path / "with")
    ratios = {o.audit.fill_ratio for o in read(tmp_path / "with").outcomes}
    assert ratios == {o.audit.n_tokens / 110 for o in read(tmp_path / "with").outcomes} and max(ratios) == 0.1


GRID = """
name: tiny
kind: grid
version: 1
description: x
licence: x
rows: 2
columns: 2
prompt: {style: letters}
source: {drawn: {items: 4, seed: 3, size_px: [56, 56], distractors: 2}}
"""


@pytest.fixture(scope="module")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Qwen2-VL that can write letters, made by the builder that the tests of the adapter use."""
    path = Path(__file__).parent / "models" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_families", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model, reader = module.qwen("qwen2_vl")
    folder = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(folder)
    reader.save_pretrained(folder)
    return folder


def test_a_grid_decodes_and_encodes_every_distinct_image_once(tmp_path: Path, tiny_vlm: Path, counts) -> None:
    (tmp_path / "tiny.yaml").write_text(GRID)
    arguments = {"pretrained": str(tiny_vlm), "dtype": "float32"}
    one = RunConfig(tasks="tiny", model="hf", model_args=arguments, option_orders="cyclic")
    made = plan(one, include=[tmp_path])
    ask(one, made, folder=tmp_path / "run")
    images = {t.segments[0] for t in made.trials}
    assert counts == [(len(images), len(images))] == [(2 * 4 * 4,) * 2]
    assert len(made.trials) == 2 * len(images)
    assert all(isinstance(o, Answer) for o in read(tmp_path / "run").outcomes)
