"""A decoder may hang, crash or eat memory: it is named, killed in time and replaced."""

import os
import signal
import subprocess
import sys
import time

import pytest

from vlbias.errors import DecodeError, UnknownName
from vlbias.videos.worker import Worker, module_of


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("while True: pass", "limit of 2 s"),
        ("ctypes.PyDLL(None).sleep(60)", "limit of 2 s"),
        ("print('frame 12 is bad', flush=True); time.sleep(60)", "limit of 2 s.*it said last: frame 12 is bad"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os.write(2, b'[h264 @ 0x55aa] broken\\n'); os._exit(3)", r"exit code 3; it said last: \[h264 @ \] broken"),
        ("raise TypeError('no such argument')", "exit code 1; it said last: TypeError: no such argument"),
        ("bytearray(1 << 40)", "memory"),
    ],
    ids=["loops", "sleeps with the interpreter's lock", "says and hangs", "crashes", "says and ends", "bug", "memory"],
)
def test_a_decoder_that_hangs_crashes_or_eats_memory_is_named_and_replaced(tmp_path, monkeypatch, body, reason):
    code = f"import ctypes, os, signal, time\ndef version(): return 'v'\ndef info(path):\n    {body}\n"
    (tmp_path / "bad_decoder.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with Worker("bad_decoder", time_limit_s=30) as worker:
        assert worker.version() == "v"
        worker.time_limit_s = 2
        began = time.monotonic()
        with pytest.raises(DecodeError, match=reason):
            worker.info(tmp_path)
        assert time.monotonic() - began < 15
        worker.time_limit_s = 30
        assert worker.version() == "v"
        child = worker._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(child, signal.SIG_DFL)


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="this system has no alarm")
def test_a_hanging_decoder_ends_by_itself_when_nobody_waits_for_it(tmp_path):
    (tmp_path / "bad_decoder.py").write_text("import ctypes\ndef version(): ctypes.PyDLL(None).sleep(100)\n")
    path = os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)])
    child = subprocess.Popen(
        [sys.executable, "-m", "vlbias.videos._child", "bad_decoder", str(4 << 30), "-3.5"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    with child:
        child.stdin.write(b'{"call": "version"}\n')
        child.stdin.flush()
        assert child.wait(30) == -signal.SIGALRM


def test_a_decoder_that_prints_does_not_spoil_the_replies(tmp_path, monkeypatch):
    (tmp_path / "loud_decoder.py").write_text("def version():\n    print('x' * 300_000)\n    return 'v'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Worker("loud_decoder") as worker:
        assert worker.version() == "v"


def test_an_unknown_decoder_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean decord"):
        module_of("decrod")
