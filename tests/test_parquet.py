import json

import pyarrow.parquet as pq
import pytest

from vlbias.answers import Answer, Asked, Audit, Failure, Tally
from vlbias.parquet import export_parquet


@pytest.fixture
def outcomes():
    asked = Asked(
        trial_id="p1/s0",
        probe_id="p1",
        cluster_id="c1",
        background_ids=("b1", "b2"),
        task="colour",
        slot=None,
        n_slots=3,
        n_options=2,
        gold=0,
        option_order=(1, 0),
    )
    audit = Audit(prompt_sha256="f" * 64, segments=(), segment_spans=((0, 3),), n_tokens=5, n_frames=2, batch_size=1)
    answer = Answer(asked=asked, chosen=0, logprobs=(-1.0, -1 / 3), level="exact", reply=None, audit=audit)
    return [
        answer,
        Failure(asked=asked, kind="memory", reason="out of memory"),
        Tally(task="colour", slot=1, n_slots=3, right=2, wrong=1),
    ]


def test_a_parquet_table_gives_the_same_values_back(tmp_path, outcomes):
    export_parquet(outcomes, tmp_path / "rows.parquet")
    answer, failure, tally = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert tuple(answer["logprobs"]) == outcomes[0].logprobs
    assert answer["gold_logprob"] == outcomes[0].gold_logprob
    assert tuple(answer["option_order"]) == (1, 0)
    assert answer["background_ids"] == ["b1", "b2"]
    assert answer["slot"] is None
    assert answer["correct"] is True
    assert json.loads(answer["audit_json"])["segment_spans"] == [[0, 3]]
    assert (failure["row"], failure["kind"], failure["correct"], failure["logprobs"]) == (
        "failure",
        "memory",
        None,
        None,
    )
    assert (tally["right"], tally["wrong"], tally["trial_id"]) == (2, 1, None)
