"""Weighs the shapes that a position curve may have by how well families of curves explain it."""

from __future__ import annotations

import numpy as np
from scipy import linalg, special

from vlbias.metrics._blocks import Floats

BIASED = ("head", "neighbour", "U", "inverted U", "volatile")
NONE_SD = 0.05
# Half-normal sd of a curve's amplitude and how far it may leave its template, both in margins: small and large effects.
AMPLITUDES = ((1.6, 0.08), (6.4, 0.4))
VOLATILE_SD = (0.2, 0.4, 0.8, 1.6, 3.2)


def posterior(curve_S: Floats, covariance_SS: Floats, *, margin: float) -> dict[str, float]:
    """The probability of each shape, equal before the data: marginal likelihoods of templates with free amplitude.

    `curve_S` is the curve less its mean, `covariance_SS` that of the curve. Scales are multiples of `margin`. Each
    template has a half-normal amplitude, so a head is never an upside-down neighbour; "volatile" is white noise.
    """
    basis_SQ = linalg.helmert(len(curve_S)).T
    z_Q, noise_QQ = basis_SQ.T @ curve_S / margin, basis_SQ.T @ covariance_SS @ basis_SQ / margin**2
    eye_QQ = np.eye(len(z_Q))
    logs = {"none": _log_normal(z_Q, noise_QQ + NONE_SD**2 * eye_QQ)}
    for shape, template_KS in templates(len(curve_S)).items():
        found = [
            _log_template(z_Q, noise_QQ + rough**2 * eye_QQ, template_KS @ basis_SQ, scale=scale)
            for scale, rough in AMPLITUDES
        ]
        logs[shape] = float(special.logsumexp(found) - np.log(len(found)))
    loose = [_log_normal(z_Q, noise_QQ + sd**2 * eye_QQ) for sd in VOLATILE_SD]
    logs["volatile"] = float(special.logsumexp(loose) - np.log(len(loose)))
    weights = special.softmax(np.array(list(logs.values())))
    return {name: float(weight) for name, weight in zip(logs, weights)}


def templates(n_slots: int) -> dict[str, Floats]:
    """Curves of range 1 less their mean, [templates, slots], for each shape but volatile."""
    x = np.linspace(0.0, 1.0, n_slots)
    heads = [1 - x, 1 - x**2, *(np.exp(-rate * x) for rate in (1.5, 3.0, 5.0, 8.0, 14.0))]
    # The later ones are flat and fall only over the last slots: a head, not an inverted U.
    heads += [special.expit(12 * (at - x)) for at in (0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0)]
    heads += [(np.arange(n_slots) < width).astype(np.float64) for width in range(1, n_slots // 2 + 1)]
    turns = (0.35, 0.45, 0.5, 0.55, 0.65)
    bowls = [(x - at) ** 2 for at in turns]
    bowls += [
        np.exp(-rate * x) + tilt * np.exp(-rate * (1 - x)) for rate in (2.5, 5, 9) for tilt in (0.4, 0.6, 1, 1.7, 2.5)
    ]
    hills = [-(np.abs(x - at) ** power) for at in turns for power in (1, 2, 3)]
    # Flat ends and a dip or a bump between them: the curve of a trained organism with a planted U.
    bumps = [np.exp(-(((x - at) / 0.25) ** 2)) for at in (0.4, 0.5, 0.6)]
    bowls += [-bump for bump in bumps]
    hills += bumps
    found = {"head": heads, "neighbour": [h[::-1] for h in heads], "U": bowls, "inverted U": hills}
    return {name: np.array([(c - c.mean()) / np.ptp(c) for c in curves]) for name, curves in found.items()}


def shrunk_covariance(score_GS: Floats, n: float) -> Floats:
    """The covariance of a curve from its clusters' scores (each sums to 0 over slots), shrunk towards a multiple of I.

    CV1 (factor G / (G - 1)) with the oracle-approximating shrinkage of Chen et al. 2010, in the space without the mean:
    with few clusters the raw covariance is near singular and makes a shape look surer than it is.
    """
    g, n_slots = score_GS.shape
    basis_SQ = linalg.helmert(n_slots).T
    raw_QQ = basis_SQ.T @ (score_GS.T @ score_GS) @ basis_SQ / (g - 1)
    q, trace, square = n_slots - 1, float(np.trace(raw_QQ)), float((raw_QQ**2).sum())
    spread = (g + 1 - 2 / q) * (square - trace**2 / q)
    share = 1.0 if spread <= 0 else min(1.0, ((1 - 2 / q) * square + trace**2) / spread)
    shrunk_QQ = (1 - share) * raw_QQ + share * trace / q * np.eye(q)
    return np.asarray(basis_SQ @ shrunk_QQ @ basis_SQ.T * g / n**2)


def _log_normal(z_Q: Floats, covariance_QQ: Floats) -> float:
    lower = np.linalg.cholesky(covariance_QQ)
    white = linalg.solve_triangular(lower, z_Q, lower=True)
    return float(-0.5 * white @ white - np.log(np.diag(lower)).sum())


def _log_template(z_Q: Floats, covariance_QQ: Floats, template_KQ: Floats, *, scale: float) -> float:
    """log of the mean over templates of the normal density of z, a half-normal amplitude integrated out."""
    solved_QK = np.linalg.solve(covariance_QQ, template_KQ.T)
    sd_K = 1 / np.sqrt(np.einsum("kq,qk->k", template_KQ, solved_QK) + scale**-2)
    best_K = sd_K * (z_Q @ solved_QK)
    logs = np.log(2 * sd_K / scale) + 0.5 * best_K**2 + special.log_ndtr(best_K)
    return _log_normal(z_Q, covariance_QQ) + float(special.logsumexp(logs) - np.log(len(logs)))
