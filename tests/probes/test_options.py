import hashlib
import json
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlbias import rooms, session, store
from vlbias.answers import Answer
from vlbias.config import RunConfig
from vlbias.errors import BadInput, BadSuite
from vlbias.plan import plan
from vlbias.probes import options
from vlbias.run import seen
from vlbias.strictyaml import parse, read
from vlbias.videos.cache import FrameCache

DRAWN = """
name: tiny
kind: options
version: 1
description: a drawn suite
licence: Apache-2.0
orders: {orders}
labels: {labels}
source: {{drawn: {{clips: 24, seed: 5, size_px: [32, 32], duration_s: 1.0, fps: 4.0}}}}
"""


def suite_of(orders: str = "cyclic", labels: str = "[letters]") -> options.Suite:
    text = DRAWN.format(orders=orders, labels=labels)
    return parse(text, where="tiny.yaml", model=options.Suite, error=BadSuite)


def asked(suite: options.Suite) -> list:
    return list(options.trials(options.probes(suite, folder=Path()), suite=suite, seed=1))


def item(**changes: Any) -> dict[str, Any]:
    evidence = {"kind": "image", "path": "i0.png"}
    return {
        "probe_id": "p0", "task": "t", "question": "which one?", "options": ["a cat", "a dog"], "gold": 0,
        "evidence": evidence, "cluster_id": "i0",
    } | changes  # fmt: skip


@pytest.mark.parametrize(("orders", "n"), [("cyclic", 4), ("full", 24), ("gold_moving", 4)])
def test_the_right_option_stands_at_each_place_equally_often(orders: str, n: int) -> None:
    trials = asked(suite_of(orders))
    assert len(trials) == 48 * n == len({t.trial_id for t in trials})
    assert Counter(Counter((t.probe.probe_id, t.gold_displayed) for t in trials).values()) == {n // 4: 192}


def test_orders_of_chance_differ_and_begin_with_balanced_ones() -> None:
    trials = asked(suite_of("5"))
    assert {
        len({t.option_order for t in trials if t.probe.probe_id == p}) for p in {t.probe.probe_id for t in trials}
    } == {5}
    first = [t for t in trials if dict(t.factors)["order"] == "random0"]
    assert Counter(t.gold_displayed for t in first) == {0: 12, 1: 12, 2: 12, 3: 12}


def test_full_holds_every_order_and_moved_gold_keeps_the_others_in_order() -> None:
    trials = asked(suite_of("full"))
    assert {t.option_order for t in trials[:24]} == set(permutations(range(4)))
    for trial in asked(suite_of("gold_moving")):
        rest = [k for k in trial.option_order if k != trial.probe.gold]
        whole = [t for t in asked(suite_of("gold_moving")) if t.probe == trial.probe][0]
        assert rest == [k for k in whole.option_order if k != trial.probe.gold]
        assert dict(trial.factors)["order"] == f"gold{trial.gold_displayed}"
        if trial.probe.probe_id > "clip-0002":
            break


def test_each_label_style_is_asked_under_the_same_orders() -> None:
    trials = asked(suite_of(labels="[letters, none]"))
    orders = {s: [t.option_order for t in trials if ("labels", s) in t.factors] for s in ("letters", "none")}
    assert orders["letters"] == orders["none"] and len(orders["none"]) == 48 * 4


def test_all_orders_of_a_probe_decode_its_clip_once_and_share_all_before_the_options(tmp_path: Path) -> None:
    trials = asked(suite_of("full"))[:48]
    clips = {t.probe.evidence.segment_id for t in trials}
    with FrameCache(tmp_path, num_frames=2) as reader:
        shown = [seen(trial, reader) for trial in trials]
        assert reader.n_decoded == len(clips) < len(trials)
    assert {id(trial.segments) for trial in trials[:24]} == {id(trials[0].segments)}
    assert len({f.sha256 for frames in shown[:24] for f in frames.values()}) == 1


FULL = """
name: full
kind: options
version: 1
description: x
licence: x
orders: full
labels: [none]
prompt: {style: letters}
frames: {num_frames: 2}
source: {drawn: {clips: 24, seed: 5, size_px: [64, 64], duration_s: 1.0, fps: 4.0}}
"""


def test_all_orders_asked_of_a_real_model_cost_one_decoding_one_encoding_and_one_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLBIAS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "full.yaml").write_text(FULL)
    model_args = {"pretrained": "organism:u10", "dtype": "float32"}
    one = RunConfig(tasks=str(tmp_path / "full.yaml"), model="hf", model_args=model_args, limit="2")
    counts, ask_all = [], session.ask_all

    def counted(planned, asking, rows, **given):  # type: ignore[no-untyped-def]
        def now() -> np.ndarray:
            sharing = asking.model.sharing
            return np.array([asking.reader.n_decoded, sharing.features.n_made, sharing.walker.n_tokens])

        before = now()
        spent = ask_all(planned, asking, rows, **given)
        counts.extend(now() - before)
        return spent

    monkeypatch.setattr(session, "ask_all", counted)
    session.ask(one, plan(one), folder=tmp_path / "run")
    answers = [o for o in store.read(tmp_path / "run").outcomes if isinstance(o, Answer)]
    assert len(answers) == 2 * 24 and len({a.asked.option_order for a in answers}) == 24
    (prefix,) = {a.audit.segment_spans[-1][1] for a in answers}
    suffixes = sum((a.audit.n_tokens or 0) - prefix for a in answers)
    assert counts == [1, 1, prefix + suffixes] and prefix > 5 and suffixes > 500


@pytest.fixture
def own(shown_folder: Callable[..., Path]) -> Callable[..., Path]:
    def made(more: str = "", **changes: Any) -> Path:
        row = item(**changes)
        folder = shown_folder("options", [], more)
        sha = hashlib.sha256(b"i0.png").hexdigest()
        row["evidence"]["sha256"] = sha
        (folder / "own.jsonl").write_text(json.dumps(row) + "\n")
        return folder

    return made


def load(folder: Path) -> list:
    return options.probes(read(folder / "own.yaml", options.Suite, error=BadSuite), folder=folder)


def test_a_users_own_image_items_are_read(own: Callable[..., Path]) -> None:
    (probe,) = load(own())
    assert probe.evidence.kind == "image" and probe.options == ("a cat", "a dog")


@pytest.mark.parametrize(
    ("more", "changes", "message"),
    [
        ("", {"options": ["a cat", "A cat."]}, "probe p0: options: 'a cat' and 'A cat.' are the same"),
        ("", {"options": ["cat", "black cat"]}, "probe p0: options: one of 'cat' and 'black cat' contains"),
        ("labels: [letters, symbols]\n", {"options": [f"c{k}" for k in range(9)]}, "found 9, and there are 8 labels"),
        ("", {"options": ["a cat"]}, "probe p0: options: found 1"),
    ],
)
def test_a_bad_item_is_refused_by_name(own: Callable[..., Path], more: str, changes: dict, message: str) -> None:
    with pytest.raises(BadSuite, match=message):
        load(own(more, **changes))


def test_too_many_options_for_all_orders_and_a_cloze_suite_are_refused(own: Callable[..., Path]) -> None:
    for more, changes, message in (
        ("orders: full\n", {"options": [f"c{k}" for k in range(7)]}, "probe p0: 7 options have 5040 orders"),
        ("orders: 3\n", {}, "probe p0: found 3 orders of chance; 2 options have 1 to 2"),
        ("prompt: {style: cloze}\n", {}, "shows no options"),
    ):
        folder = own(more, **changes)
        suite = read(folder / "own.yaml", options.Suite, error=BadSuite)
        with pytest.raises(BadInput, match=message):
            list(options.trials(load(folder), suite=suite, seed=0))


@pytest.mark.parametrize("name", ["options", "options-full", "options-gold", "options-labels"])
def test_the_bundled_suites_are_sound(name: str) -> None:
    path = rooms.data("probes") / f"{name}.yaml"
    suite = read(path, options.Suite, error=BadSuite)
    probes = options.probes(suite, folder=path.parent)
    assert suite.name == name and f"{len(probes)} questions" in suite.description
