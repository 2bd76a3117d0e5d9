import json
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from vlbias import locks
from vlbias.errors import RunLocked
from vlbias.locks import Lock, held, holder

HOLD = """
import sys, time
from pathlib import Path
from vlbias.locks import Lock
Lock(Path(sys.argv[1]), command="the first run").acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other_process(tmp_path):
    path = tmp_path / "rows.lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process, path
    process.kill()
    process.stdout.close()
    process.wait()


def test_a_lock_of_a_live_process_is_refused_and_names_it(other_process):
    process, path = other_process
    with pytest.raises(RunLocked, match=f"process {process.pid} on {socket.gethostname()}, started .*: the first run"):
        Lock(path, command="second").acquire()
    assert held(path)


def test_a_lock_of_a_killed_process_is_taken_over(other_process):
    process, path = other_process
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists()
    assert not held(path)
    lock = Lock(path, command="second")
    lock.acquire()
    found = holder(path)
    assert found is not None
    assert (found.pid, found.command) == (os.getpid(), "second")
    lock.release()
    assert not path.exists()


@pytest.fixture
def no_flock(monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)


def signed(path, **changes):
    me = psutil.Process()
    text = {"pid": me.pid, "host": socket.gethostname(), "started_s": me.create_time(), "command": "first"}
    path.write_text(json.dumps({**text, **changes}))


def test_without_flock_a_live_holder_is_refused(tmp_path, no_flock):
    first = Lock(tmp_path / "rows.lock", command="first")
    first.acquire()
    assert held(first.path)
    with pytest.raises(RunLocked, match=f"process {os.getpid()}"):
        Lock(first.path, command="second").acquire()
    first.release()
    assert not held(first.path)


def test_without_flock_a_dead_holder_is_replaced_and_one_on_another_host_is_not(tmp_path, no_flock):
    path = tmp_path / "rows.lock"
    signed(path, started_s=1.0)  # the process id was given again
    lock = Lock(path, command="second")
    lock.acquire()
    lock.release()
    signed(path, started_s=1.0, host="elsewhere")
    with pytest.raises(RunLocked, match="elsewhere"):
        Lock(path, command="third").acquire()
