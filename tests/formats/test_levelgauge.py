"""Video-LevelGauge's accuracy folder comes in and goes out unchanged, and its numbers are theirs."""

import json

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Audit
from vlbias.errors import BadInput
from vlbias.formats.levelgauge import read, write
from vlbias.metrics import levelgauge


def body(right=3, wrong=1):
    row = {"yes_count": right, "no_count": wrong, "accuracy": right / (right + wrong)}
    return {"count": row, "Total examples": right + wrong, "Average accuracy": row["accuracy"]}


def folder_of(path, codes, **rows):
    for code in codes:
        (path / f"{code}.json").write_text(json.dumps(rows.get(code, body())))
    return path


def test_example_gives_the_published_numbers(awkward_data):
    found = levelgauge.measure(read(awkward_data / "levelgauge_example_acc"), rng=np.random.default_rng(0))
    made = {(e.metric.removeprefix("levelgauge_"), e.slot): e for e in found if e.task == "all"}
    rs = [98.659, 90.754, 88.535, 88.131, 87.636, 87.180, 86.263, 87.999, 88.697, 92.028]
    assert [round(made["RS", k].value, 3) for k in range(10)] == rs
    assert round(made["Smeta", None].value, 1) == 64.9
    assert [round(made[name, None].value, 1) for name in ("Pbs", "Pran", "Pvar", "Pmean")] == [98.7, 12.4, 11.7, 89.6]
    assert round(made["CM", None].value, 3) == 115.864
    assert made["MR", None].label == "U-shaped"
    assert made["CM", None].interval == "not available: counts only"


def test_example_is_written_again_byte_for_byte(awkward_data, tmp_path):
    source = awkward_data / "levelgauge_example_acc"
    for path in write(read(source), folder=tmp_path):
        assert path.read_text().rstrip() == (source / path.name).read_text().rstrip()
    assert read(tmp_path) == read(source)


def test_a_repeat_of_a_trial_is_not_counted_twice(tmp_path):
    audit = Audit(prompt_sha256="d", segments=(), segment_spans=(), n_tokens=None, n_frames=0, batch_size=1)
    rows = []
    for slot, factors in ((0, ()), (1, ()), (1, (("repeat", "1"),))):
        asked = Asked(trial_id=f"{slot}{factors}", probe_id="p", cluster_id="c", background_ids=(), task="t",
                      slot=slot, n_slots=2, n_options=2, gold=1, option_order=(0, 1), factors=factors)  # fmt: skip
        rows.append(Answer(asked=asked, chosen=1, logprobs=None, level="exact", reply=None, audit=audit))
    write(rows, folder=tmp_path)
    assert [t.right + t.wrong for t in read(tmp_path)] == [1, 1]


def test_mixed_numbers_of_slots_are_refused(tmp_path):
    with pytest.raises(BadInput, match="2 and 3 slots are mixed"):
        read(folder_of(tmp_path, ["02-00", "02-01", "03-00"]))


def test_missing_slots_are_named(tmp_path):
    with pytest.raises(BadInput, match="03-01.json"):
        read(folder_of(tmp_path, ["03-00", "03-02"]))


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"count": {"yes_count": "3", "no_count": 1, "accuracy": 0.75}}, "yes_count must be"),
        ({"count": {"yes_count": 3, "no_count": 1, "accuracy": 0.5}}, "accuracy is 0.5"),
        ({"count": 3}, "expected an object"),
        ({**body(), "Total examples": 9}, "add up to 4"),
        ([], "expected an object of tasks"),
    ],
)
def test_bad_file_is_named_with_its_key(tmp_path, bad, match):
    with pytest.raises(BadInput, match=match) as caught:
        read(folder_of(tmp_path, ["02-00", "02-01"], **{"02-01": bad}))
    assert "02-01.json" in str(caught.value)


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no NN-kk.json"):
        read(tmp_path)
