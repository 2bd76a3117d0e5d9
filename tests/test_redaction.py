import pytest

from vlbias.redaction import redacted


@pytest.mark.parametrize(
    "words",
    [
        ["--api_key", "CANARY"],
        ["--api-key=CANARY"],
        ["--model_args", "name=m,api_key=CANARY,dtype=bf16"],
        ["--model_args", '{"token": "CANARY", "name": "m"}'],
        ["--hf_token", "CANARY"],
        ["-a", "base_url=http://x?key=CANARY&v=1"],
        ["name=sk-CANARYCANARY"],
        ["OPENAI_API_KEY=CANARY"],
    ],
)
def test_a_secret_never_reaches_the_command_that_is_stored(words):
    shown = redacted(["vlbias", "run", *words])
    assert "CANARY" not in shown
    assert shown.startswith("vlbias run")
    assert "***" in shown


@pytest.mark.parametrize("words", [["--max_tokens=16"], ["--seed", "3"], ["--tasks", "keyhole,monkey"], ["n_tokens=4"]])
def test_what_is_no_secret_stays(words):
    assert redacted(words) == " ".join(words)
