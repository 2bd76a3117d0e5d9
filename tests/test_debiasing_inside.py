"""The loop with changes inside a real model: every order of the segments gets one answer, and nothing is hidden."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vlbias import arms, debiasing
from vlbias.answers import Answer
from vlbias.config import RunConfig
from vlbias.debias import Setting
from vlbias.debias.profile_pine import best_slot
from vlbias.errors import NotApplicable
from vlbias.organisms import architecture
from vlbias.plan import plan
from vlbias.reports import _corrections as shown
from vlbias.session import ask
from vlbias.store import read

SMALL = architecture.Size(hidden=32, layers=2, vision_hidden=16, vision_layers=1)
INSIDE = "pine,rotor,profile_pine"


def asked(pretrained: str, folder: Path, *, limit: str) -> Path:
    """A run of an organism on the first probes of the demo."""
    given: Any = {"pretrained": pretrained, "dtype": "float32"}
    one = RunConfig(tasks="demo", model="hf", model_args=given, limit=limit, batch_size=11, num_frames=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLBIAS_CACHE_DIR", str(folder / "cache"))
        ask(one, plan(one), folder=folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An organism with strong random weights: its answers depend on the order, for no reason."""
    folder = tmp_path_factory.mktemp("random")
    torch.manual_seed(4)
    organism = architecture.family("qwen2_vl").model(SMALL)
    with torch.no_grad():
        for value in organism.parameters():
            if value.dim() > 1:
                value.normal_(0, 0.3)
    architecture.save(organism, folder / "model")
    return asked(str(folder / "model"), folder, limit="8")


def distributions(rows: list[Any]) -> dict[str, set[tuple[float, ...]]]:
    """The different log-probabilities of the suite's options that each probe got over the slots."""
    found: dict[str, set[tuple[float, ...]]] = defaultdict(set)
    for row in rows:
        assert isinstance(row, Answer) and row.logprobs is not None
        if row.asked.slot is not None:
            by_option = sorted(zip(row.asked.option_order, row.logprobs))
            found[row.asked.probe_id].add(tuple(value for _, value in by_option))
    return found


def test_a_patched_model_gives_one_answer_for_all_slots_and_the_proof_says_so(run: Path) -> None:
    proof = debiasing.debias(run, INSIDE, fit_share=0.5)
    rows = {row["name"]: row for row in shown.rows(proof)}
    for method in INSIDE.split(","):
        assert rows[f"{method}_flips_before"]["value"] > 0
        assert rows[f"{method}_flips_after"]["value"] == 0
        assert rows[f"{method}_gap_after"]["value"] == pytest.approx(0, abs=1e-9)
        assert rows[f"{method}_cost"]["value"] == 1
        # Under the method all slots of a probe are one prompt; vanilla prefills a segment anew for every order.
        assert 0 < rows[f"{method}_tokens"]["value"] < 0.5
        found = distributions(list(read(run / "debias" / method).outcomes))
        # On some machines a row's place in the batch moves the last bits of a sum.
        assert found and all(np.ptp(list(values), axis=0).max() < 1e-4 for values in found.values())
    vanilla = distributions([o for o in read(run).outcomes if isinstance(o, Answer)])
    assert all(np.ptp(list(values), axis=0).max() > 1e-2 for values in vanilla.values())
    told = dict(zip(shown.COLUMNS, shown.table(proof)[1]))
    assert told["flips"].endswith("> 0.0")


def test_the_demo_organism_under_pine_never_changes_its_choice_with_the_slot(tmp_path: Path) -> None:
    run = asked("organism:u10", tmp_path, limit="12-20")
    (pine,) = debiasing.debias(run, "pine", fit_share=0.5).methods
    before, after = pine.flips
    assert before.value is not None and before.value > 0 and after.value == 0
    assert np.ptp(pine.curve_before) > 0 and np.ptp(pine.curve_after) == pytest.approx(0, abs=1e-9)


def test_a_method_inside_sees_only_fitting_answers_where_it_measures(run: Path, monkeypatch: Any) -> None:
    arm = arms.load("profile_pine")
    seen: list[Answer] = []
    plain = type(arm.method).fitted
    monkeypatch.setattr(type(arm.method), "fitted", lambda self, answers: seen.extend(answers) or plain(self, answers))
    proof = debiasing.debias(run, "profile_pine", fit_share=0.5)
    held_out = {o.asked.probe_id for o in read(run / "debias" / "profile_pine").outcomes if isinstance(o, Answer)}
    assert seen and not held_out & {a.asked.probe_id for a in seen}
    assert proof.n_fit_clusters == len({a.asked.cluster_id for a in seen})
    assert 0 <= best_slot(seen) < 10


def test_the_best_slot_must_be_given_where_nothing_is_fitted() -> None:
    setting = Setting(kind="insertion", n_slots=10, n_options=4, logprobs=True, white_box=True, n_fit=None)
    with pytest.raises(NotApplicable, match="give best_slot=K"):
        arms.load("profile_pine").method.needs(setting)
    arms.load("profile_pine:best_slot=3").method.needs(setting)


def test_every_method_of_the_room_loads_without_options() -> None:
    assert {arm.shape for arm in arms.every()} == {"before", "inside", "after"}
