"""Finds the numbers of boxes in text: tags, location tokens, patch tokens, JSON. Says nothing of frames."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

NUMBER = r"[-+]?\d+(?:\.\d+)?"
LIST = re.compile(rf"\[\s*({NUMBER})\s*,\s*({NUMBER})\s*,\s*({NUMBER})\s*,\s*({NUMBER})\s*\]")
ANGLE_BOX = re.compile(
    rf"<\|box_start\|>\s*\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)"
    rf"(?:\s*,\s*\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\))?\s*<\|box_end\|>"
)
FENCE = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL)
PATCHES_A_SIDE = 32
Numbers: TypeAlias = tuple[float, ...]
Key: TypeAlias = str | tuple[str, ...]


class Unreadable(Exception):
    """A reply that is not in the format of its family; never leaves the room."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Numbers as they are written: four of a box, two of a point."""

    boxes: tuple[Numbers, ...] = ()
    points: tuple[Numbers, ...] = ()


def angle_boxes(text: str) -> Found:
    """Qwen2-VL: `<|box_start|>(x1,y1),(x2,y2)<|box_end|>`, or one pair for a point."""
    matches = list(ANGLE_BOX.finditer(text))
    _whole(text, opening="<|box_start|>", closing="<|box_end|>", n=len(matches))
    if re.search(r"\(\s*[-+]?\d", ANGLE_BOX.sub("", text)):
        raise Unreadable("coordinates stand outside the tags")
    read = [tuple(float(v) for v in m.groups() if v is not None) for m in matches]
    return Found(boxes=tuple(n for n in read if len(n) == 4), points=tuple(n for n in read if len(n) == 2))


def tagged_boxes(opening: str, closing: str) -> Callable[[str], Found]:
    """A list of lists of four between two tags, as in InternVL and DeepSeek-VL2."""
    block = re.compile(re.escape(opening) + r"\s*\[(.*?)\]\s*" + re.escape(closing), re.DOTALL)

    def read(text: str) -> Found:
        blocks = [m.group(1) for m in block.finditer(text)]
        _whole(text, opening=opening, closing=closing, n=len(blocks))
        if LIST.search(block.sub("", text)):
            raise Unreadable("a box stands outside the tags")
        boxes: list[Numbers] = []
        for inner in blocks:
            if not re.fullmatch(rf"\s*{LIST.pattern}(?:\s*,\s*{LIST.pattern})*\s*", inner):
                raise Unreadable(f"{inner.strip()!r} is not a list of boxes of four numbers")
            boxes += [tuple(float(v) for v in m.groups()) for m in LIST.finditer(inner)]
        return Found(boxes=tuple(boxes))

    return read


def loc_boxes(mark: str, token: str, *, runs: bool) -> Callable[[str], Found]:
    """Location tokens, four to a box; with `runs` one label may be followed by several boxes."""
    run = re.compile(rf"(?:{token.replace('(', '(?:')})+")

    def read(text: str) -> Found:
        boxes: list[Numbers] = []
        for match in run.finditer(text):
            values = [float(v) for v in re.findall(token, match.group())]
            if len(values) % 4 or (len(values) > 4 and not runs):
                raise Unreadable(f"{len(values)} location tokens follow one another; a box has 4")
            boxes += [tuple(values[k : k + 4]) for k in range(0, len(values), 4)]
        if "<loc" in run.sub("", text):
            raise Unreadable(f"a location token is cut off or is not of the form {mark}...>")
        if not boxes:
            raise Unreadable("there is no location token")
        return Found(boxes=tuple(boxes))

    return read


def patch_boxes(text: str) -> Found:
    """Kosmos-2: two patch tokens of a 32 x 32 grid; boxes in 0..1.

    Corners are the centres of their patches, and the outer edges where the box is one patch high or wide, as
    transformers' Kosmos-2 processor reads them.
    """
    objects = re.findall(r"<object>(.*?)</object>", text, re.DOTALL)
    _whole(text, opening="<object>", closing="</object>", n=len(objects))
    boxes = []
    for inner in objects:
        for one in inner.split("</delimiter_of_multi_objects/>"):
            match = re.fullmatch(r"\s*<patch_index_(\d{4})><patch_index_(\d{4})>\s*", one)
            if match is None:
                raise Unreadable(f"{one!r} is not two patch tokens")
            boxes.append(_patches(int(match[1]), int(match[2])))
    if "<patch_index" in re.sub(r"<object>.*?</object>", "", text, flags=re.DOTALL):
        raise Unreadable("a patch token stands outside an object")
    return Found(boxes=tuple(boxes))


def _patches(near: int, far: int) -> Numbers:
    if max(near, far) >= PATCHES_A_SIDE**2:
        raise Unreadable(f"patch {max(near, far)} is not among {PATCHES_A_SIDE**2}")
    (y1, x1), (y2, x2) = divmod(near, PATCHES_A_SIDE), divmod(far, PATCHES_A_SIDE)
    if x2 < x1 or y2 < y1:
        raise Unreadable(f"patch {far} is not right of and below patch {near}")
    low, high = (0.0, 1.0) if x1 == x2 or y1 == y2 else (0.5, 0.5)
    return tuple(v / PATCHES_A_SIDE for v in (x1 + low, y1 + low, x2 + high, y2 + high))


def json_boxes(box: Key, point: Key) -> Callable[[str], Found]:
    """One JSON list of objects, or one object, bare, fenced or in prose.

    A key is one name that holds all numbers, or one name per number.
    """

    def read(text: str) -> Found:
        objects = _objects(text)
        boxes: list[Numbers] = []
        points: list[Numbers] = []
        for one in objects:
            here = [(key, out) for key, out in ((box, boxes), (point, points)) if _has(one, key)]
            if len(here) != 1:
                raise Unreadable(
                    f"an object has {len(here)} of {_named(box)} and {_named(point)}; its keys: {list(one)}"
                )
            key, out = here[0]
            out.append(_numbers(one, key, count=4 if key == box else 2))
        return Found(boxes=tuple(boxes), points=tuple(points))

    return read


def _objects(text: str) -> list[dict[str, Any]]:
    fences = FENCE.findall(text)
    if len(fences) > 1:
        raise Unreadable(f"there are {len(fences)} fenced blocks; which one is meant is not said")
    if "```" in FENCE.sub("", text):
        raise Unreadable("a fenced block is cut off")
    body = fences[0] if fences else text
    if body.strip() == "[]":
        if fences and re.search(r'"\s*:\s*[\[\d]', FENCE.sub("", text)):
            raise Unreadable("there is JSON inside and outside of the fence")
        return []
    spans = _json_spans(body)
    outside = (FENCE.sub("", text) if fences else "") + _without(body, spans)
    if len(spans) != 1:
        raise Unreadable(f"found {len(spans)} JSON values that hold objects; right is one")
    if re.search(r'"\s*:|\[\s*[-+]?\d', outside):
        raise Unreadable("coordinates or broken JSON stand beside the JSON")
    value = spans[0][2]
    return value if isinstance(value, list) else [value]


def _json_spans(text: str) -> list[tuple[int, int, Any]]:
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
    found, at = [], 0
    while (start := _next_bracket(text, at)) >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError:
            at = start + 1
            continue
        at = end
        if isinstance(value, dict) or (value and all(isinstance(v, dict) for v in value)):
            found.append((start, end, value))
        else:
            raise Unreadable(f"{text[start:end]!r} is no list of objects")
    return found


def _next_bracket(text: str, at: int) -> int:
    match = re.compile(r"[\[{]").search(text, at)
    return match.start() if match else -1


def _without(text: str, spans: list[tuple[int, int, Any]]) -> str:
    for start, end, _ in reversed(spans):
        text = text[:start] + " " + text[end:]
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise Unreadable(f"a key stands twice in one object: {[name for name, _ in pairs]}")
    return dict(pairs)


def _no_constant(name: str) -> float:
    raise Unreadable(f"{name} is not a coordinate")


def _has(one: dict[str, Any], key: Key) -> bool:
    return key in one if isinstance(key, str) else any(name in one for name in key)


def _named(key: Key) -> str:
    return key if isinstance(key, str) else "/".join(key)


def _numbers(one: dict[str, Any], key: Key, *, count: int) -> Numbers:
    values = one[key] if isinstance(key, str) else [one.get(name) for name in key]
    if not isinstance(values, list) or len(values) != count:
        raise Unreadable(f"{_named(key)} is {values!r}; right are {count} numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Unreadable(f"{_named(key)} holds {value!r}, which is no number")
    return tuple(float(v) for v in values)


def _whole(text: str, *, opening: str, closing: str, n: int) -> None:
    counts = text.count(opening), text.count(closing)
    if n == 0 and counts == (0, 0):
        raise Unreadable(f"there is no {opening}")
    if counts != (n, n):
        raise Unreadable(f"found {counts[0]} {opening} and {counts[1]} {closing}, of which {n} hold whole boxes")
