"""Turns of a chat template: what stands in the system turn is found there, or the prompt is unfit for the model."""

import pytest

from vlbias.models import hf
from vlbias.models._chat import written
from vlbias.records import Fault, OptionScores, Part, Prompt

# transformers turns a tensor into an array the old way in the processor of GLM-4V.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
REFUSING = (
    "{% for m in messages %}{% if m.role == 'system' and m.content is not string %}"
    "{% for x in m.content if x.type != 'text' %}{{ raise_exception('no image in the system turn') }}{% endfor %}"
    "{% endif %}{{ m.role }}\n{% for x in m.content %}{% if x.type == 'video' %}"
    "<|vision_start|><|video_pad|><|vision_end|>{% elif x.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ x.text }}{% endif %}{% endfor %}\n{% endfor %}assistant\n"
)
DEAF = (
    "{% for m in messages if m.role == 'user' %}user\n{% for x in m.content %}{% if x.type == 'video' %}"
    "<|vision_start|><|video_pad|><|vision_end|>{% elif x.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ x.text }}{% endif %}{% endfor %}\n{% endfor %}assistant\n"
)


@pytest.fixture
def turned(frames):
    """A passage and a clip in the system turn, and a clip and a question in the user's."""

    def make(system: str | None = "hello green") -> Prompt:
        parts = (
            Part(text="red ", place=0, kind="text", turn="system"),
            Part(place=1, kind="clip", frames=frames(1), turn="system"),
            Part(place=2, kind="clip", frames=frames(2)),
            Part(text=" what is it ?"),
        )
        return Prompt(trial_id="t", parts=parts, options=("A", "B"), system=system)

    return make


@pytest.mark.parametrize("system", ["hello green", None])
def test_segments_of_both_turns_are_found_in_their_turn(model, turned, system) -> None:
    prompt = turned(system)
    text, chars = written(model.processor, prompt, model._style)
    user = text.lower().rindex("user")
    places = dict(chars)
    assert places[0][1] <= places[1][0] < places[1][1] <= user < places[2][0]
    encoded = model.encoded(prompt)
    passage, first, second = encoded.spans
    ids = encoded.inputs["input_ids"][0].tolist()
    assert passage[0] < passage[1] <= first[0] < first[1] <= second[0]
    assert model.processor.tokenizer.decode(ids[slice(*passage)]).split() == ["red"]
    assert first[1] - first[0] == second[1] - second[0]
    assert system is None or text.index(system) < places[0][0]


def test_a_clip_in_the_system_turn_changes_the_scores(build, turned, frames) -> None:
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu")
    prompt = turned()
    other = Prompt(
        trial_id="t",
        parts=(prompt.parts[0], Part(place=1, kind="clip", frames=frames(7), turn="system"), *prompt.parts[2:]),
        options=prompt.options,
        system=prompt.system,
    )
    one, two = model.score([prompt, other])
    assert isinstance(one, OptionScores) and isinstance(two, OptionScores)
    assert one.logprobs != pytest.approx(two.logprobs, abs=1e-6)


@pytest.mark.parametrize(
    ("template", "reason"), [(REFUSING, "no image in the system turn"), (DEAF, "in the system turn")]
)
def test_a_template_without_such_a_turn_makes_the_prompt_unfit(build, turned, template, reason) -> None:
    model = hf.load(pretrained=str(build("qwen2_vl")), device="cpu")
    model.processor.chat_template = template
    (found,) = model.score([turned()])
    assert isinstance(found, Fault) and found.kind == "unfit" and reason in found.reason
    plain = Prompt(trial_id="t", parts=turned().parts[3:], options=("A", "B"))
    assert isinstance(model.score([plain])[0], OptionScores)
