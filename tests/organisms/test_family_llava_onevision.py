"""What sets LLaVA-OneVision apart: every frame is seen alone, and motion is a difference of frames."""

import numpy as np
import torch

from vlbias.organisms import architecture, family_llava_onevision

SMALL = architecture.Size(hidden=32, layers=1, vision_hidden=16, vision_layers=1)


def _seen(*frames_HWC: np.ndarray) -> torch.Tensor:
    torch.manual_seed(0)
    organism = family_llava_onevision.model(SMALL).eval()
    levels = torch.from_numpy(family_llava_onevision.arranged(np.stack(frames_HWC)))
    with torch.no_grad():
        return family_llava_onevision.see(organism, levels[None].float() / 255)


def _frame(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (56, 56, 3), dtype=np.uint8)


def test_a_frame_is_seen_alike_whatever_the_other_shows() -> None:
    one, other = _seen(_frame(1), _frame(2)), _seen(_frame(1), _frame(3))
    torch.testing.assert_close(one[:, :4], other[:, :4])
    assert not torch.allclose(one[:, 4:8], other[:, 4:8])


def test_a_still_clip_does_not_move_and_reversed_frames_move_back() -> None:
    still, there, back = _seen(_frame(1), _frame(1)), _seen(_frame(1), _frame(2)), _seen(_frame(2), _frame(1))
    moved = family_llava_onevision.moved
    assert moved(still).abs().max() < 1e-6
    assert moved(there).abs().max() > 1e-3
    torch.testing.assert_close(moved(there), -moved(back))


def test_the_end_of_a_picture_shows_nothing() -> None:
    one, other = _seen(_frame(1), _frame(2)), _seen(_frame(3), _frame(4))
    assert torch.equal(one[:, -1], other[:, -1])
    assert family_llava_onevision.shows(one).shape[1] == len(family_llava_onevision.segment()) - 1
