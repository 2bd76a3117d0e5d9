"""What the corrections inside the model share: segments in canonical order, and the patch around an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

import torch

from vlbias.attention import engines
from vlbias.attention._families import text_model
from vlbias.attention.contract import Rule
from vlbias.attention.patch import Place, SegmentAttention, patched, repositioned
from vlbias.debias import Setting
from vlbias.debias._arguments import one_of
from vlbias.errors import BadInput, NotApplicable, nearest
from vlbias.models import Model
from vlbias.models._regions import Regions
from vlbias.models.hf import HFModel, Ready
from vlbias.records import Capabilities, Fault, Identity, OptionScores, Prompt, Reply, digest

OPTIONS = ("order", "engine", "layers", "heads", "sharing")
SHARING = ("auto", "off")
Order = Literal["content", "given"]
Numbers: TypeAlias = Sequence[int] | str | None
Told = TypeVar("Told", OptionScores, Reply)
Opened = Callable[[Any], AbstractContextManager[SegmentAttention]]


@dataclass(frozen=True, kw_only=True)
class Inside:
    """A patch: `opened` puts it into the Hugging Face model.

    `order` "content" hands every prompt over with its segments in the order of their hashes, so every order of the
    same segments becomes one and the same run and the answers are equal bit for bit. "given" leaves the prompt as it
    is: rules that look at content alone (pine) are then order-free up to rounding, as far as the tokenizer joins no
    word across the seam of two segments; the others follow the order given. `sharing` lets prompts over the same
    segments, in the same order inside, share the prefill of these; equal prompts are then asked once. `least` is the
    number of segments below which a prompt is left to the model.
    """

    method: str
    opened: Opened
    order: Order = "content"
    sharing: bool = True
    least: int = 2

    def needs(self, setting: Setting) -> None:
        """A model whose attention can be reached, and as many segments as the patch is for."""
        if not setting.white_box:
            raise NotApplicable(
                f"{self.method}: not applicable: needs a white-box model; use the adapter hf, or an 'after' correction"
            )
        found = setting.n_slots if setting.n_segments is None else setting.n_segments
        if found < self.least:
            raise NotApplicable(
                f"{self.method}: not applicable: found {found} segment in a prompt, it needs {self.least}; "
                "within_image works on the places inside one image"
            )

    @contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        """The model with the patch; outside of the context it is as it was, also after an error."""
        if not isinstance(model, HFModel):
            raise NotApplicable(
                f"{self.method}: not applicable: needs a white-box model, found the adapter {model.identity.adapter}; "
                "use the adapter hf, or an 'after' correction"
            )
        if model.watch is not None:
            raise NotApplicable(f"{self.method}: not applicable: another patch is in this model; take it out first")
        with self.opened(model.model) as attention:
            model.watch = _watching(attention)
            try:
                yield Patched(model, method=self.method, order=self.order, sharing=self.sharing)
            finally:
                model.watch = None


class Patched:
    """An adapter under a patch: the same prompts, the same answers, segments in canonical order inside."""

    def __init__(self, adapter: HFModel, *, method: str, order: Order, sharing: bool) -> None:
        self._adapter = adapter
        self._order = order
        self._regions = Regions(adapter) if sharing else None
        self.model = adapter.model
        self.processor = adapter.processor
        self.capabilities: Capabilities = adapter.capabilities
        self.identity: Identity = replace(
            adapter.identity,
            attention=f"{adapter.identity.attention}+{method}",
            sharing="segments in one order" if sharing else "off: not asked for",
        )

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The exact log-probability of every option; spans are told by the places of the prompt given."""
        ask = self._adapter.score_apart if self._regions is None else self._regions.score
        return self._placed(prompts, ask)

    def score_apart(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The same as `score`, every prompt in a row of its own: the reference for what sharing gives."""
        return self._placed(prompts, self._adapter.score_apart)

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """The model's own words, greedily; equal prompts are asked once."""

        def ask(asked: Sequence[Prompt]) -> list[Reply | Fault]:
            distinct = {prompt.sha256: prompt for prompt in reversed(asked)}
            replies = self._adapter.generate(list(distinct.values()), max_new_tokens=max_new_tokens)
            found = dict(zip(distinct, replies))
            return [found[prompt.sha256] for prompt in asked]

        return self._placed(prompts, ask)

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """The negative log-likelihood of a given answer to each prompt, in nats, summed over its tokens."""
        return self._adapter.nll([self._arranged(prompt)[0] for prompt in prompts], targets)

    def _placed(
        self, prompts: Sequence[Prompt], ask: Callable[[Sequence[Prompt]], list[Told | Fault]]
    ) -> list[Told | Fault]:
        """What comes back of the arranged prompts, with spans by the places of those given."""
        asked = [self._arranged(prompt) for prompt in prompts]
        found = ask([prompt for prompt, _ in asked])
        return [
            x if isinstance(x, Fault) else replace(x, segment_spans=_back(x.segment_spans, places))
            for x, (_, places) in zip(found, asked)
        ]

    def _arranged(self, prompt: Prompt) -> tuple[Prompt, tuple[int, ...]]:
        return canonical(prompt) if self._order == "content" else (prompt, _places(prompt))


def known_options(method: str, options: Mapping[str, Any], *, own: Sequence[str] = ()) -> None:
    """Raises BadInput for the first option that the method does not know."""
    known = [*own, *(name for name in OPTIONS if name not in own)]
    for name in sorted(set(options) - set(known)):
        raise BadInput(f"{method}: unknown option {name!r}; {nearest(name, known)}")


def engine_patch(
    method: str,
    rule: Rule | Callable[[int], Rule],
    *,
    stack: bool,
    options: Mapping[str, Any],
) -> Inside:
    """A patch of the attention from the options that all such methods have: order, engine, layers, heads, sharing.

    `engine` is auto (Triton on CUDA where it is installed, else PyTorch), partials, triton or formula (slow, exact).
    `sharing` is auto, or off: every prompt is asked apart.
    """
    order, engine = options.get("order", "content"), options.get("engine", "auto")
    one_of(method, "order", order, known=("content", "given"))
    one_of(method, "engine", engine, known=engines.NAMES)
    sharing = options.get("sharing", "auto")
    one_of(method, "sharing", sharing, known=SHARING)
    layers = numbers(method, "layers", options.get("layers"), words=("alternate",))
    heads = numbers(method, "heads", options.get("heads"), words=())

    def opened(model: Any) -> AbstractContextManager[SegmentAttention]:
        config = text_model(model).config
        chosen_layers = chosen_numbers(method, "layers", layers, config.num_hidden_layers)
        chosen_heads = chosen_numbers(method, "heads", heads, config.num_attention_heads)
        whole = chosen_layers is None and chosen_heads is None
        attend = engines.engine(model.device, engine)
        return patched(model, rule, engine=attend, layers=chosen_layers, heads=chosen_heads, stack=stack and whole)

    return Inside(method=method, opened=opened, order=order, sharing=sharing == "auto")


def position_patch(method: str, place: Place, *, least: int = 2) -> Inside:
    """A patch of the position ids alone, for ablations: the order of the prompt stays."""
    return Inside(
        method=method, opened=lambda model: repositioned(model, place, least=least), order="given", least=least
    )


def canonical(prompt: Prompt) -> tuple[Prompt, tuple[int, ...]]:
    """The prompt with its segments in the order of their content, and the place each came from.

    Equal for every order of the same segments. Raises NotApplicable where words stand between segments: they would
    stay while the segments move.
    """
    spots = [spot for spot, part in enumerate(prompt.parts) if part.place is not None]
    between = [p for p in prompt.parts[spots[0] : spots[-1]] if p.place is None and p.text] if spots else []
    if between:
        raise NotApplicable(
            f"{prompt.trial_id}: the words {between[0].text!r} stand between two segments, so their order cannot be "
            "made not to matter; write nothing between segments"
        )
    parts = [prompt.parts[spot] for spot in spots]
    keys = [digest([p.kind, p.text, None if p.frames is None else p.frames.sha256]) for p in parts]
    order = sorted(range(len(parts)), key=lambda k: keys[k])
    arranged = list(prompt.parts)
    for number, k in enumerate(order):
        arranged[spots[number]] = replace(parts[k], place=number)
    return replace(prompt, parts=tuple(arranged)), tuple(int(parts[k].place or 0) for k in order)


def _places(prompt: Prompt) -> tuple[int, ...]:
    return tuple(sorted(part.place for part in prompt.parts if part.place is not None))


def _back(spans: tuple[tuple[int, int], ...], places: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Spans by the place of the prompt that was given, from those by canonical place."""
    return tuple(span for _, span in sorted(zip(places, spans)))


def _watching(attention: SegmentAttention) -> Callable[[Sequence[Ready], Mapping[str, torch.Tensor]], None]:
    def watch(rows: Sequence[Ready], batch: Mapping[str, torch.Tensor]) -> None:
        width = batch["input_ids"].shape[1]
        spans, real = [], []
        pictures = torch.isin(batch["input_ids"].cpu(), picture_tokens(attention.config))
        for prompt, tail in rows:
            start = width - prompt.n_tokens - len(tail)
            spans.append([(start + a, start + b) for a, b in sorted(prompt.spans)])
            real.append((start, width))
        attention.expect(spans, real=real, pictures_BL=pictures.numpy())

    return watch


def picture_tokens(config: Any) -> torch.Tensor:
    """The token ids that stand for a piece of an image or clip."""
    names = ("image_token_id", "video_token_id", "image_token_index", "video_token_index")
    return torch.tensor([v for name in names if isinstance(v := getattr(config, name, None), int)], dtype=torch.long)


def numbers(method: str, option: str, value: Any, *, words: Sequence[str]) -> Numbers:
    """Numbers of layers or heads as a config can give them: a list, one number, or text such as 0+2+5 or 0-13.

    None is all, and one of the words is given back. Raises BadInput for anything else.
    """
    if value is None or (isinstance(value, str) and value in words):
        return value
    known = " or ".join(["numbers from 0 on, as 3, 0+2+5 or 0-13", *words])
    fault = BadInput(f"{method}: {option}={value!r}; give {known}")
    found: list[int] = []
    for item in value.split("+") if isinstance(value, str) else value if isinstance(value, Sequence) else [value]:
        text = str(item)
        low, dash, high = text.partition("-")
        if isinstance(item, bool) or not low.isdecimal() or (dash and not high.isdecimal()):
            raise fault
        found += range(int(low), int(high if dash else low) + 1)
    if not found:
        raise fault
    return found


def chosen_numbers(method: str, option: str, value: Numbers, count: int) -> list[int] | None:
    """The numbers meant, checked against the model; None for all."""
    if value is None:
        return None
    found = list(range(0, count, 2)) if value == "alternate" else [int(n) for n in value]
    if max(found) >= count:
        raise BadInput(f"{method}: {option} holds {max(found)}, but this model has {count}, numbered from 0")
    return found
