"""Draws scenes: sprites that move in straight lines over a texture become frames, or an H.264 film on disk."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput
from vlbias.records import RGB, FramesTHWC, Scene, Sprite, digest
from vlbias.videos._forms import FORMS, WORD
from vlbias.videos._hanging import hang
from vlbias.videos.extents import turned

Field: TypeAlias = npt.NDArray[np.float32]
_SUBPIXEL_BITS = 4
_BT709 = 1
_KEYFRAME_S = 0.5
_TEXTURE_LEVELS = 14.0
_GRAIN_LEVELS = 1.0
_FORM_REACH, _WORD_REACH = 1.5, 6.0  # how far from its middle a sprite is drawn, in radii


def frames(scenes: Sequence[Scene]) -> FramesTHWC:
    """All frames of the scenes, shown one after the other: uint8 [T, H, W, 3], RGB.

    Frame k of a scene shows the time (k + 1/2) / fps. The same scenes give the same pixels. BadInput when the scenes
    differ in size or in frame rate, when a side is odd, or when a form or a texture is unknown.
    """
    _check(scenes)
    return np.concatenate([_draw(scene, _times(scene)) for scene in scenes])


def snapshots(scene: Scene, times_s: Sequence[float]) -> FramesTHWC:
    """The scene at the given times, seconds from its start: uint8 [T, H, W, 3], RGB."""
    _check([scene])
    return _draw(scene, times_s)


def film(scenes: Sequence[Scene], *, folder: Path) -> Path:
    """The path of an MP4 of the scenes in `folder`, named by their content; a whole file is left alone.

    The file's sha256 stands beside it, so that a film that was damaged on disk is drawn again.

    H.264, yuv420p, limited range, tagged and converted as BT.709, a keyframe each half second. The same scenes give
    the same bytes on one machine with one FFmpeg. The file appears whole or not at all.
    """
    path = folder / f"{digest([asdict(scene) for scene in scenes])[:24]}.mp4"
    if _whole(path):
        return path
    pixels_THWC = frames(scenes)
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=".mp4", prefix=".drawing-", dir=folder)
    os.close(handle)
    try:
        _encode(pixels_THWC, Path(name), fps=scenes[0].fps)
        Path(name).chmod(0o644)
        told = Path(name).with_suffix(".sha256")
        told.write_text(sha256_of_file(Path(name)), encoding="ascii")
        Path(name).replace(path)
        told.replace(path.with_suffix(".sha256"))
    finally:
        Path(name).unlink(missing_ok=True)
        Path(name).with_suffix(".sha256").unlink(missing_ok=True)
    return path


def _whole(path: Path) -> bool:
    try:
        return path.with_suffix(".sha256").read_text(encoding="ascii") == sha256_of_file(path)
    except OSError:
        return False


def _check(scenes: Sequence[Scene]) -> None:
    if not scenes:
        raise BadInput("a film needs at least one scene, found none")
    first = scenes[0]
    for scene in scenes:
        if (scene.size_wh_px, scene.fps) != (first.size_wh_px, first.fps):
            raise BadInput(
                "the scenes of one film share size and frame rate, "
                f"found {first.size_wh_px} at {first.fps} and {scene.size_wh_px} at {scene.fps}"
            )
        if any(side <= 0 or side % 2 for side in scene.size_wh_px):
            raise BadInput(f"the sides of a scene are even and positive, found {scene.size_wh_px}")
        if not round(scene.duration_s * scene.fps) >= 1:
            raise BadInput(
                f"a scene has at least one frame, found {scene.duration_s} s at {scene.fps} frames per second"
            )
        if scene.texture not in _TEXTURES:
            raise BadInput(f"unknown texture {scene.texture!r}; known: {', '.join(sorted(_TEXTURES))}")
        for sprite in scene.sprites:
            if sprite.form not in (*FORMS, WORD):
                raise BadInput(f"unknown form {sprite.form!r}; known: {', '.join((*FORMS, WORD))}")
            if (sprite.form == WORD) != bool(sprite.text and sprite.text.isascii() and sprite.text.isprintable()):
                raise BadInput(f"the form {WORD} needs a text of plain letters and no other form has one: {sprite}")


def _times(scene: Scene) -> list[float]:
    return [(k + 0.5) / scene.fps for k in range(round(scene.duration_s * scene.fps))]


def _draw(scene: Scene, times_s: Sequence[float]) -> FramesTHWC:
    bare_HWC, state = _backdrop(scene.size_wh_px, scene.backdrop_rgb, scene.texture, scene.seed)
    rng = np.random.default_rng(scene.seed)
    rng.bit_generator.state = state
    backdrop_HWC = bare_HWC.copy() if scene.pictures else bare_HWC
    for picture in scene.pictures:
        hang(picture, backdrop_HWC)
    drawn = []
    for time_s in times_s:
        image_HWC = backdrop_HWC.copy()
        for sprite in scene.sprites:
            _lay(sprite, image_HWC, time_s - scene.duration_s / 2)
        # Grain keeps every frame different, so that a decoder that repeats a frame is caught.
        image_HWC += _GRAIN_LEVELS * rng.standard_normal(image_HWC.shape[:2], dtype=np.float32)[:, :, None]
        drawn.append(np.clip(np.rint(image_HWC, out=image_HWC), 0, 255, out=image_HWC).astype(np.uint8))
    return np.stack(drawn)


def _lay(sprite: Sprite, image_HWC: Field, after_half_s: float) -> None:
    """Lay one sprite over the image, in place."""
    height, width = image_HWC.shape[:2]
    sides_xy = np.array([width, height], dtype=np.float64)
    centre_xy = (np.array(sprite.centre_xy) + np.array(sprite.velocity_xy) * after_half_s) * sides_xy
    radius_px = sprite.radius * height
    # Only the box around the sprite is touched: a large frame costs no more than a small one.
    reach_px = (_WORD_REACH if sprite.form == WORD else _FORM_REACH) * radius_px
    low = np.maximum(np.floor(centre_xy - reach_px).astype(int), 0)
    high = np.minimum(np.ceil(centre_xy + reach_px).astype(int) + 1, [width, height])
    if (high <= low).any():
        return
    mask_HW = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    if sprite.form == WORD:
        _write(sprite.text or "", mask_HW, centre_xy - low, radius_px)
    else:
        _trace(sprite, mask_HW, centre_xy - low, radius_px)
    part_HWC = image_HWC[low[1] : high[1], low[0] : high[0]]
    cover_HW1 = mask_HW.astype(np.float32)[:, :, None] / 255
    part_HWC += cover_HW1 * (np.array(sprite.colour_rgb, np.float32) - part_HWC)


def _trace(sprite: Sprite, mask_HW: npt.NDArray[np.uint8], centre_xy: Any, radius_px: float) -> None:
    """The strokes and fills of a form, mirrored and turned as the sprite says."""
    for kind, points, weight in FORMS[sprite.form]:
        shape_P2 = turned(points, turn_deg=sprite.turn_deg, mirrored=sprite.mirrored)
        place_px = [np.rint((shape_P2 * radius_px + centre_xy) * (1 << _SUBPIXEL_BITS)).astype(np.int32)]
        if kind == "line":
            thick = max(1, round(weight * radius_px))
            cv2.polylines(mask_HW, place_px, False, 255, thick, cv2.LINE_AA, _SUBPIXEL_BITS)
        else:
            cv2.fillPoly(mask_HW, place_px, 255 if kind == "fill" else 0, cv2.LINE_AA, _SUBPIXEL_BITS)


def _write(text: str, mask_HW: npt.NDArray[np.uint8], centre_xy: Any, radius_px: float) -> None:
    """Words in one line, as high as the sprite and at most `_WORD_REACH` radii to each side."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    scale = min(2 * radius_px / height, 2 * (_WORD_REACH - 0.5) * radius_px / width)
    thick = max(1, round(2 * scale))
    left = round(float(centre_xy[0]) - width * scale / 2)
    bottom = round(float(centre_xy[1]) + height * scale / 2)
    cv2.putText(mask_HW, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)


# --- backdrops


@lru_cache(maxsize=4)
def _backdrop(
    size_wh_px: tuple[int, int], backdrop_rgb: RGB, texture: str, seed: int
) -> tuple[Field, Mapping[str, Any]]:
    """The backdrop, which nobody may write to, and the state of chance after it.

    It is most of the work of an image, and a thing in every cell of an image has one backdrop.
    """
    width, height = size_wh_px
    rng = np.random.default_rng(seed)
    x_HW, y_HW = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    wave_HW = _TEXTURES[texture](x_HW, y_HW, rng) * _TEXTURE_LEVELS
    backdrop_HWC = np.asarray(np.array(backdrop_rgb) + wave_HW[:, :, None], dtype=np.float32)
    backdrop_HWC.flags.writeable = False
    return backdrop_HWC, rng.bit_generator.state


def _plain(x_HW: Any, _y_HW: Any, _rng: np.random.Generator) -> Any:
    return np.zeros_like(x_HW)


def _stripes(x_HW: Any, y_HW: Any, rng: np.random.Generator) -> Any:
    angle, waves = rng.uniform(0, math.pi), rng.uniform(3, 8)
    return np.sign(np.sin(2 * math.pi * waves * (x_HW * math.cos(angle) + y_HW * math.sin(angle)))) / 2


def _checks(x_HW: Any, y_HW: Any, rng: np.random.Generator) -> Any:
    waves = rng.uniform(2, 5)
    return np.sign(np.sin(2 * math.pi * waves * x_HW) * np.sin(2 * math.pi * waves * y_HW)) / 2


def _gradient(x_HW: Any, y_HW: Any, rng: np.random.Generator) -> Any:
    angle = rng.uniform(0, 2 * math.pi)
    return (x_HW - 0.5) * math.cos(angle) + (y_HW - 0.5) * math.sin(angle)


def _speckle(x_HW: Any, _y_HW: Any, rng: np.random.Generator) -> Any:
    coarse = rng.standard_normal((12, 12)).astype(np.float32)
    return cv2.resize(coarse, x_HW.shape[::-1], interpolation=cv2.INTER_LINEAR) / 2


_TEXTURES: dict[str, Callable[[Any, Any, np.random.Generator], Any]] = {
    "plain": _plain,
    "stripes": _stripes,
    "checks": _checks,
    "gradient": _gradient,
    "speckle": _speckle,
}


# --- the film


def _encode(pixels_THWC: FramesTHWC, path: Path, *, fps: float) -> None:
    height, width = pixels_THWC.shape[1:3]
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", format="mp4") as box:
        stream: Any = box.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # One thread: the bytes must not hang on how many cores there are.
        stream.options = {"crf": "16", "preset": "medium", "threads": "1", "bf": "2"}
        stream.gop_size = max(1, round(fps * _KEYFRAME_S))
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG
        for image_HWC in pixels_THWC:
            box.mux(stream.encode(_to_yuv(image_HWC)))
        box.mux(stream.encode(None))


def _to_yuv(image_HWC: npt.NDArray[np.uint8]) -> Any:
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_HWC), format="rgb24")
    made = picture.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )
    made.pts = None
    return made
