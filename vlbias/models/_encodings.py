"""How a plain decoder learns where a token stands: rotations, and biases on attention by distance, as pure functions.

Axes: B batch, H heads, L tokens, D head width. Positions and distances count tokens.
"""

from __future__ import annotations

import math

import torch

ENCODINGS = ("rope", "nope", "alibi", "absolute", "t5")
ROPE_THETA = 10000.0
T5_BUCKETS, T5_MAX_DISTANCE = 32, 128


def distances(position_BL: torch.Tensor) -> torch.Tensor:
    """How many tokens the key stands before the query: [B, query, key], 0 for keys that are not before it."""
    return (position_BL[:, :, None] - position_BL[:, None, :]).clamp(min=0)


def rotated(x_BHLD: torch.Tensor, position_BL: torch.Tensor) -> torch.Tensor:
    """Rotates pairs of dimensions by angles that grow with the position (RoPE, Su et al. 2021, equation 15).

    Dimension d is paired with d + D/2, as in Llama, and turns by position * 10000^(-2d/D). So the product of a rotated
    query and a rotated key depends on their distance only.
    """
    half = x_BHLD.shape[-1] // 2
    rate_D = ROPE_THETA ** (-torch.arange(half, device=x_BHLD.device, dtype=torch.float32) / half)
    angle_B1LD = (position_BL[:, None, :, None] * rate_D).float()
    cos_B1LD, sin_B1LD = angle_B1LD.cos().to(x_BHLD.dtype), angle_B1LD.sin().to(x_BHLD.dtype)
    first, second = x_BHLD[..., :half], x_BHLD[..., half:]
    return torch.cat([first * cos_B1LD - second * sin_B1LD, second * cos_B1LD + first * sin_B1LD], dim=-1)


def alibi_slopes(n_heads: int) -> torch.Tensor:
    """The slope of every head, [H]: 2^(-8/H), 2^(-16/H), ..., 2^-8 (ALiBi, Press et al. 2022, section 3).

    `n_heads` is a power of two: for other numbers the paper's code interpolates, which is not done here.
    """
    if n_heads < 1 or n_heads & (n_heads - 1):
        raise ValueError(f"ALiBi's slopes are for a power of two of heads, found {n_heads}")
    steps_H = torch.arange(1, n_heads + 1, dtype=torch.float64)
    return torch.pow(2.0, -8.0 * steps_H / n_heads).float()


def alibi_bias(distance_BLL: torch.Tensor, n_heads: int) -> torch.Tensor:
    """What is added to the attention logits, [B, H, query, key]: minus slope times distance."""
    slope_H11 = alibi_slopes(n_heads).to(distance_BLL.device)[:, None, None]
    return -slope_H11 * distance_BLL[:, None]


def t5_buckets(distance_BLL: torch.Tensor) -> torch.Tensor:
    """The bucket of every distance, 0..31 (T5, Raffel et al. 2020, section 2.1, the decoder's one-sided form).

    Distances 0..15 have a bucket each; 16 wider ones, evenly spaced in the logarithm, reach to 128, and the last holds
    all that is farther. The bounds of the wider ones are compared as whole numbers, so rounding moves no distance.
    """
    exact = T5_BUCKETS // 2
    bounds = [math.ceil(exact * (T5_MAX_DISTANCE / exact) ** (k / exact) - 1e-9) for k in range(1, exact)]
    wide_BLL = torch.bucketize(distance_BLL, torch.tensor(bounds, device=distance_BLL.device), right=True) + exact
    return torch.where(distance_BLL < exact, distance_BLL, wide_BLL)
