"""Makes a drawn image look as one that comes out of a film: small, with blurred colours and noise."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

_NOISE = 2.5  # grey levels


def as_decoded(image_HWC: npt.NDArray[np.uint8], *, side_px: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The image at `side_px` x `side_px`, half of them with colours at half resolution, as 4:2:0 video has them."""
    luma_HWC = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2YCrCb)
    if rng.random() < 0.5:
        half = cv2.resize(luma_HWC[:, :, 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        luma_HWC[:, :, 1:] = cv2.resize(half, luma_HWC.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    small = cv2.resize(cv2.cvtColor(luma_HWC, cv2.COLOR_YCrCb2RGB), (side_px, side_px), interpolation=cv2.INTER_AREA)
    noisy = small + rng.normal(0, _NOISE, small.shape)
    decoded: npt.NDArray[np.uint8] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return decoded
