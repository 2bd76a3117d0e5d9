"""Lays a picture file into a drawn image: whole, in proportion, mirrored and turned as it says, read once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput
from vlbias.records import Picture
from vlbias.videos import media
from vlbias.videos.extents import fitted_px, quarter_turns, room_px

Pixels: TypeAlias = npt.NDArray[np.uint8]


def hang(picture: Picture, image_HWC: npt.NDArray[np.float32]) -> None:
    """Lay one picture over the image, in place; a file that has changed is refused."""
    path = Path(picture.path)
    found = sha256_of_file(path) if path.is_file() else "missing"
    if found != picture.sha256:
        raise BadInput(f"{path}: sha256 is {found}, the scene was made of {picture.sha256}; restore the file")
    height, width = image_HWC.shape[:2]
    left, top, across, down = room_px(picture, size_wh_px=(width, height))
    quarters = quarter_turns(picture)
    upright_HWC = _scaled(picture.path, picture.sha256, (down, across) if quarters % 2 else (across, down))
    facing_HWC = upright_HWC[:, ::-1] if picture.mirrored else upright_HWC
    shown_HWC = np.rot90(facing_HWC, k=-quarters)
    h, w = shown_HWC.shape[:2]
    x, y = left + (across - w) // 2, top + (down - h) // 2
    if x < 0 or y < 0 or x + w > width or y + h > height:
        raise BadInput(f"{path}: its box {picture.box_xyxy} does not lie in the frame")
    image_HWC[y : y + h, x : x + w] = shown_HWC


@lru_cache(maxsize=32)
def _scaled(path: str, sha256: str, room_wh_px: tuple[int, int]) -> Pixels:
    """A picture that fills its room, upright, which nobody may write to; `sha256` tells files of one path apart.

    It is scaled before it is turned, so that a picture and its turned twin hold the same pixels. To read a photograph
    is most of the work of an image, and a picture that is asked about at every place has one size.
    """
    file_HWC = _file(path, sha256)
    file_wh_px = file_HWC.shape[1], file_HWC.shape[0]
    wh_px = fitted_px(file_wh_px, room_wh_px)
    way = cv2.INTER_AREA if wh_px[0] < file_wh_px[0] else cv2.INTER_LINEAR
    scaled_HWC = np.asarray(cv2.resize(file_HWC, wh_px, interpolation=way), dtype=np.uint8)
    scaled_HWC.flags.writeable = False
    return scaled_HWC


@lru_cache(maxsize=1)
def _file(path: str, sha256: str) -> Pixels:
    """A picture as its file holds it: what is looked at before a run is drawn at several sizes in turn."""
    del sha256
    file_HWC: Pixels = media.image(Path(path))[0]
    return file_HWC
