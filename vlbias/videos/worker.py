"""Runs a decoder in a process of its own, with limits of time and memory: whatever a file does to it, we go on."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from vlbias.errors import DecodeError, UnknownName
from vlbias.videos import ClipInfo

MEMORY_LIMIT_BYTES = 6 << 30
BACKENDS = ("av", "decord", "opencv", "torchcodec")
_KEPT_BYTES = 4096
_CLOCK_OR_ADDRESS = re.compile(r"\[\d\d:\d\d:\d\d\] ?|0x[0-9a-fA-F]+")


def module_of(backend: str) -> str:
    """The module that holds a decoder: a file of this room, or a third party's entry point of `vlbias.videos`."""
    if backend.isidentifier() and find_spec(f"vlbias.videos.decode_{backend}"):
        return f"vlbias.videos.decode_{backend}"
    outside = {point.name: point.value for point in metadata.entry_points(group="vlbias.videos")}
    if backend in outside:
        return outside[backend]
    raise UnknownName(what="video backend", name=backend, known=[*BACKENDS, *outside])


class Worker:
    """A decoder in a killable process; use it as a context manager.

    The process starts at the first call, lives on between calls, and is started anew after a crash or a limit.
    `module` is the decoder's module name, see `module_of`.
    """

    def __init__(
        self, module: str, *, time_limit_s: float = 30.0, memory_limit_bytes: int = MEMORY_LIMIT_BYTES
    ) -> None:
        self.module, self.time_limit_s, self.memory_limit_bytes = module, time_limit_s, memory_limit_bytes
        self.name = module.rpartition(".")[2].removeprefix("decode_")
        self._process: subprocess.Popen[bytes] | None = None
        self._complaint = bytearray()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kills the process and waits for it, so that no zombie stays."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def version(self) -> str:
        """The decoder's version."""
        return str(self._ask({"call": "version"}, path=""))

    def info(self, path: Path) -> ClipInfo:
        """What the file says of itself. Errors: DecodeError."""
        found = self._ask({"call": "info", "path": str(path.absolute())}, path=str(path))
        return ClipInfo(**{**found, "size_wh_px": tuple(found["size_wh_px"])})

    def frames(self, path: Path, timestamps_s: Sequence[float], *, out: Path) -> tuple[float, ...]:
        """Writes the frames on display to the .npy file `out` (uint8 [T, H, W, 3]); returns their own timestamps.

        Errors: DecodeError, also for a crash (names the signal), the time limit and the memory limit.
        """
        asked = [float(t) for t in timestamps_s]
        call = {"call": "frames", "path": str(path.absolute()), "timestamps_s": asked, "out": str(out.absolute())}
        return tuple(float(t) for t in self._ask(call, path=str(path)))

    def _ask(self, request: dict[str, Any], *, path: str) -> Any:
        line = self._exchange(json.dumps(request, allow_nan=False).encode() + b"\n", path)
        reply = json.loads(line)
        if "decode_error" in reply:
            raise DecodeError(path=path, decoder=self.name, reason=reply["decode_error"])
        return reply["result"]

    def _exchange(self, request: bytes, path: str) -> bytes:
        """One line there, one line back, or a dead process and a DecodeError that holds what it said last."""
        process = self._started()
        assert process.stdin is not None
        self._complaint.clear()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            line = _read_line(process, time.monotonic() + self.time_limit_s, self._complaint)
        except BrokenPipeError:
            line = b""
        except TimeoutError as error:
            self.close()
            reason = f"did not finish within the limit of {self.time_limit_s:g} s and was killed"
            raise DecodeError(path=path, decoder=self.name, reason=reason + _said(self._complaint)) from error
        except BaseException:
            self.close()
            raise
        if not line.endswith(b"\n"):
            code = process.wait()
            self.close()
            reason = f"its process died: {_cause(code)}{_said(self._complaint)}"
            raise DecodeError(path=path, decoder=self.name, reason=reason)
        return line

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            limits = (str(self.memory_limit_bytes), str(self.time_limit_s))
            command = [sys.executable, "-m", "vlbias.videos._child", self.module, *limits]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
        return self._process


def _read_line(process: subprocess.Popen[bytes], deadline: float, complaint: bytearray) -> bytes:
    """Bytes up to a newline, or up to the end when the process died; the end of its stderr goes to `complaint`.

    Errors: TimeoutError at the deadline.
    """
    assert process.stdout is not None and process.stderr is not None
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            # stderr first, so that the last words of a dying process are heard before its end is seen.
            for key, _ in sorted(ready, key=lambda found: found[0].fileobj is process.stdout):
                piece = os.read(key.fd, 65536)
                if key.fileobj is process.stderr:
                    complaint += piece
                    del complaint[:-_KEPT_BYTES]
                elif piece:
                    line += piece
                    continue
                if not piece:
                    selector.unregister(key.fileobj)
            if not selector.get_map():
                break
    return line


def _said(complaint: bytearray) -> str:
    """The last line of a process's stderr, without what differs between two equal runs."""
    lines = [line.strip() for line in complaint.decode("utf-8", errors="replace").splitlines() if line.strip()]
    return f"; it said last: {_CLOCK_OR_ADDRESS.sub('', lines[-1])[:200]}" if lines else ""


def _cause(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
