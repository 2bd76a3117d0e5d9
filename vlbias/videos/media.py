"""Images as one frame."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import PIL
from PIL import ExifTags, Image, ImageOps

from vlbias.errors import DecodeError
from vlbias.records import FramesTHWC

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP")
MAX_IMAGE_PX = 64_000_000
_ON_ITS_SIDE = (5, 6, 7, 8)  # orientations of EXIF that exchange width and height


def image_version() -> str:
    """The version of the library that reads images."""
    return f"Pillow {PIL.__version__}"


def size(path: Path) -> tuple[int, int]:
    """Width and height of a JPEG, PNG or WebP, turned as its EXIF says; only the head of the file is read.

    DecodeError where it is none. Whether the pixels are whole is for `image` to find.
    """
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as file:
            lies = file.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE
            return (file.height, file.width) if lies else (file.width, file.height)
    except (OSError, SyntaxError, ValueError) as error:
        raise DecodeError(path=str(path), decoder="pillow", reason=f"cannot be read: {error}") from error


def image(path: Path, *, max_px: int = MAX_IMAGE_PX) -> FramesTHWC:
    """A JPEG, PNG or WebP as one frame, uint8 RGB [1, H, W, 3], turned as its EXIF says.

    DecodeError: another format, more than `max_px` pixels (told from the header), damaged, or moving.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=IMAGE_FORMATS) as file:
                if file.width * file.height > max_px:
                    reason = f"{file.width} x {file.height} pixels, the limit is {max_px} in all"
                    raise DecodeError(path=str(path), decoder="pillow", reason=reason)
                if getattr(file, "n_frames", 1) > 1:
                    raise DecodeError(path=str(path), decoder="pillow", reason="a moving image; give it as a clip")
                pixels = np.asarray(ImageOps.exif_transpose(file).convert("RGB"), dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DecodeError(path=str(path), decoder="pillow", reason=f"cannot be read: {error}") from error
    frames_THWC: FramesTHWC = pixels[None].copy()
    return frames_THWC
