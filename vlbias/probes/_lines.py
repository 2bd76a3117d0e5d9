"""Reads a file of JSON lines into strict items, and names every bad line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from vlbias.errors import BadSuite
from vlbias.probes._choices import Strict

MAX_LINE_BYTES = 1_000_000


def _plain(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty; write it")
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in text):
        raise ValueError("the text has a NUL or another control character; drop it")
    return text


Text = Annotated[str, AfterValidator(_plain)]


class Line(Strict):
    """What every line of an item file names."""

    probe_id: Annotated[str, Field(pattern=r"^[^\s/\\\x00-\x1f]{1,200}$")]


Item = TypeVar("Item", bound=Line)


def lines(path: Path, model: type[Item], *, problems: list[str]) -> Iterator[tuple[int, Item]]:
    """Each good line with its number from 1; what is wrong with the others is added to `problems`.

    A `probe_id` that stands twice is a problem, and the line is still given.
    """
    if not path.is_file():
        raise BadSuite(f"{path}: the item file is missing; put it there or set source: file to its path")
    first: dict[str, int] = {}
    for number, raw in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not raw.strip():
            continue
        where = f"{path}:{number}"
        item = _item(raw, model, where=where, problems=problems)
        if item is None:
            continue
        if item.probe_id in first:
            problems.append(
                f"{where}: the probe_id {item.probe_id!r} stands in line {first[item.probe_id]} too; rename one"
            )
        first.setdefault(item.probe_id, number)
        yield number, item


def _item(raw: bytes, model: type[Item], *, where: str, problems: list[str]) -> Item | None:
    if len(raw) > MAX_LINE_BYTES:
        problems.append(f"{where}: {len(raw)} bytes in one line; a line has at most {MAX_LINE_BYTES}")
        return None
    try:
        text = raw.decode()
        json.dumps(json.loads(text, object_pairs_hook=_once), ensure_ascii=False).encode()
        return model.model_validate_json(text)
    except UnicodeDecodeError as bad:
        problems.append(f"{where}: the byte 0x{raw[bad.start]:02x} is not UTF-8; save the file as UTF-8")
    except UnicodeEncodeError:
        problems.append(
            f"{where}: found half of a surrogate pair (\\ud800 to \\udfff); drop it or write the whole sign"
        )
    except ValidationError as bad:
        for fault in bad.errors():
            name = ".".join(str(part) for part in fault["loc"])
            remedy = f"; known keys: {', '.join(model.model_fields)}" if fault["type"] == "extra_forbidden" else ""
            problems.append(f"{where}: {name + ': ' if name else ''}{fault['msg']}{remedy}")
    except (ValueError, RecursionError) as bad:
        problems.append(f"{where}: not a JSON object ({bad}); write one object per line")
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
