"""What a user may get wrong in a suite: each fault is refused before any clip is read, with its place and a remedy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlbias.errors import BadSuite
from vlbias.probes import insertion
from vlbias.records import Probe, Segment

Load = Callable[[Path], list[Probe]]


def test_a_good_suite_loads_with_its_texts_paths_and_hashes(hand: Path, load: Load) -> None:
    first, second = load(hand)
    assert first.gold == 0 and second.gold == 1
    assert first.evidence.path == str(hand / "clips" / "e0.mp4") and len(first.evidence.sha256 or "") == 64


@pytest.mark.parametrize("change", [b"\xef\xbb\xbf", b"\r\n", b"\n\n"])
def test_a_byte_order_mark_line_ends_of_windows_and_empty_lines_change_nothing(
    hand: Path, load: Load, change: bytes
) -> None:
    before = load(hand)
    raw = (hand / "hand.jsonl").read_bytes()
    (hand / "hand.jsonl").write_bytes(change + raw if change[0] == 0xEF else raw.replace(b"\n", change))
    assert load(hand) == before


YAMLS = {
    "unknown key": ("segments: 3", "segmnets: 3", r"hand\.yaml:6: unknown key 'segmnets'; did you mean segments"),
    "unknown key inside": (
        "    media: clips",
        "    medai: clips",
        r"hand\.yaml:10: unknown key 'medai' under source.items",
    ),
    "unknown context": ("segments: 3", "context: circular", r"hand\.yaml:6: context: found 'circular'; .*'multi'"),
    "text for a number": ("segments: 3", "segments: three", r"hand\.yaml:6: segments: found 'three'; .*integer"),
    "one segment": ("segments: 3", "segments: 1", r"hand\.yaml:6: segments: found 1; .*greater than or equal to 2"),
    "too many segments": ("segments: 3", "segments: 65", r"segments: found 65; .*less than or equal to 64"),
    "too few backgrounds": (
        "segments: 3",
        "segments: 9",
        r"hand\.jsonl:1: found 2 backgrounds; 9 segments need 8: add",
    ),
    "no source": ("  items:", "  {}\nx:", r"hand\.yaml:7: source: found no source; give exactly one of items"),
    "two sources": ("  items:", "  drawn: {clips: 24}\n  items:", r"found items and drawn; give exactly one"),
    "unknown task": (
        "segments: 3",
        "segments: 3\ntasks: [Conut Problem]",
        r"unknown task 'Conut Problem'; did you mean",
    ),
    "no task": ("segments: 3", "tasks: []", r"hand\.yaml:6: tasks: found \[\]"),
    "python object": ("CC0-1.0", "!!python/object/apply:os.getcwd []", r"hand\.yaml:5: not plain YAML"),
    "key twice": ("segments: 3", "segments: 3\nsegments: 4", r"hand\.yaml:7: the key 'segments' stands twice"),
    "no item file": ("hand.jsonl", "none.jsonl", r"none\.jsonl: the item file is missing; put it there or set source"),
    "no media": ("media: clips", "media: none", r"none: the folder of media is missing; put it there or set source"),
    "no data folder": ("media: clips", "media: ${VLBIAS_DATA_DIR}/x", r"VLBIAS_DATA_DIR is not set; set it to"),
    "no passages": ("segments: 3", "context: text", r"hand\.jsonl:1: a context with text needs the key background"),
    "no film": (
        "segments: 3",
        "context: long",
        r"hand\.jsonl:1: a long context needs the keys background .* duration_s",
    ),
    "missing passages": (
        "media: clips",
        "media: clips\n    background: no.json",
        r"no\.json: the background file is missing",
    ),
    "other kind": ("kind: insertion", "kind: grid", r"hand\.yaml:2: kind: found 'grid'; .*'insertion'"),
    "bad name": ("name: hand", "name: ../hand", r"hand\.yaml:1: name: found '\.\./hand'"),
    "drawn too long": (
        "segments: 3\nsource:\n  items:\n    file: hand.jsonl\n    media: clips",
        "segments: 13\nsource:\n  drawn: {clips: 24}",
        r"segments: found 13; a drawn suite has 12 shapes, so at most 12 segments",
    ),
    "frame of no size": ("segments: 3", "frames: {frame_size: [0, 8]}", r"hand\.yaml:6: frames.frame_size.0: found 0"),
    "unknown style": (
        "segments: 3",
        "prompt: {style: letter}",
        r"hand\.yaml:6: prompt.style: found 'letter'; .*'letters'",
    ),
}


@pytest.mark.parametrize("old, new, says", YAMLS.values(), ids=YAMLS.keys())
def test_a_bad_suite_file_is_refused(
    hand: Path, load: Load, monkeypatch: pytest.MonkeyPatch, old: str, new: str, says: str
) -> None:
    monkeypatch.delenv("VLBIAS_DATA_DIR", raising=False)
    text = (hand / "hand.yaml").read_text()
    assert text.count(old) == 1
    (hand / "hand.yaml").write_text(text.replace(old, new))
    with pytest.raises(BadSuite, match=says):
        load(hand)


def changed(**keys: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda row: row | keys


def at(path: str) -> Callable[[dict[str, Any]], Any]:
    return lambda row: row | {"evidence": row["evidence"] | {"path": path}}


ITEMS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "gold text": (changed(gold="ten"), r"gold: 'ten' is not among the options 'one', 'two', 'three'; give one"),
    "gold index": (changed(gold=3), r"gold: 3 is no index of 3 options; give 0 to 2"),
    "gold negative": (changed(gold=-1), r"gold: -1 is no index"),
    "gold fraction": (changed(gold=0.5), r"gold.*valid integer"),
    "options twice": (changed(options=["one", "two", "two"]), r"options: found one twice among .*; make them differ"),
    "one option": (changed(options=["two"]), r"options: found 1; give 2 to 26"),
    "empty option": (changed(options=["two", " "]), r"options.1: .*the text is empty; write it"),
    "options alike": (changed(options=["one", "Two", "two."]), r"options: found one twice among .*; make them differ"),
    "id twice": (changed(probe_id="p0"), r"the probe_id 'p0' stands in line 1 too; rename one"),
    "id with a slash": (changed(probe_id="a/b"), r"probe_id: .*match pattern"),
    "unknown key": (changed(golds=1), r"golds: Extra inputs.*known keys: probe_id, task"),
    "missing key": (lambda row: {k: v for k, v in row.items() if k != "question"}, r"question: Field required"),
    "NUL": (changed(question="how\0many"), r"question: .*NUL or another control character; drop it"),
    "half a pair": (changed(question="\ud800"), r"found half of a surrogate pair"),
    "not an object": (lambda row: [row], r"hand\.jsonl:2: .*"),
    "long line": (changed(question="a" * 1_000_001), r"bytes in one line; a line has at most 1000000"),
    "missing clip": (at("none.mp4"), r"the file .*none\.mp4 is missing; put it there"),
    "up": (at("../hand.yaml"), r"the path '../hand.yaml' leaves the folder of media; give a plain path below"),
    "absolute": (at("/etc/passwd"), r"the path '/etc/passwd' leaves"),
    "drive": (at("C:\\clip.mp4"), r"leaves the folder"),
    "encoded": (at("%2e%2e/hand.yaml"), r"leaves the folder"),
    "folder": (at("."), r"is missing"),
    "hash": (
        changed(evidence={"path": "e1.mp4", "sha256": "0" * 64}),
        r"e1\.mp4: sha256 is [0-9a-f]{64}, the item says 0+;",
    ),
    "no hash": (changed(evidence={"path": "e1.mp4"}), r"evidence.sha256: Field required"),
    "itself": (
        lambda row: row | {"backgrounds": [row["evidence"], row["backgrounds"][0]]},
        r"'e1.mp4' is the evidence itself",
    ),
    "few": (
        lambda row: row | {"backgrounds": row["backgrounds"][:1]},
        r"found 1 backgrounds; 3 segments need 2: add some",
    ),
}


@pytest.mark.parametrize("change, says", ITEMS.values(), ids=ITEMS.keys())
def test_a_bad_item_is_refused_with_its_line(
    hand: Path, load: Load, rows: list[dict[str, Any]], change: Callable[[dict[str, Any]], Any], says: str
) -> None:
    lines = [json.dumps(rows[0]), json.dumps(change(rows[1]))]
    (hand / "hand.jsonl").write_text("\n".join(lines))
    with pytest.raises(BadSuite, match=r"hand\.jsonl:2: .*" + says.removeprefix(r"hand\.jsonl:2: ")):
        load(hand)


RAW = {
    "broken": (b'{"probe_id": ', r"hand\.jsonl:1: not a JSON object .*; write one object per line"),
    "not UTF-8": (b'{"probe_id": "\xff"}', r"hand\.jsonl:1: the byte 0xff is not UTF-8; save the file as UTF-8"),
    "key twice": (b'{"probe_id": "a", "probe_id": "b"}', r"hand\.jsonl:1: .*a key stands twice in one object"),
    "empty": (b"\n\n", r"hand\.jsonl: there is no item; write one probe per line"),
    "deep": (b"[" * 50_000, r"hand\.jsonl:1: "),
}


@pytest.mark.parametrize("raw, says", RAW.values(), ids=RAW.keys())
def test_bad_bytes_of_an_item_file_are_refused(hand: Path, load: Load, raw: bytes, says: str) -> None:
    (hand / "hand.jsonl").write_bytes(raw)
    with pytest.raises(BadSuite, match=says):
        load(hand)


def test_all_bad_lines_are_told_at_once_the_first_twenty_in_full(hand: Path, load: Load) -> None:
    (hand / "hand.jsonl").write_text("{\n" * 25)
    with pytest.raises(BadSuite) as told:
        load(hand)
    lines = str(told.value).splitlines()
    assert [line.split(": ")[0].rsplit(":")[-1] for line in lines[:20]] == [str(k) for k in range(1, 21)]
    assert lines[20:] == ["... and 5 more"]


def test_an_empty_clip_and_a_link_out_of_the_folder_are_refused(hand: Path, load: Load) -> None:
    (hand / "clips" / "e0.mp4").write_bytes(b"")
    with pytest.raises(BadSuite, match=r"hand\.jsonl:1: the file .*e0\.mp4 is empty; copy it again"):
        load(hand)
    (hand / "e0.mp4").write_bytes(b"e0.mp4")
    (hand / "clips" / "e0.mp4").unlink()
    (hand / "clips" / "e0.mp4").symlink_to(hand / "e0.mp4")
    with pytest.raises(BadSuite, match=r"hand\.jsonl:1: the path 'e0.mp4' is a link out of the folder of media; put"):
        load(hand)


def test_check_tells_what_is_wrong_with_probes_made_elsewhere() -> None:
    clips = [Segment(segment_id=f"s{k}", path=f"s{k}.mp4") for k in range(3)]
    bad = Probe(
        probe_id="p", task="t", question="q", options=("a", "a"), gold=0, evidence=clips[0],
        backgrounds=(clips[0], clips[1]), cluster_id="c",
    )  # fmt: skip
    source = insertion.Source(drawn=insertion.DrawnSource(clips=24))
    suite = insertion.Suite(
        name="s", kind="insertion", version=1, description="", licence="", segments=4, source=source
    )
    problems = "\n".join(insertion.check(suite, [bad, bad]))
    for part in (
        "2 probes have this name",
        "found 2 backgrounds; right are 3",
        "option stands twice",
        "evidence itself",
    ):
        assert part in problems


def test_check_knows_the_evidence_by_its_bytes_under_another_name() -> None:
    source = insertion.Source(drawn=insertion.DrawnSource(clips=24))
    suite = insertion.Suite(
        name="s", kind="insertion", version=1, description="", licence="", segments=2, source=source
    )
    for sha256, found in (("a" * 64, ["evidence itself"]), ("b" * 64, [])):
        probe = Probe(
            probe_id="p",
            task="t",
            question="q",
            options=("a", "b"),
            gold=0,
            evidence=Segment(segment_id="e", path="e.mp4", sha256="a" * 64),
            backgrounds=(Segment(segment_id="copy", path="copy.mp4", sha256=sha256),),
            cluster_id="c",
        )
        assert ["evidence itself" for fault in insertion.check(suite, [probe]) if "itself" in fault] == found


def test_options_of_a_sweep_over_slots_may_contain_each_other(
    hand: Path, load: Load, rows: list[dict[str, Any]]
) -> None:
    change = changed(options=["a dog", "a dog and a cat", "two cats"], gold="a dog")
    (hand / "hand.jsonl").write_text("\n".join([json.dumps(rows[0]), json.dumps(change(rows[1]))]))
    assert load(hand)[1].options[:2] == ("a dog", "a dog and a cat")
