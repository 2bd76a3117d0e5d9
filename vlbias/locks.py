"""One writer per rows file: a lock that names its holder and ends with it, however it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import psutil

from vlbias.errors import RunLocked

try:
    import fcntl
except ImportError:  # Windows has no flock; the process id in the lock file decides there
    fcntl = None  # type: ignore[assignment]

NO_FLOCK = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
TRIES, PAUSE_S = 5, 0.05


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that holds a lock; `started_s` is when the process began, in seconds since 1970."""

    pid: int
    host: str
    started_s: float
    command: str

    @property
    def gone(self) -> bool:
        """Whether the process is known to be dead: it ran on this host, and its id is free or was given again."""
        if self.host != socket.gethostname():
            return False
        try:
            began_s: float = psutil.Process(self.pid).create_time()
            return abs(began_s - self.started_s) > 2.0
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False

    def __str__(self) -> str:
        began = datetime.fromtimestamp(self.started_s, tz=timezone.utc).isoformat(timespec="seconds")
        return f"process {self.pid} on {self.host}, started {began}: {self.command}"


class Lock:
    """Held from `acquire` to `release`, or to the death of the process.

    flock decides, so a killed process leaves nothing locked; where the file system has no flock, the lock is the
    file's existence, and a holder that is dead on this host is replaced. A holder on another host is never replaced.
    """

    def __init__(self, path: Path, *, command: str) -> None:
        self.path = path
        self._command = command
        self._handle: int | None = None

    def acquire(self) -> None:
        """Takes the lock; RunLocked names the holder when another process has it."""
        for left in reversed(range(TRIES)):  # another process may hold it for a moment, to look or to sign it
            if self._try():
                return
            if left:
                time.sleep(PAUSE_S)
        found = holder(self.path)
        if found is not None and found.gone:  # a child of the dead holder still has its flock, and writes no rows
            self.path.unlink(missing_ok=True)
            if self._try():
                return
        raise RunLocked(_message(self.path, found))

    def release(self) -> None:
        """Gives the lock back and removes its file."""
        if self._handle is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def _try(self) -> bool:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            taken = _flock(handle)
        except OSError as error:
            os.close(handle)
            if error.errno not in NO_FLOCK:
                raise
            return self._try_by_existence()
        if not taken or not _same_file(handle, self.path):  # the last holder may have removed the file meanwhile
            os.close(handle)
            return False
        self._sign(handle)
        return True

    def _try_by_existence(self) -> bool:
        found = holder(self.path)
        if found is None or found.gone:
            self.path.unlink(missing_ok=True)
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        self._sign(handle)
        return True

    def _sign(self, handle: int) -> None:
        me = psutil.Process()
        signed = Holder(pid=me.pid, host=socket.gethostname(), started_s=me.create_time(), command=self._command)
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(asdict(signed)).encode())
        os.fsync(handle)
        self._handle = handle


def holder(path: Path) -> Holder | None:
    """The process that signed a lock file; None when there is none, or it has not signed yet."""
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def held(path: Path) -> bool:
    """Whether a live process holds the lock; looks without taking it."""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _flock(handle)
    except OSError as error:
        if error.errno not in NO_FLOCK:
            raise
        found = holder(path)
        return found is not None and not found.gone
    finally:
        os.close(handle)


def _flock(handle: int) -> bool:
    if fcntl is None:
        raise OSError(errno.ENOSYS, "no flock on this system")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same_file(handle: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


def _message(path: Path, found: Holder | None) -> str:
    who = str(found) if found else "a process that has not signed the lock"
    return (
        f"{path.parent}: {who} writes to this folder ({path.name}); wait for it, stop it, or give another --output_path"
    )
