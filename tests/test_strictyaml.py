from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from vlbias.errors import BadConfig, BadSuite
from vlbias.strictyaml import parse, read


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width_px: int
    names: tuple[str, ...] = ()


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    share: float = 0.5
    inner: Inner | None = None


def test_a_good_file_becomes_an_instance_with_lists_as_tuples(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("\ufefftitle: Größe\r\ninner:\r\n  width_px: 3\r\n  names: [a, b]\r\nshare: 1\r\n".encode())
    assert read(path, Outer) == Outer(title="Größe", share=1.0, inner=Inner(width_px=3, names=("a", "b")))


BAD = {
    "unknown key": ("title: a\nshrae: 1\n", r"x\.yaml:2: unknown key 'shrae'; did you mean share\? Known: inner"),
    "unknown inner key": (
        "title: a\ninner:\n  width_px: 1\n  nmaes: []\n",
        r":4: unknown key 'nmaes' under inner; .*names",
    ),
    "missing key": ("title: a\ninner:\n  names: []\n", r":2: the key 'inner.width_px' is missing"),
    "text for a number": ('title: a\ninner:\n  width_px: "3"\n', r":3: inner.width_px: found '3'; .*integer"),
    "number for a text": ("title: 3\n", r":1: title: found 3; .*string"),
    "key given twice": ("title: a\ntitle: b\n", r":2: the key 'title' stands twice \(first in line 1\)"),
    "python tag": ("title: !!python/object/apply:os.system [ls]\n", r":1: not plain YAML"),
    "alias": ("title: &a x\nshare: *a\n", r":1: found an anchor or alias"),
    "merge": ("title: a\n<<: {share: 1}\n", r":2: the key '<<' is not a text"),
    "number as a key": ("title: a\n3: b\n", r":2: the key '3' is not a text"),
    "date": ("title: 2026-01-01\n", r":1: title: found 2026-01-01; right is a text \(put it in quotes\)"),
    "not a number": ("title: a\nshare: .nan\n", r":2: share: found nan; right is a finite number"),
    "infinity": ("title: a\nshare: -.inf\n", r":2: share: found -inf; right is a finite number"),
    "list at the top": ("- a\n", r":1: found \['a'\]; right is a mapping with the keys title"),
    "empty": ("", r"the file is empty"),
    "two documents": ("title: a\n---\ntitle: b\n", r":2: not plain YAML"),
    "broken": ("title: [a\n", r":2: not plain YAML"),
    "tab": ("title: a\n\tb: c\n", r":2: not plain YAML"),
    "half a pair": ('title: "\\ud800"\n', r"x\.yaml.*(surrogate|not plain)"),
    "NUL": ("title: a\0\n", r"not plain YAML"),
    "deep": ("title: " + "[" * 5000, r":1: not plain YAML: nested more than 50 deep"),
}


@pytest.mark.parametrize("text, says", BAD.values(), ids=BAD.keys())
def test_a_bad_text_is_refused_with_its_line_and_what_is_right(text: str, says: str) -> None:
    with pytest.raises(BadConfig, match=says):
        parse(text, where="x.yaml", model=Outer)


def test_every_fault_is_named_at_once_in_the_error_asked_for() -> None:
    with pytest.raises(
        BadSuite, match=r"(?s)a\.yaml:1: .*unknown key.*\n.*a\.yaml:1.*'title' is missing|missing.*unknown"
    ):
        parse("nope: 1\n", where="a.yaml", model=Outer, error=BadSuite)


def test_a_file_that_cannot_be_read_is_the_users_fault(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="there is no such file"):
        read(tmp_path / "none.yaml", Outer)
    with pytest.raises(BadConfig, match="cannot be read"):
        read(tmp_path, Outer)
    (tmp_path / "bytes.yaml").write_bytes(b"title: a\nshare: \xff\n")
    with pytest.raises(BadConfig, match=r"bytes\.yaml:2: found the byte 0xff; save the file as UTF-8"):
        read(tmp_path / "bytes.yaml", Outer)
    (tmp_path / "long.yaml").write_text("title: " + "a" * 1_000_001)
    with pytest.raises(BadConfig, match="at most 1000000"):
        read(tmp_path / "long.yaml", Outer)
