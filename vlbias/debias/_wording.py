"""Lets the model write first: words after a prompt, notes before its question."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vlbias.debias import Setting, Write
from vlbias.debias._arguments import needs_logprobs, needs_model
from vlbias.debias._scores import marked
from vlbias.errors import NotApplicable
from vlbias.records import Part, Prompt

LONGEST = 4000


@dataclass(frozen=True, kw_only=True)
class NotesFirst:
    """The model writes notes on what it sees, and answers the question with its notes at hand: two passes.

    The notes stand between the segments and the question, cut at 4,000 characters; the options are scored as ever.
    """

    method: str
    instruction: str
    max_new_tokens: int

    def needs(self, setting: Setting) -> None:
        """A model that writes and gives log-probabilities."""
        needs_logprobs(self.method, setting)
        needs_writing(self.method, setting)

    def first(self, prompt: Prompt, *, write: Write) -> Prompt:
        """The prompt that asks for notes."""
        return with_words_after(prompt, self.instruction, what=f"{self.method}:notes")

    def then(self, prompt: Prompt, text: str, *, write: Write) -> Prompt:
        """The prompt with the notes."""
        notes = Part(text=f"Notes on what is shown:\n{text.strip()[:LONGEST]}\n")
        last = max(k for k, part in enumerate(prompt.parts) if part.place is None)
        assert prompt.trial is not None
        changed = marked(prompt.trial, f"{self.method}:answer")
        parts = (*prompt.parts[:last], notes, *prompt.parts[last:])
        return replace(prompt, trial_id=changed.trial_id, parts=parts, trial=changed)


def with_words_after(prompt: Prompt, words: str, *, what: str) -> Prompt:
    """The prompt with more words at its end."""
    assert prompt.trial is not None
    changed = marked(prompt.trial, what)
    return replace(prompt, trial_id=changed.trial_id, parts=(*prompt.parts, Part(text=f"\n{words}")), trial=changed)


def needs_writing(method: str, setting: Setting) -> None:
    """Refuses a model that cannot write."""
    needs_model(method, setting)
    if not setting.generates:
        raise NotApplicable(f"{method}: not applicable: the model writes no text; use the adapter hf")
