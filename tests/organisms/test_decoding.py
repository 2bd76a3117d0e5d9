"""Images as a film shows them: small, noisy, half of them with blurred colours, and otherwise as they were."""

import numpy as np

from vlbias.organisms.decoding import as_decoded


def test_half_of_the_images_lose_sharpness_of_colour_and_none_of_light():
    image_HWC = np.zeros((64, 64, 3), np.uint8)
    image_HWC[:, ::2] = (200, 0, 0)  # red lines, one pixel wide
    drawn = [as_decoded(image_HWC, side_px=64, rng=np.random.default_rng(k)).astype(float) for k in range(40)]
    assert all(one.shape == (64, 64, 3) for one in drawn)
    blue = np.array([one[:, ::2, 2].mean() - one[:, 1::2, 2].mean() for one in drawn])
    red = np.array([one[:, ::2, 0].mean() - one[:, 1::2, 0].mean() for one in drawn])
    assert 10 < (red > 190).sum() < 30 and 0 < red.min() < 150
    assert np.abs(blue).max() < 60
