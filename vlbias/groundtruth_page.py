"""Puts what the metrics say of organisms beside the truth: a table for the terminal, and docs/organisms.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlbias.groundtruth import Finding

HEAD = """# Organisms: the instrument held to the truth

Written by `vlbias organism check --probes {probes} --seed {seed} --write` with the names of these organisms, never by
hand.

An organism is a tiny vision-language model trained here. Its true profile is its accuracy at each slot over 20,000
fresh trials, in its manifest. Here it is asked {probes} probes of a drawn suite (three per clip, the cluster) at every
slot, {more} where it has no bias, and the metrics of every run say what they see: a band that is to hold the
whole true curve, and a shape. Prompts go to the model in batches; `tests/test_groundtruth.py` holds a run through the
adapter to the same log-probabilities, within .002.

The true shape is the planted one, or where none was planted the one that slots show which differ by more than 5
points; no other label is right. Slots that differ by less are flat, and any shape said of them is wrong, unless the
20,000 trials themselves find a slope or a bend at .01: then its shape and "none" are both right, as "none" claims that
contrasts lie within 5 points. A true value is a mean of 2,000 trials and more and has an error of its own: *allowing
for its error*, it is inside where the interval of the difference of the two holds 0.

| what | value | goal | reached |
|---|---|---|---|
"""
SUMMARY = (
    "true_value_inside",
    "true_gold_inside",
    "true_value_inside_allowing_for_its_error",
    "true_gold_inside_allowing_for_its_error",
    "right_shape",
    "none_within_margin",
)
TABLE = """
Accuracy in %, by slot. *Inside* counts the slots whose true accuracy, and true gold probability, lie in the
simultaneous band. *Said* is the shape by accuracy with its confidence, then by gold probability.

| organism | family | probes | | {slots} | inside | shape | said |
|---|---|---|---|{line}---|---|---|
"""


def table(findings: Sequence[Finding], rows: Sequence[Mapping[str, Any]]) -> str:
    """The findings as lines of a terminal, aligned."""
    lines = []
    for f in findings:
        lines.append(f"{f.organism:<22} {f.n_slots:>2} slots  true {_percents(f.truth)}   {f.shape}")
        lines.append(f"{'':<22} {f.n_probes:>5} said {_percents(f.measured)}   {_said(f)}   inside {_inside(f)}")
    for row in _summary(rows):
        lines.append(f"{row['name']:<42} {row['value']:.3f}  {row['goal']}  {'yes' if row['ok'] else 'NO'}")
    return "\n".join(lines)


def page(findings: Sequence[Finding], rows: Sequence[Mapping[str, Any]], *, probes: int, seed: int) -> str:
    """The findings as a Markdown page."""
    most = max(f.n_slots for f in findings)
    text = HEAD.format(probes=probes, seed=seed, more=max(f.n_probes for f in findings))
    for row in _summary(rows):
        text += f"| {row['name']} | {row['value']:.3f} | {row['goal']} | {'yes' if row['ok'] else 'no'} |\n"
    text += TABLE.format(slots=" | ".join(str(slot + 1) for slot in range(most)), line="---|" * most)
    for f in findings:
        empty = [""] * (most - f.n_slots)
        true = [f"{100 * v:.1f}" for v in f.truth] + empty
        seen = [f"{100 * v:.1f} ({100 * a:.1f} to {100 * b:.1f})" for v, a, b in zip(f.measured, f.low, f.high)] + empty
        text += f"| `{f.organism}` | {f.family} | | true | {' | '.join(true)} | | {f.shape} | |\n"
        text += f"| | | {f.n_probes} | found | {' | '.join(seen)} | {_inside(f)} | | {_said(f)} |\n"
    return text


def _summary(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["name"] in SUMMARY]


def _percents(shares: Sequence[float]) -> str:
    return " ".join(f"{100 * share:5.1f}" for share in shares)


def _said(f: Finding) -> str:
    sure = "" if f.confidence is None else f" {f.confidence:.2f}"
    return f"{f.label}{sure}, {f.gold_label}"


def _inside(f: Finding) -> str:
    return f"{f.inside} and {f.gold_inside} of {f.n_slots}"
