"""Models that give boxes or captions' scores: each method says what it lacks and what would give it, by the command."""

from pathlib import Path

import pytest

from vlbias import cli
from vlbias.config import RunConfig
from vlbias.plan import plan
from vlbias.session import ask

NO_WEIGHTS = "needs a white-box model; use the adapter hf"
NO_ATTENTION = "needs the attention weights of the model; use the adapter hf"
NO_PLACES = "the model is shown no options (style cloze, or an encoder)"
NO_OPTIONS = "the questions ask for a place (a box, a point), and it works on options"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an encoder and one of a detector."""
    folder = tmp_path_factory.mktemp("runs")
    asked = {"clip": ("organism:clip_centre", "grid-choice"), "detector": ("organism:owlvit_left", "detection")}
    for name, (weights, suite) in asked.items():
        one = RunConfig(model=name, model_args={"pretrained": weights}, tasks=suite, limit="8")
        ask(one, plan(one), folder=folder / name)
    return folder


@pytest.mark.parametrize(
    ("model", "method", "reason"),
    [
        ("clip", "pine", NO_WEIGHTS),
        ("clip", "within_image", NO_WEIGHTS),
        ("clip", "uac", NO_ATTENTION),
        ("clip", "lad", "the answer is not a segment"),
        ("clip", "pride", NO_PLACES),
        ("clip", "bold", NO_PLACES),
        ("clip", "contextual", NO_PLACES),
        ("clip", "dla", NO_PLACES),
        ("clip", "vector_per_slot", NO_PLACES),
        ("clip", "permute:over=options", NO_PLACES),
        ("clip", "cot", "the model writes no text; use the adapter hf"),
        ("clip", "verbalized", "the model writes no text; use the adapter hf"),
        ("clip", "portia", "it cuts two or more segments of frames"),
        ("detector", "pine", NO_WEIGHTS),
        ("detector", "sink_removal", NO_ATTENTION),
        ("detector", "pride", NO_OPTIONS),
        ("detector", "temperature_per_slot", NO_OPTIONS),
        ("detector", "vcd", NO_OPTIONS),
        ("detector", "cot", NO_OPTIONS),
        ("detector", "verbalized", NO_OPTIONS),
        ("detector", "permute:over=options:merge=vote", NO_OPTIONS),
    ],
)
def test_what_a_model_lacks_is_told_and_nothing_is_written(
    runs: Path, capsys: pytest.CaptureFixture[str], model: str, method: str, reason: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["debias", str(runs / model), "--method", method])
    told = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2 and "not applicable: " in told and reason in told
    assert not (runs / model / "debias").exists()
