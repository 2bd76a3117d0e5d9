"""Reads a YAML file into a strict pydantic model, and says at which line what is wrong and what would be right."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from vlbias.errors import BadConfig, BadInput, nearest

Model = TypeVar("Model", bound=BaseModel)
Loc = tuple[int | str, ...]
MAX_BYTES = 1_000_000
DEEPEST = 50


def read(path: Path, model: type[Model], *, error: type[BadInput] = BadConfig) -> Model:
    """A YAML file as an instance of `model`. Every fault in it is named in one `error`, each with `file:line`."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as missing:
        raise error(f"{path}: there is no such file; give the path of a YAML file") from missing
    except OSError as broken:
        raise error(f"{path}: cannot be read ({broken.strerror}); give the path of a readable YAML file") from broken
    if len(raw) > MAX_BYTES:
        raise error(f"{path}: {len(raw)} bytes; a file written by hand has at most {MAX_BYTES}")
    return parse(_text(raw, where=str(path), error=error), where=str(path), model=model, error=error)


def parse(text: str, *, where: str, model: type[Model], error: type[BadInput] = BadConfig) -> Model:
    """YAML text as an instance of `model`; `where` is the name of its source in messages.

    Only plain YAML is read: no tags of a programming language, no anchors, aliases or merges, no key given twice, no
    date, NaN or infinity. Values are validated as JSON in strict mode, so `"3"` is not an integer and `3` not a text.
    """
    node, data = _load(text, where=where, error=error)
    if not isinstance(data, dict):
        raise error(f"{where}:1: found {_short(data)}; right is a mapping with the keys {_keys(model)}")
    try:
        return model.model_validate_json(_json(data, node=node, where=where, error=error), strict=True)
    except ValidationError as invalid:
        faults = [_fault(dict(fault), node=node, where=where, model=model) for fault in invalid.errors()]
        raise error("\n".join(dict.fromkeys(faults))) from invalid


def _text(raw: bytes, *, where: str, error: type[BadInput]) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        line = raw[: bad.start].count(b"\n") + 1
        raise error(f"{where}:{line}: found the byte 0x{raw[bad.start]:02x}; save the file as UTF-8") from bad
    return text.replace("\r\n", "\n")


def _load(text: str, *, where: str, error: type[BadInput]) -> tuple[yaml.Node, Any]:
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise error(f"{where}:{line}: found an anchor or alias (& or *); write the value out instead")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:  # the reader's time grows with the square of the depth
                raise error(f"{where}:{line}: not plain YAML: nested more than {DEEPEST} deep")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise error(f"{where}: the file is empty; right is a mapping of keys to values")
        _refuse_odd_keys(node, where=where, error=error)
        return node, yaml.load(text, Loader=yaml.SafeLoader)  # noqa: S506  (the safe loader, by name)
    except yaml.MarkedYAMLError as bad:
        mark = bad.problem_mark or bad.context_mark
        raise error(f"{where}:{mark.line + 1 if mark else 1}: not plain YAML: {bad.problem or bad.context}") from bad
    except (yaml.YAMLError, ValueError, RecursionError) as bad:
        raise error(f"{where}: not plain YAML: {str(bad).splitlines()[0]}") from bad


def _refuse_odd_keys(node: yaml.Node, *, where: str, error: type[BadInput]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_odd_keys(item, where=where, error=error)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag != "tag:yaml.org,2002:str":
            raise error(f"{where}:{line}: the key {_short(key.value)} is not a text; put it in quotes or drop it")
        if key.value in first:
            raise error(
                f"{where}:{line}: the key {key.value!r} stands twice (first in line {first[key.value]}); drop one"
            )
        first[key.value] = line
        _refuse_odd_keys(value, where=where, error=error)


def _json(data: Any, *, node: yaml.Node, where: str, error: type[BadInput]) -> str:
    for loc, value in _leaves(data):
        if isinstance(value, (bool, int, str, type(None))) or (isinstance(value, float) and math.isfinite(value)):
            continue
        right = "a finite number" if isinstance(value, float) else "a text (put it in quotes), a number, true or false"
        raise error(f"{where}:{_line(node, loc)}: {_name(loc)}: found {value}; right is {right}")
    try:
        return json.dumps(data, allow_nan=False, ensure_ascii=False).encode().decode()
    except UnicodeEncodeError as bad:
        raise error(f"{where}: found half of a surrogate pair (\\u{ord(bad.object[bad.start]):04x}); drop it") from bad


def _leaves(data: Any, loc: Loc = ()) -> Iterator[tuple[Loc, Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _leaves(value, (*loc, key))
    elif isinstance(data, list):
        for place, value in enumerate(data):
            yield from _leaves(value, (*loc, place))
    else:
        yield loc, data


def _fault(fault: dict[str, Any], *, node: yaml.Node, where: str, model: type[BaseModel]) -> str:
    loc: Loc = fault["loc"]
    start = f"{where}:{_line(node, loc)}: "
    parent = _model_at(model, loc[:-1])
    if fault["type"] == "extra_forbidden":
        under = f" under {_name(loc[:-1])}" if loc[:-1] else ""
        known = _fields(parent) if parent else []
        return f"{start}unknown key {str(loc[-1])!r}{under}; {nearest(str(loc[-1]), known)}"
    if fault["type"] == "missing":
        return f"{start}the key {_name(loc)!r} is missing; add it"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{start}{_name(loc) + ': ' if loc else ''}{message}"
    return f"{start}{_name(loc)}: found {_short(fault['input'])}; {message[:1].lower()}{message[1:]}"


def _line(node: yaml.Node, loc: Loc) -> int:
    """The 1-based line of the deepest node on the way to `loc`; a part that is no key (a union's tag) is skipped."""
    line = node.start_mark.line
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == part:
                    node, line = value, key.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return int(line) + 1


def _model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    found: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, int) or found is None:
            continue
        by_name = {field.alias or name: field for name, field in found.model_fields.items()}
        if part in by_name:
            found = next(_models_in(by_name[part].annotation), None)
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, list, tuple, dict) or get_args(annotation):
        for inside in get_args(annotation):
            yield from _models_in(inside)


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _keys(model: type[BaseModel]) -> str:
    return ", ".join(_fields(model))


def _name(loc: Loc) -> str:
    return ".".join(str(part) for part in loc)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
