"""What corrections did is kept beside the run and read back as it was; a damaged file is told and not shown."""

from pathlib import Path

import pytest

from vlbias import proofs
from vlbias.errors import NotARun
from vlbias.estimates import Change, Estimate, MethodCost, MethodProof, Proof

CHANGE = Change(
    before=23.0, before_interval=(18.0, 28.0), after=1.5, after_interval=(0.0, 3.0), change=-21.5,
    change_interval=(-25.0, -17.0), p_value=0.01, interval="t",
)  # fmt: skip
FLIPS = Estimate(metric="flip_rate", value=None, n=4, clusters=2, notes=("why",))
METHOD = MethodProof(
    method="pine:order=given", n=4, clusters=2, changes={"gap": CHANGE, "accuracy": CHANGE}, reduction=None,
    curve_before=(90.0, 60.0), curve_after=(88.0, 87.0), recall_spread=(None, 2.0), flips=(FLIPS, FLIPS), failures=0,
    shape="inside", cost=MethodCost(passes=1.0, tokens=None, seconds_per_trial=0.1, fit_prompts=0, peak_reason="none"),
)  # fmt: skip
PROOF = Proof(
    run_name="r", model="m", fit_share=0.3, n_fit_clusters=2, gap_slots=((0,), (1,)), vanilla_seconds_per_trial=None,
    methods=(METHOD,), refused={"rotor": "not applicable"},
)  # fmt: skip


def test_a_kept_proof_is_read_back_as_it_was(tmp_path: Path) -> None:
    assert proofs.kept(tmp_path) is None
    proofs.keep(tmp_path, PROOF)
    assert proofs.kept(tmp_path) == PROOF


def test_a_damaged_proof_is_told_with_its_path(tmp_path: Path) -> None:
    path = proofs.keep(tmp_path, PROOF)
    path.write_text(path.read_text().replace('"fit_share": 0.3', '"fit_share": "much"'))
    with pytest.raises(NotARun, match=r"proof\.json: is not a proof.*run vlbias debias again"):
        proofs.kept(tmp_path)
