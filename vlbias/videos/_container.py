"""Says which container a file holds, from its first bytes, and whether the file is whole: cheap, and without a decoder.

A playlist (HLS, ffconcat, SDP, DASH) makes a demuxer open other files, so only real containers pass, whatever the
file's name says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from vlbias.errors import DecodeError

_PLAYLISTS = ((b"#EXTM3U", "HLS"), (b"ffconcat version", "ffconcat"), (b"v=0", "SDP"), (b"[playlist]", "PLS"))
_MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_TS_PACKET = 188
_MKV_SEGMENT = b"\x18\x53\x80\x67"


def container_of(path: Path, *, decoder: str) -> str:
    """The name of the FFmpeg demuxer that reads this file: mov, matroska, avi, mpegts or flv.

    DecodeError: the file is missing, empty, a playlist, not a video container, or shorter than its own header says.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise DecodeError(path=str(path), decoder=decoder, reason="is not a regular file")
        with path.open("rb") as file:
            reason = "the file is empty" if size == 0 else ""
            demuxer, broken = ("", reason) if reason else _sniff(file, size)
    except OSError as error:
        raise DecodeError(path=str(path), decoder=decoder, reason=f"cannot be read: {error.strerror}") from error
    if broken:
        raise DecodeError(path=str(path), decoder=decoder, reason=broken)
    return demuxer


def _sniff(file: BinaryIO, size: int) -> tuple[str, str]:
    """The demuxer's name, and what is wrong ("" when nothing is)."""
    head = file.read(3 * _TS_PACKET)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for start, name in _PLAYLISTS:
        if text.startswith(start):
            return "", f"is a playlist ({name}), which would open other files; give the video file itself"
    if head[4:8] in _MOV_BOXES:
        return "mov", _mov_fault(file, size)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska", _matroska_fault(file, size)
    if head.startswith(b"RIFF") and head[8:11] == b"AVI":
        return "avi", _length_fault("RIFF list", 8 + int.from_bytes(head[4:8], "little"), size)
    if len(head) > 2 * _TS_PACKET and all(head[k * _TS_PACKET] == 0x47 for k in range(3)):
        fault = "" if size % _TS_PACKET == 0 else f"truncated: {size} bytes is no whole number of transport packets"
        return "mpegts", fault
    if head.startswith(b"FLV\x01"):
        return "flv", ""
    return "", f"not a video: found the first bytes {head[:12]!r}, wanted MP4/MOV, Matroska/WebM, AVI, MPEG-TS or FLV"


def _length_fault(what: str, end: int, size: int) -> str:
    return f"truncated: its {what} ends at byte {end}, the file has {size} bytes" if end > size else ""


def _mov_fault(file: BinaryIO, size: int) -> str:
    """Walks the top-level boxes (ISO/IEC 14496-12, section 4.2): each must end inside the file, one must be moov."""
    at, kinds = 0, set()
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at
        if length < 8 or not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in kind):
            break
        kinds.add(kind)
        if fault := _length_fault(f"{kind.decode('latin-1')} box", at + length, size):
            return fault
        at += length
    if b"moov" not in kinds:
        return "truncated or not a video: it has no moov box, so no table of frames"
    return ""


def _matroska_fault(file: BinaryIO, size: int) -> str:
    """The EBML header is followed by the Segment (RFC 9559): it must end inside the file when its size is known."""
    file.seek(4)
    header_bytes = _ebml_size(file)
    if header_bytes is None:
        return "damaged: the EBML header has no size"
    file.seek(header_bytes, os.SEEK_CUR)
    if file.read(4) != _MKV_SEGMENT:
        return "damaged: no Matroska segment follows the EBML header"
    length = _ebml_size(file)
    return "" if length is None else _length_fault("Matroska segment", file.tell() + length, size)


def _ebml_size(file: BinaryIO) -> int | None:
    """A variable-length size; None when it is unknown or malformed."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    rest = file.read(width - 1)
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - width)) - 1)]) + rest, "big")
    return None if value == (1 << (7 * width)) - 1 else value
