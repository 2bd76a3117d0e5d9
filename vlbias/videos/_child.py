"""The worker process: reads one request per line, runs the decoder it was started for, writes pixels to a .npy file."""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import numpy as np

from vlbias.errors import DecodeError

try:
    import resource
except ImportError:  # Windows has no limit of this kind; the parent's time limit still holds.
    resource = None  # type: ignore[assignment]

_GRACE_S = 5


def main() -> None:
    """Serve requests until the parent closes its end; prints of the decoder go to stderr, never into the replies.

    The parent kills a request that takes too long. Should the parent be dead, the alarm ends this process a little
    later: its default action needs no Python, so it works while a decoder holds the interpreter's lock.
    """
    module_name, memory_limit_bytes, time_limit_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_limit_bytes, memory_limit_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    decoder: ModuleType | None = None
    for line in sys.stdin:
        _alarm(math.ceil(time_limit_s) + _GRACE_S)
        try:
            decoder = decoder or importlib.import_module(module_name)
            _send(replies, {"result": _answer(decoder, json.loads(line))})
        except DecodeError as error:
            _send(replies, {"decode_error": error.reason})
        except MemoryError:
            _send(replies, {"decode_error": f"needs more memory than the limit of {memory_limit_bytes >> 20} MiB"})
        except ImportError as error:
            _send(replies, {"decode_error": f"the decoder cannot be imported: {error}"})
        _alarm(0)


def _alarm(after_s: int) -> None:
    if hasattr(signal, "alarm"):  # Windows has none.
        signal.alarm(after_s)


def _answer(decoder: ModuleType, request: dict[str, Any]) -> Any:
    if request["call"] == "version":
        return decoder.version()
    path = Path(request["path"])
    if request["call"] == "info":
        return asdict(decoder.info(path))
    pixels_THWC, own_s = decoder.frames(path, request["timestamps_s"])
    np.save(request["out"], pixels_THWC, allow_pickle=False)
    return list(own_s)


def _send(replies: TextIO, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message, allow_nan=False) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
