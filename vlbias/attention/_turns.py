"""Turns queries by a number of positions, in fp32 at least, rounding once."""

from __future__ import annotations

import torch
from torch import Tensor

from vlbias.attention.contract import Rotation


def paired(x_HTD: Tensor, rotation: Rotation) -> Tensor:
    """A copy whose features that turn together stand side by side, so that a turn is one complex product.

    Queries and keys put into this order alike keep their dot products.
    """
    if rotation.pairing == "adjacent":
        return x_HTD.contiguous()
    width = 2 * rotation.inv_freq_F.shape[0]
    first, second = x_HTD[..., :width].chunk(2, dim=-1)
    return torch.cat((torch.stack((first, second), dim=-1).flatten(-2), x_HTD[..., width:]), dim=-1)


def phases(turn: Tensor, rotation: Rotation, width: int, dtype: torch.dtype) -> Tensor:
    """The complex factors [.., D / 2] of turns in positions [..]; features that do not turn have factor 1.

    Angles are fp64: in fp32 an angle of 20,000 positions is off by a milliradian.
    """
    angle = turn[..., None].double() * rotation.inv_freq_F.to(turn.device).double()
    still = angle.new_zeros(*angle.shape[:-1], width // 2 - angle.shape[-1])
    angle = torch.cat((angle, still), dim=-1)
    return torch.polar(torch.ones_like(angle), angle).to(
        torch.complex128 if dtype == torch.float64 else torch.complex64
    )


def turned(paired_HQD: Tensor, phase_HQF: Tensor, out_HQD: Tensor) -> None:
    """Writes queries in paired order, turned, to `out_HQD`, which has the dtype of the keys."""
    wide = torch.float64 if phase_HQF.dtype == torch.complex128 else torch.float32
    complex_HQF = torch.view_as_complex(paired_HQD.to(wide).reshape(*paired_HQD.shape[:-1], -1, 2))
    if out_HQD.dtype == wide:
        torch.mul(complex_HQF, phase_HQF, out=torch.view_as_complex(out_HQD.view(*out_HQD.shape[:-1], -1, 2)))
    else:
        out_HQD.copy_(torch.view_as_real(complex_HQF * phase_HQF).flatten(-2))


def turned_copies(query_HMD: Tensor, turn_GMS: Tensor, rotation: Rotation) -> Tensor:
    """One copy of every query per segment, turned, in the feature order of the model, [H, M, S, D]; for few queries."""
    width = 2 * rotation.inv_freq_F.shape[0]
    wide_HM1D = query_HMD.to(torch.promote_types(query_HMD.dtype, torch.float32)).unsqueeze(2)
    angle_GMSF = turn_GMS[..., None].double() * rotation.inv_freq_F.to(turn_GMS.device).double()
    cos, sin = angle_GMSF.cos().to(wide_HM1D.dtype), angle_GMSF.sin().to(wide_HM1D.dtype)
    half = rotation.pairing == "half"
    a, b = wide_HM1D[..., :width].chunk(2, dim=-1) if half else (wide_HM1D[..., 0:width:2], wide_HM1D[..., 1:width:2])
    parts = (a * cos - b * sin, b * cos + a * sin)
    moved = torch.cat(parts, dim=-1) if half else torch.stack(parts, dim=-1).flatten(-2)
    rest = wide_HM1D[..., width:].expand(*moved.shape[:-1], -1)
    return torch.cat((moved, rest), dim=-1).to(query_HMD.dtype)
