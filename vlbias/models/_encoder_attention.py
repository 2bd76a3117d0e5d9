"""The attention of an image encoder's layers over its patches, for some images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoImageProcessor, AutoModel

from vlbias.errors import ModelError
from vlbias.models._position_tables import grid_of
from vlbias.records import FramesTHWC


def patch_attention(
    pretrained: str, images: Sequence[FramesTHWC], *, device: str = "cpu"
) -> tuple[list[npt.NDArray[np.float64]], tuple[int, int]]:
    """For each layer the mean attention over the images, [heads, patches, patches], and the grid's rows and columns.

    A class token in front is cut away; rows are not summed to one again. ModelError where the encoder is not one that
    takes `pixel_values` and gives attention over a square grid.
    """
    try:
        processor = AutoImageProcessor.from_pretrained(pretrained, local_files_only=True)
        model = AutoModel.from_pretrained(pretrained, attn_implementation="eager", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{pretrained}: no image encoder with a processor can be loaded from it: {error}") from error
    encoder = getattr(model, "vision_model", model).to(device).eval()
    total: list[npt.NDArray[np.float64]] = []
    for frames_THWC in images:
        pixels = processor(images=list(frames_THWC), return_tensors="pt")["pixel_values"].to(device)
        try:
            with torch.no_grad():
                layers = encoder(pixel_values=pixels, output_attentions=True).attentions
        except TypeError as error:
            raise ModelError(f"{pretrained}: its encoder gives no attention for pixel values: {error}") from error
        seen = [layer_BHLL.double().mean(dim=0).cpu().numpy() for layer_BHLL in layers or ()]
        total = [a + b for a, b in zip(total, seen, strict=True)] if total else seen
    if not total:
        raise ModelError(
            f"{pretrained}: its encoder gives no attention; one whose layers attend over patches is needed"
        )
    shape = grid_of(total[0].shape[-1])
    if shape is None:
        raise ModelError(
            f"{pretrained}: its encoder attends over {total[0].shape[-1]} places, which are no square grid"
        )
    rows, columns, n_leading = shape
    return [layer[:, n_leading:, n_leading:] / len(images) for layer in total], (rows, columns)
