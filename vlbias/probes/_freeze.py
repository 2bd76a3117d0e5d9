"""Freezes a drawn suite to files: each clip is rendered once, with an item file and a manifest beside it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml

from vlbias.disk import sha256_of_file
from vlbias.errors import BadSuite
from vlbias.probes import insertion
from vlbias.probes._items import write
from vlbias.records import Probe, Scene, Segment

Render = Callable[[tuple[Scene, ...]], Path]


def freeze(suite: insertion.Suite, *, seed: int, render: Render, media: Path, items: Path) -> list[Probe]:
    """Draw the suite from `seed` and write its clips, items and manifest; returns its probes over the files.

    `render` makes a film of scenes and returns its path. Each distinct clip becomes `media/<segment_id>.mp4`, and
    `media/manifest.json` tells each file's sha256, licence, seconds, [width, height] in pixels and scene seeds. The
    suite over these items stands beside them as YAML, unless a file of that name is there.
    """
    drawn = suite.source.drawn
    if drawn is None or suite.context != "multi":
        raise BadSuite(f"suite {suite.name}: only a drawn suite with context multi can be frozen; set source.drawn")
    source = suite.source.model_copy(update={"drawn": drawn.model_copy(update={"seed": seed})})
    probes = insertion.probes(suite.model_copy(update={"source": source}), folder=items.parent)
    media.mkdir(parents=True, exist_ok=True)
    segments = {s.segment_id: s for probe in probes for s in (probe.evidence, *probe.backgrounds)}
    files = {name: _filed(segment, render=render, media=media) for name, segment in sorted(segments.items())}
    frozen = [
        replace(
            probe,
            evidence=files[probe.evidence.segment_id],
            backgrounds=tuple(files[segment.segment_id] for segment in probe.backgrounds),
        )
        for probe in probes
    ]
    rows = [_manifest_row(segments[name], file, licence=suite.licence) for name, file in files.items()]
    (media / "manifest.json").write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    write(frozen, items, media=media)
    _write_suite(suite, items.with_suffix(".yaml"), items=items, media=media)
    return frozen


def _write_suite(suite: insertion.Suite, path: Path, *, items: Path, media: Path) -> None:
    """The suite over the item file, as YAML; a file that is there is the user's own and is left alone."""
    if path.exists():
        return
    over_files = {"items": {"file": items.name, "media": Path(os.path.relpath(media, path.parent)).as_posix()}}
    chosen = suite.model_dump(mode="json", exclude_unset=True, by_alias=True) | {"source": over_files}
    path.write_text(yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _filed(segment: Segment, *, render: Render, media: Path) -> Segment:
    path = media / f"{segment.segment_id}.mp4"
    partial = path.with_suffix(".partial")
    shutil.copyfile(render(segment.scenes), partial)
    partial.replace(path)
    return Segment(segment_id=path.name, path=str(path), sha256=sha256_of_file(path))


def _manifest_row(segment: Segment, file: Segment, *, licence: str) -> dict[str, object]:
    return {
        "file": file.segment_id,
        "sha256": file.sha256,
        "licence": licence,
        "seconds": sum(scene.duration_s for scene in segment.scenes),
        "size_px": list(segment.scenes[0].size_wh_px),
        "fps": segment.scenes[0].fps,
        "scene_seeds": [scene.seed for scene in segment.scenes],
    }
