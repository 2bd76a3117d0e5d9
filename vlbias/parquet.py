"""Outcomes as one flat Parquet table, for analysis elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlbias.answers import Answer, Outcome, Tally
from vlbias.rows import plain

SCHEMA = pa.schema(
    [
        ("row", pa.string()),
        ("trial_id", pa.string()),
        ("probe_id", pa.string()),
        ("cluster_id", pa.string()),
        ("background_ids", pa.list_(pa.string())),
        ("task", pa.string()),
        ("slot", pa.int64()),
        ("n_slots", pa.int64()),
        ("n_options", pa.int64()),
        ("gold", pa.int64()),
        ("option_order", pa.list_(pa.int64())),
        ("chosen", pa.int64()),
        ("correct", pa.bool_()),
        ("logprobs", pa.list_(pa.float64())),
        ("gold_logprob", pa.float64()),
        ("level", pa.string()),
        ("kind", pa.string()),
        ("reason", pa.string()),
        ("path", pa.string()),
        ("decoder", pa.string()),
        ("reply", pa.string()),
        ("box_xyxy", pa.list_(pa.float64())),
        ("point_xy", pa.list_(pa.float64())),
        ("detections", pa.list_(pa.struct([("box_xyxy", pa.list_(pa.float64())), ("score", pa.float64())]))),
        ("right", pa.int64()),
        ("wrong", pa.int64()),
        ("prompt_sha256", pa.string()),
        ("n_tokens", pa.int64()),
        ("n_frames", pa.int64()),
        ("batch_size", pa.int64()),
        ("audit_json", pa.string()),
    ]
)


def export_parquet(outcomes: Sequence[Outcome], path: Path | str) -> None:
    """Writes one row per outcome; a column that an outcome does not have is null, never a number.

    `slot` is 0-based, and null for the probe alone. `logprobs` are natural logarithms in displayed order. `correct`
    is null for failures and open-ended answers. `audit_json` holds the whole audit as JSON.
    """
    pq.write_table(pa.Table.from_pylist([_flat(outcome) for outcome in outcomes], schema=SCHEMA), path)


def _flat(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = dict(plain(outcome))
    if isinstance(outcome, Tally):
        return row
    audit = row.pop("audit")
    row |= row.pop("asked")
    if audit is not None:
        row |= {name: audit[name] for name in ("prompt_sha256", "n_tokens", "n_frames", "batch_size")}
        row["audit_json"] = json.dumps(audit, sort_keys=True, allow_nan=False, ensure_ascii=False)
    if isinstance(outcome, Answer):
        gold = outcome.asked.gold
        row |= {"correct": None if gold is None else outcome.correct, "gold_logprob": outcome.gold_logprob}
    return row
