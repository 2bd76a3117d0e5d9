"""Renders a prompt by the model's own chat template and finds the tokens of every segment."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jinja2 import TemplateError
from PIL import Image

from vlbias.errors import ModelError
from vlbias.records import Frames, Part, Prompt

MARKS = ("vlbiasbegin", "vlbiasend")
Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """One prompt as tensors, un-padded, with the [start, end) tokens of its segments by place.

    `replacements` are the texts that took the place of the placeholders of images and clips, each with its kind.
    """

    inputs: dict[str, torch.Tensor]
    spans: tuple[Span, ...]
    replacements: tuple[tuple[str, str], ...] = ()

    @property
    def n_tokens(self) -> int:
        """The length of the prompt in tokens."""
        return int(self.inputs["input_ids"].shape[1])


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a chat template writes: the block of one image and one clip (None: cannot), and whether it trims text."""

    image: str
    video: str | None
    in_order: bool
    trims: bool


def dialect(processor: Any) -> Dialect:
    """What the processor's template does, found by rendering small turns.

    `in_order` is False for a template that writes all vision items before the text; prompts then carry the
    placeholders inside their text, in reading order.
    """
    items = ("image", "video") if getattr(processor, "video_processor", None) is not None else ("image",)
    tokens = {item: getattr(processor, f"{item}_token", None) for item in items}
    blocks = {item: _block(processor, item, token) for item, token in tokens.items() if token}
    if "image" not in blocks:
        raise ModelError(f"hf: {type(processor).__name__} names no image token, so segments cannot be placed")
    in_order = all(block is not None for block in blocks.values())
    written = {item: block if in_order and block else tokens[item] for item, block in blocks.items()}
    probe = render(processor, [{"type": "text", "text": f"  {MARKS[0]}  "}], None)
    trims = f"  {MARKS[0]}  " not in probe
    return Dialect(image=str(written["image"]), video=written.get("video"), in_order=in_order, trims=trims)


def render(
    processor: Any,
    content: Sequence[Mapping[str, str]],
    system: str | None,
    *,
    system_content: Sequence[Mapping[str, str]] = (),
) -> str:
    """The text of one user turn, with an optional system turn, up to where the answer begins.

    Raises ModelError where the chat template refuses the turns.
    """
    turns: list[dict[str, Any]] = [{"role": "user", "content": list(content)}]
    first = [{"type": "text", "text": system}] if system else []
    if first or system_content:
        turns.insert(0, {"role": "system", "content": [*first, *system_content]})
    try:
        return str(processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise ModelError(f"hf: the model's chat template refuses the turns: {error}") from error


def encode(processor: Any, prompt: Prompt, style: Dialect) -> Encoded:
    """The tensors and spans of one prompt. Raises ModelError where a segment's tokens cannot be found for certain."""
    text, chars = written(processor, prompt, style)
    data = dict(_process(processor, text, prompt, style))
    offsets = data.pop("offset_mapping")[0].tolist()
    moves = data.pop("text_replacement_offsets", [[]])[0]
    spans = token_spans(chars, moves, offsets)
    inputs = {name: value for name, value in data.items() if isinstance(value, torch.Tensor)}
    _verify(processor, inputs["input_ids"][0], spans, prompt.trial_id)
    replacements = tuple((str(m["type"]), str(m["replacement"])) for m in moves)
    return Encoded(inputs=inputs, spans=spans, replacements=replacements)


def written(processor: Any, prompt: Prompt, style: Dialect) -> tuple[str, list[tuple[int, Span]]]:
    """The prompt in the model's own words, placeholders not yet expanded, with the place and characters of segments."""
    turns = {turn: [part for part in prompt.parts if part.turn == turn] for turn in ("system", "user")}
    system_text = prompt.system
    if turns["system"] and prompt.system:
        # One text with what follows it, so that the line between the two stays in a template that trims.
        turns["system"].insert(0, Part(text=f"{prompt.system}\n", turn="system"))
        system_text = None
    pieces = {turn: _pieces(parts, style, prompt.trial_id) for turn, parts in turns.items()}
    user, system = (_content(turns[turn], pieces[turn], style) for turn in ("user", "system"))
    text = render(processor, user, system_text, system_content=system)
    start, found = _char_spans(text, turns["user"], pieces["user"], prompt.trial_id, trims=style.trims)
    if turns["system"]:
        # What stands in the system turn is looked for before the user's turn.
        before = text[:start]
        found += _char_spans(before, turns["system"], pieces["system"], prompt.trial_id, trims=style.trims)[1]
    if sorted(place for place, _ in found) != list(range(len(found))):
        raise ModelError(f"hf: {prompt.trial_id}: places of segments are {[p for p, _ in found]}, expected 0 to n-1")
    return text, found


def clip_metadata(frames: Frames) -> dict[str, Any]:
    """The times of one segment alone, starting at 0, so that no text tells where the segment stands."""
    times = [t - frames.timestamps_s[0] for t in frames.timestamps_s]
    # A single frame has no rate; any rate gives it the time 0.
    fps = (len(times) - 1) / times[-1] if times[-1] > 0 else 1.0
    places = [t * fps for t in times]
    indices = [round(p) if abs(p - round(p)) < 1e-6 else p for p in places]
    return {"total_num_frames": len(times), "fps": fps, "duration": len(times) / fps, "frames_indices": indices}


def _block(processor: Any, item: str, token: str) -> str | None:
    before, after = ({"type": "text", "text": mark} for mark in MARKS)
    text = render(processor, [before, {"type": item}, after], None)
    start, end = text.find(MARKS[0]), text.find(MARKS[1])
    block = text[start + len(MARKS[0]) : end]
    return block if 0 <= start < end and block.count(token) == 1 else None


def _is_clip(part: Part, style: Dialect) -> bool:
    return part.kind != "image" and style.video is not None


def _piece(part: Part, style: Dialect, trial_id: str) -> str:
    if part.kind == "text":
        text = part.text or ""
        if any(block and block.strip() in text for block in (style.image, style.video)):
            raise ModelError(f"hf: {trial_id}: the prompt's text holds the model's own placeholder of an image or clip")
        return text
    if part.frames is None:
        raise ModelError(f"hf: {trial_id}: the {part.kind} at place {part.place} has no frames")
    if _is_clip(part, style):
        return str(style.video)
    return style.image * len(part.frames.frames_THWC)


def _pieces(parts: Sequence[Part], style: Dialect, trial_id: str) -> list[str]:
    pieces = [_piece(part, style, trial_id) for part in parts]
    return _trimmed(pieces, [part.kind == "text" for part in parts]) if style.trims else pieces


def _content(parts: Sequence[Part], pieces: Sequence[str], style: Dialect) -> list[dict[str, str]]:
    """The items of the turn; texts that follow one another are one item, so the spaces between them stay."""
    if not style.in_order:
        return [{"type": "text", "text": "".join(pieces)}] if pieces else []
    content: list[dict[str, str]] = []
    for part, piece in zip(parts, pieces):
        if part.kind != "text":
            count = 1 if _is_clip(part, style) or part.frames is None else len(part.frames.frames_THWC)
            content += [{"type": "video" if _is_clip(part, style) else "image"}] * count
        elif content and content[-1]["type"] == "text":
            content[-1]["text"] += piece
        elif piece:
            content.append({"type": "text", "text": piece})
    return content


def _trimmed(pieces: Sequence[str], words: Sequence[bool]) -> list[str]:
    """The pieces without the spaces that a trimming template drops: those at the ends of each run of text."""
    found = list(pieces)
    for order, strip in ((range(len(found)), str.lstrip), (range(len(found) - 1, -1, -1), str.rstrip)):
        at_edge = True
        for k in order:
            if words[k] and at_edge:
                found[k] = strip(found[k])
            at_edge = not words[k] or (at_edge and not found[k])
    return found


def _char_spans(
    text: str, parts: Sequence[Part], pieces: Sequence[str], trial_id: str, *, trims: bool
) -> tuple[int, list[tuple[int, Span]]]:
    """Where one turn's parts begin in the rendered text, and the place and characters of every segment among them."""
    joined = "".join(pieces)
    first = text.rfind(joined.strip() if trims else joined)
    if first < 0:
        where = "in reading order" if parts and parts[0].turn == "user" else "in the system turn"
        raise ModelError(f"hf: {trial_id}: the model's chat template does not write the prompt's parts {where}")
    cursor = first - (len(joined) - len(joined.lstrip()) if trims else 0)
    found = []
    for part, piece in zip(parts, pieces):
        if part.place is not None:
            found.append((part.place, (cursor, cursor + len(piece))))
        cursor += len(piece)
    return first, found


def _process(processor: Any, text: str, prompt: Prompt, style: Dialect) -> Mapping[str, Any]:
    seen = [part for part in prompt.parts if part.frames is not None]
    clips = [part.frames for part in seen if _is_clip(part, style) and part.frames]
    images = [Image.fromarray(f) for p in seen if not _is_clip(p, style) and p.frames for f in p.frames.frames_THWC]
    given: dict[str, Any] = {"images": [images]} if images else {}
    if clips:
        # A copy, since frames come from a read-only map of the cache, which torch warns about.
        given["videos"] = [np.array(clip.frames_THWC) for clip in clips]
        metadata = [clip_metadata(clip) for clip in clips]
        given["videos_kwargs"] = {
            "do_sample_frames": False,
            "video_metadata": metadata,
            "input_data_format": "channels_last",
        }
    bos = processor.tokenizer.bos_token
    try:
        encoded: Mapping[str, Any] = processor(
            text=[text],
            return_tensors="pt",
            add_special_tokens=not (bos and text.startswith(bos)),
            return_offsets_mapping=True,
            return_text_replacement_offsets=True,
            **given,
        )
    except (ValueError, TypeError, IndexError) as error:
        raise ModelError(f"hf: {prompt.trial_id}: the processor does not take the prompt: {error}") from error
    return encoded


def token_spans(chars: Sequence[tuple[int, Span]], moves: Sequence[Any], offsets: Sequence[Span]) -> tuple[Span, ...]:
    """The [start, end) tokens of each segment by place, from its characters before placeholders were expanded."""

    def moved(char: int) -> int:
        before = [m for m in moves if m["span"][1] <= char]
        return char + sum(int(m["new_span"][1] - m["new_span"][0] - m["span"][1] + m["span"][0]) for m in before)

    # A token belongs to the segment that holds its first character; special tokens of width 0 stand at 0.
    starts = [start for start, _ in offsets]
    return tuple((bisect_left(starts, moved(a)), bisect_left(starts, moved(b))) for _, (a, b) in sorted(chars))


def _verify(processor: Any, ids_L: torch.Tensor, spans: Sequence[Span], trial_id: str) -> None:
    holders = (processor, processor.tokenizer)
    names = ("image_token_id", "video_token_id")
    vision = {v for holder in holders for name in names if isinstance(v := getattr(holder, name, None), int)}
    vision.discard(getattr(processor.tokenizer, "unk_token_id", None) or -1)
    seen = {i for i, token in enumerate(ids_L.tolist()) if token in vision}
    inside = [i for start, end in spans for i in range(start, end)]
    ordered = sorted(spans)
    apart = all(a[1] <= b[0] for a, b in zip(ordered, ordered[1:]))
    if not (apart and all(a < b for a, b in spans) and seen <= set(inside)):
        raise ModelError(f"hf: {trial_id}: the tokens of the segments cannot be told apart: spans {list(spans)}")
