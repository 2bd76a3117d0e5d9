"""Writes to disk that are whole or absent after a crash, hashes of what is there, and errors that say what is safe."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from vlbias.errors import RunRefused

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BLOCK_BYTES = 1 << 20


def refusal(error: OSError, *, path: Path, safe: str = "") -> RunRefused:
    """The refusal that a failed write becomes; `safe` says what is already on disk."""
    cause = "disk full" if error.errno in FULL else "cannot write"
    remedy = "free some space" if error.errno in FULL else "make the folder writable or give another --output_path"
    kept = f"{safe}; " if safe else ""
    return RunRefused(f"{cause} at {path} ({error.strerror}); {kept}{remedy}, then run the same command again")


def sha256_of_file(*paths: Path) -> str:
    """The sha256, in hexadecimal, of the bytes of a file, or of several one after the other.

    They are read in pieces, so their size does not matter. Errors: OSError.
    """
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                found.update(block)
    return found.hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable, where the system can sync a folder."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Writes every byte in one call where the system allows, and returns when they are on the disk."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Replaces a file: after a crash it holds the old bytes or the new ones, never a part."""
    draft = _draft(path, data)
    try:
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> bool:
    """Creates a file whole; False, and nothing written, when it is already there."""
    draft = _draft(path, data)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: the short gap between the check and the move stays open
        if path.exists():
            return False
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def append_line(path: Path, line: bytes) -> None:
    """Appends one line durably; a torn line left by a crash is ended first, so that it harms no other."""
    fresh = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        write_all(handle, (b"\n" if torn else b"") + line)
    finally:
        os.close(handle)
    if fresh:
        sync_folder(path.parent)


def _draft(path: Path, data: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        write_all(handle, data)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return draft
