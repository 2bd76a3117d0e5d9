"""A run through a correction: a saved file, a patch of the model, or a method that asks several prompts per trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeAlias

from vlbias import arms, corrections
from vlbias.answers import Answer, Failure, asked
from vlbias.debias import Setting
from vlbias.debias._arguments import options_shown
from vlbias.errors import BadInput
from vlbias.models import Model
from vlbias.plan import Plan
from vlbias.records import Prompt, digest
from vlbias.run import Asking, answered

Through: TypeAlias = Callable[[Sequence[Prompt], Asking], list[Answer | Failure]]


@contextmanager
def debiased(
    text: str | None, model: Model, plan: Plan, *, mode: str, seed: int
) -> Iterator[tuple[Model, Through | None]]:
    """The model and the way of asking it that `--debias` names; outside of the context the model is as it was.

    `text` is the file of a fitted correction (it ends in .json), or a method with its options as `arms.load` reads it.
    Errors: NotApplicable for another model, for probes that were fitted on, and for what a method lacks; BadInput for
    a method that must be fitted first.
    """
    if text is None:
        yield model, None
    elif text.endswith(".json"):
        saved = _checked(text, model, plan)
        method = arms.load(saved.method).method
        with method.observed(model) if hasattr(method, "observed") else nullcontext(model) as seen:
            yield seen, _through(saved)
    else:
        arm = arms.load(text)
        if arm.shape == "after":
            raise BadInput(
                f"--debias {text}: is fitted first: vlbias debias RUN --method {text} saves "
                f"RUN/debias/{arm.slug}.json; give that file"
            )
        arm.method.needs(setting(plan, model, mode=mode))
        if arm.shape == "before":
            yield model, arms.through(arm, seed=seed)
        else:
            with arm.method.applied(model) as patched:
                yield patched, None


def described(text: str | None) -> dict[str, str]:
    """What a run's record says of its correction: a file by its name and the sha256 of what it holds."""
    if text is None or not text.endswith(".json"):
        return {}
    saved = corrections.load(text)
    return {"debias": Path(text).name, "debias_sha256": digest([saved.named, dict(saved.correction.to_json())])}


def setting(plan: Plan, model: Model, *, mode: str) -> Setting:
    """What a method is applied to, from the plan and the model."""
    return Setting(
        kind=plan.suite.kind,
        n_slots=max(trial.n_slots for trial in plan.trials),
        n_segments=max(len(trial.segments) for trial in plan.trials),
        n_options=min(len(probe.options) for probe in plan.probes),
        logprobs=mode == "score",
        white_box=model.identity.adapter == "hf",
        family=model.identity.family,
        generates=model.capabilities.generate,
        frames=model.capabilities.needs_frames,
        answer_is_segment=any(("asks", "index") in trial.factors for trial in plan.trials),
        options_shown=options_shown(plan.style.style, adapter=model.identity.adapter),
    )


def _checked(text: str, model: Model, plan: Plan) -> corrections.Saved:
    """The saved correction. Raises NotApplicable for another model, another length, and probes that were fitted on."""
    saved = corrections.load(text)
    saved.refuse_other_model(model.identity)
    saved.refuse_overlap(probe.probe_id for probe in plan.probes)
    saved.refuse_unfitted(asked(trial) for trial in plan.trials)
    return saved


def _through(saved: corrections.Saved) -> Through:
    def ask(prompts: Sequence[Prompt], asking: Asking) -> list[Answer | Failure]:
        return [saved(row) if isinstance(row, Answer) else row for row in answered(prompts, asking)]

    return ask
