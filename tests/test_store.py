import dataclasses
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlbias.answers import Answer, Asked, Audit, Failure, FrameAudit, Tally
from vlbias.errors import ConfigChanged, NotARun, RunLocked, RunRefused
from vlbias.estimates import Cost, RunInfo
from vlbias.records import Identity
from vlbias.rows import read_rows
from vlbias.store import Store, append_session, claim, cost, read, read_run, write_run

SESSION = {
    "wall_s": 2.0,
    "decode_s": 0.5,
    "model_s": 1.0,
    "n_forwards": 3,
    "n_tokens": 40,
    "n_clips_decoded": 5,
    "peak_memory_bytes": 100,
}
RESUME = """
import sys, time
from pathlib import Path
from vlbias.rows import decode
from vlbias.store import Store
folder, pause_s = Path(sys.argv[1]), float(sys.argv[2])
wanted = [decode(line) for line in (folder / "wanted.txt").read_bytes().splitlines()]
with Store(folder) as store:
    done = store.done()
    left = [o for o in wanted if o.asked.trial_id not in done]
    print("begin", flush=True)
    for start in range(0, len(left), 7):
        store.append(left[start : start + 7])
        print(*(o.asked.trial_id for o in left[start : start + 7]), sep="\\n", flush=True)
        time.sleep(pause_s)
"""


def asked(number: int, *, slot: int | None = 0) -> Asked:
    return Asked(
        trial_id=f"p{number}/s{slot}",
        probe_id=f"p{number}",
        cluster_id=f"c{number // 3}",
        background_ids=("b1", "b2"),
        task="colour",
        slot=slot,
        n_slots=3,
        n_options=4,
        gold=1,
        option_order=(2, 1, 0, 3),
    )


def answer(number: int, *, slot: int | None = 0, logprobs: tuple[float, ...] = (-1.5, -0.25, -2.0, -9.0)) -> Answer:
    frame = FrameAudit(
        segment_id="b1",
        media_sha256="a" * 64,
        frames_sha256=None,
        timestamps_s=(0.0, 0.1 + 0.2, 1 / 3),
        decoder="av",
        decoder_version="18",
    )
    audit = Audit(
        prompt_sha256=f"{number:064x}",
        segments=(frame,),
        segment_spans=((3, 9),),
        n_tokens=17,
        n_frames=3,
        batch_size=2,
    )
    return Answer(
        asked=asked(number, slot=slot),
        chosen=number % 4,
        logprobs=logprobs,
        level="exact",
        reply='A “quoted” {"row":1,"sha256":"x"}\n\u2028 réponse',
        audit=audit,
    )


def failure(number: int, *, slot: int | None = 0) -> Failure:
    return Failure(
        asked=asked(number, slot=slot), kind="decode", reason="no moov atom", path="clip 1.mp4", decoder="av"
    )


def fill(folder: Path, outcomes, *, shard=(0, 1), batch: int = 5) -> Path:
    claim(folder, config={"model": "m"}, config_sha256="1" * 64)
    with Store(folder, shard=shard) as store:
        for start in range(0, len(outcomes), batch):
            store.append(outcomes[start : start + batch])
    return store.path


# --- rows


def test_outcomes_come_back_as_they_went_in(tmp_path):
    tally = Tally(task="colour", slot=None, n_slots=3, right=4, wrong=1)
    rows = [answer(1), answer(1, slot=None), failure(2), tally]
    fill(tmp_path / "run", rows)
    found = read(tmp_path / "run")
    assert set(found.outcomes) == set(rows)
    assert (found.damaged, found.torn, found.set_aside) == (0, 0, 0)


def test_read_sorts_by_probe_and_slot_with_the_probe_alone_last(tmp_path):
    fill(tmp_path / "run", [answer(2, slot=None), answer(2, slot=1), answer(1, slot=2), answer(2, slot=0)])
    assert [(o.asked.probe_id, o.asked.slot) for o in read(tmp_path / "run").outcomes] == [
        ("p1", 2),
        ("p2", 0),
        ("p2", 1),
        ("p2", None),
    ]


def test_an_answer_beats_a_failure_and_the_last_answer_wins(tmp_path):
    later = dataclasses.replace(answer(1), chosen=3)
    fill(tmp_path / "run", [failure(2), answer(2), failure(2), answer(1), later])
    assert read(tmp_path / "run").outcomes == (later, answer(2))


def test_done_tells_answers_and_failures_of_every_shard(tmp_path):
    fill(tmp_path / "run", [answer(1)], shard=(0, 2))
    fill(tmp_path / "run", [failure(2)], shard=(1, 2))
    with Store(tmp_path / "run") as store:
        assert store.done() == {"p1/s0": answer(1), "p2/s0": failure(2)}


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(list(range(12))), of=st.integers(1, 4), batch=st.integers(1, 12))
def test_order_of_appending_and_number_of_shards_do_not_change_what_is_read(tmp_path_factory, order, of, batch):
    folder = tmp_path_factory.mktemp("runs")
    rows = [answer(n // 3, slot=n % 3) if n % 5 else failure(n // 3, slot=n % 3) for n in range(12)]
    fill(folder / "whole", rows)
    for shard in range(of):
        fill(folder / "parts", [rows[n] for n in order if n % of == shard], shard=(shard, of), batch=batch)
    assert read(folder / "parts") == read(folder / "whole")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_and_nothing_is_written(tmp_path, number):
    claim(tmp_path / "run", config={}, config_sha256="0")
    with Store(tmp_path / "run") as store:
        with pytest.raises(ValueError, match="trial p2/s0"):
            store.append([answer(1), answer(2, logprobs=(number, -1.0, -1.0, -1.0))])
        assert store.path.read_bytes() == b""


def test_every_line_is_strict_json(tmp_path):
    path = fill(tmp_path / "run", [answer(1), failure(2)])

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    for line in path.read_bytes().splitlines():
        assert set(json.loads(line, parse_constant=refuse)) == {"row", "sha256"}


def test_a_reply_with_half_a_character_is_stored(tmp_path):
    fill(tmp_path / "run", [dataclasses.replace(answer(1), reply="cut \ud83d")])
    assert read(tmp_path / "run").outcomes[0].reply == "cut \ufffd"


# --- damage


def test_a_line_torn_at_any_byte_costs_only_itself(tmp_path):
    rows = [answer(1), answer(2), failure(3)]
    path = fill(tmp_path / "run", rows)
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(start, len(whole)):
        path.write_bytes(whole[:cut])
        kept = rows if cut == len(whole) - 1 else rows[:2]
        before = read_rows(tmp_path / "run")
        assert list(before.outcomes) == kept
        assert before.torn == (start < cut < len(whole) - 1)
    with Store(tmp_path / "run") as store:
        assert set(store.done()) == {o.asked.trial_id for o in rows}


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_after_a_torn_line_the_store_goes_on_and_keeps_what_it_found(tmp_path, cut):
    path = fill(tmp_path / "run", [answer(1), answer(2)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with Store(tmp_path / "run") as store:
        assert ("p2/s0" in store.done()) == (cut == 1)
        store.append([answer(2), answer(3)])
    found = read(tmp_path / "run")
    assert found.outcomes == (answer(1), answer(2), answer(3))
    assert (found.damaged, found.torn, found.set_aside) == (0, 0, int(cut > 1))
    if cut > 1:
        note = json.loads(path.with_suffix(".damaged.jsonl").read_bytes())
        assert note["found"].encode() == whole[:-cut].splitlines()[1]
        assert note["line"] == 2


def test_three_hundred_flipped_bytes_are_all_found_and_cost_one_row_each(tmp_path):
    rows = [answer(n) for n in range(6)]
    path = fill(tmp_path / "run", rows)
    whole = path.read_bytes()
    chance = random.Random(5)
    inside = [k for k, byte in enumerate(whole) if byte != 10]
    for _ in range(300):
        place = chance.choice(inside)
        hurt = bytearray(whole)
        hurt[place] ^= 1 << chance.randrange(8)
        path.write_bytes(hurt)
        line = whole.count(b"\n", 0, place)
        found = read_rows(tmp_path / "run")
        assert found.damaged >= 1
        assert found.outcomes == tuple(rows[:line] + rows[line + 1 :])


def test_a_flipped_line_end_joins_two_rows_and_loses_none(tmp_path):
    rows = [answer(n) for n in range(3)]
    path = fill(tmp_path / "run", rows)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\n", b"\x0b", 1))
    found = read_rows(tmp_path / "run")
    assert (found.outcomes, found.damaged) == (tuple(rows), 1)
    with Store(tmp_path / "run"):
        assert path.read_bytes() == whole


def test_a_damaged_row_is_set_aside_and_its_trial_is_not_done(tmp_path):
    path = fill(tmp_path / "run", [answer(1), answer(2), answer(3)])
    path.write_bytes(path.read_bytes().replace(b'"probe_id":"p2"', b'"probe_id":"p9"'))
    with Store(tmp_path / "run") as store:
        assert set(store.done()) == {"p1/s0", "p3/s0"}
        store.append([answer(2)])
    found = read(tmp_path / "run")
    assert found.outcomes == (answer(1), answer(2), answer(3))
    assert (found.damaged, found.set_aside) == (0, 1)


def test_a_row_with_a_right_checksum_that_is_no_outcome_is_damage(tmp_path):
    path = fill(tmp_path / "run", [answer(1)])
    with Store(tmp_path / "run") as store:
        store.append([dataclasses.replace(answer(2), chosen="B"), dataclasses.replace(failure(3), kind="bored")])
    found = read(tmp_path / "run")
    assert (found.outcomes, found.damaged) == ((answer(1),), 2)
    assert path.read_bytes().count(b"\n") == 3


# --- kills and disks


def test_no_acknowledged_row_is_lost_by_a_kill_at_any_moment(tmp_path):
    chance = random.Random(11)
    rows = [answer(n) for n in range(2000)]
    claim(tmp_path / "run", config={}, config_sha256="0")
    folder = tmp_path / "run"
    (folder / "wanted.txt").write_bytes(b"".join(json.dumps(dataclasses.asdict(o)).encode() + b"\n" for o in rows))
    acknowledged: set[str] = set()
    for _ in range(20):
        writer = subprocess.Popen([sys.executable, "-c", RESUME, str(folder), "0.0005"], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"begin\n"
        time.sleep(chance.uniform(0.0, 0.06))
        writer.kill()
        said = writer.stdout.read().decode()
        writer.stdout.close()
        assert writer.wait() in (-signal.SIGKILL, 0)
        acknowledged |= set(said[: said.rfind("\n") + 1].split())
        found = read(folder)
        stored = [o.asked.trial_id for o in found.outcomes]
        assert acknowledged <= set(stored)
        assert found.damaged == 0
        assert (folder / "rows-0of1.jsonl").read_bytes().count(b"\n") == len(stored)
    assert acknowledged
    subprocess.run([sys.executable, "-c", RESUME, str(folder), "0"], check=True, stdout=subprocess.DEVNULL)
    assert set(read(folder).outcomes) == set(rows)
    assert (folder / "rows-0of1.jsonl").read_bytes().count(b"\n") == len(rows)


LIMITED = """
import resource, sys
from vlbias.errors import RunRefused
from vlbias.rows import decode
from vlbias.store import Store
rows = [decode(line) for line in open(sys.argv[1] + "/wanted.txt", "rb").read().splitlines()]
with Store(sys.argv[1]) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        for row in rows:
            store.append([row])
    except RunRefused as error:
        print(error)
"""


def test_a_write_that_does_not_fit_is_taken_back_and_the_message_counts_the_safe_rows(tmp_path):
    rows = [answer(n) for n in range(10)]
    folder = tmp_path / "run"
    claim(folder, config={}, config_sha256="0")
    (folder / "wanted.txt").write_bytes(b"".join(json.dumps(dataclasses.asdict(o)).encode() + b"\n" for o in rows))
    done = subprocess.run([sys.executable, "-c", LIMITED, str(folder), "3000"], capture_output=True, text=True)
    found = read(folder)
    assert (found.damaged, found.torn) == (0, 0)
    assert 0 < len(found.outcomes) < 10
    assert f"disk full at {folder / 'rows-0of1.jsonl'}" in done.stdout, done.stderr
    assert f"{len(found.outcomes)} rows of this file are safe" in done.stdout


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody may write")
def test_a_folder_that_cannot_be_written_is_refused_before_the_run():
    with pytest.raises(RunRefused, match="cannot write at /proc/vlbias"):
        claim("/proc/vlbias/run", config={}, config_sha256="0")


# --- one writer


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path):
    claim(tmp_path / "run", config={}, config_sha256="0")
    with Store(tmp_path / "run"), pytest.raises(RunLocked, match=f"process {os.getpid()} on "):
        Store(tmp_path / "run").__enter__()
    with Store(tmp_path / "run") as store:
        store.append([answer(1)])
    assert not list((tmp_path / "run").glob("*.lock"))


def test_two_shards_of_one_split_write_together_and_another_split_is_refused(tmp_path):
    claim(tmp_path / "run", config={}, config_sha256="0")
    with Store(tmp_path / "run", shard=(0, 2)) as one, Store(tmp_path / "run", shard=(1, 2)) as two:
        one.append([answer(1)])
        two.append([answer(2)])
        with pytest.raises(RunLocked, match="another number of shards"):
            Store(tmp_path / "run").__enter__()
    assert len(read(tmp_path / "run").outcomes) == 2


def test_a_store_that_is_not_open_refuses_to_write(tmp_path):
    claim(tmp_path / "run", config={}, config_sha256="0")
    with pytest.raises(ValueError, match="not open"):
        Store(tmp_path / "run").append([answer(1)])


# --- the folder and its records


def test_another_config_is_refused_key_by_key(tmp_path):
    old = {"model": {"name": "a", "dtype": "bf16"}, "seed": 1, "gone": True}
    new = {"model": {"name": "b", "dtype": "bf16"}, "seed": 1, "fresh": [1]}
    claim(tmp_path / "run", config=old, config_sha256="0")
    claim(tmp_path / "run", config=old, config_sha256="0")
    with pytest.raises(ConfigChanged) as refused:
        claim(tmp_path / "run", config=new, config_sha256="1")
    assert str(refused.value).splitlines()[1:] == [
        "  fresh: (absent) -> [1]",
        "  gone: true -> (absent)",
        '  model.name: "a" -> "b"',
        "give another --output_path, or the same config",
    ]


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(NotARun, match="thesis.tex"):
        claim(tmp_path, config={}, config_sha256="0")
    with pytest.raises(NotARun, match="no config.json, no run.json and no rows"):
        read(tmp_path)
    with pytest.raises(NotARun, match="no such folder"):
        read(tmp_path / "absent")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def run_info(**changes) -> RunInfo:
    spent = Cost(
        wall_s=1.5,
        decode_s=0.5,
        model_s=1.0,
        n_forwards=2,
        n_tokens=3,
        n_clips_decoded=4,
        peak_memory_bytes=None,
        sessions=1,
    )
    info = RunInfo(
        run_name="first",
        created_utc="2026-11-23T00:00:00Z",
        finished_utc=None,
        config={"seed": 1, "deep": {"list": [1, None]}},
        config_sha256="0",
        suite={"name": "s"},
        suite_sha256="1",
        identity=Identity(adapter="hf", name="m", n_parameters=7),
        versions={"vlbias": "0.1.0"},
        machine={"cpu": "x"},
        command="vlbias run",
        canary="passed",
        cost=spent,
        n_asked=9,
        notes=("one",),
    )
    return dataclasses.replace(info, **changes)


def test_the_record_of_a_run_comes_back_as_it_went_in(tmp_path):
    write_run(tmp_path, run_info())
    write_run(tmp_path, run_info(n_asked=10))
    assert read_run(tmp_path) == run_info(n_asked=10)
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_a_record_of_a_newer_or_damaged_run_is_refused(tmp_path):
    write_run(tmp_path, run_info(schema_version=2))
    with pytest.raises(NotARun, match="schema_version 2 is newer than 1"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"schema_version": 1, "run_name": 3}')
    with pytest.raises(NotARun, match="run_name"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"schema_')
    with pytest.raises(NotARun, match="not JSON"):
        read_run(tmp_path)


def test_the_cost_is_the_sum_of_the_sessions_that_were_recorded(tmp_path):
    claim(tmp_path, config={}, config_sha256="0")
    assert cost(tmp_path).sessions == 0
    append_session(tmp_path, {**SESSION, "peak_memory_bytes": None})
    with (tmp_path / "sessions.jsonl").open("ab") as file:
        file.write(b'{"row":{"wall_s":9')
    append_session(tmp_path, {**SESSION, "device": "cpu"})
    assert cost(tmp_path) == Cost(
        wall_s=4.0,
        decode_s=1.0,
        model_s=2.0,
        n_forwards=6,
        n_tokens=80,
        n_clips_decoded=10,
        peak_memory_bytes=100,
        sessions=2,
    )


def test_a_session_without_its_cost_is_refused(tmp_path):
    with pytest.raises(ValueError, match="decode_s, model_s"):
        append_session(tmp_path, {"wall_s": 1.0})


def test_a_run_that_broke_off_before_any_row_leaves_the_folder_to_another_config(tmp_path: Path) -> None:
    claim(tmp_path / "run", config={"model": "typo"}, config_sha256="0")
    with pytest.raises(KeyError), Store(tmp_path / "run"):
        raise KeyError("the model cannot be loaded")
    claim(tmp_path / "run", config={"model": "right"}, config_sha256="1")
    with pytest.raises(KeyError), Store(tmp_path / "run") as store:
        store.append([answer(1)])
        raise KeyError("interrupted")
    with pytest.raises(ConfigChanged):
        claim(tmp_path / "run", config={"model": "typo"}, config_sha256="0")
    assert len(read(tmp_path / "run").outcomes) == 1
