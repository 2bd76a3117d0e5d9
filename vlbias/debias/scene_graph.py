"""Scene graph: the model lists what each segment shows as data first, and answers with the list in the prompt."""

from __future__ import annotations

from vlbias.debias._arguments import at_least, refuse_unknown
from vlbias.debias._wording import NotesFirst

SHAPE = "before"
INSTRUCTION = (
    "Do not answer yet. For every segment, from the first to the last, write JSON with the keys objects (each with its "
    "attributes), relations (subject, relation, object) and events, as far as they bear on the question."
)


def load(*, max_new_tokens: int = 256, **unknown: object) -> NotesFirst:
    """Compositional prompting by a scene graph (Mitra et al., CVPR 2024), one graph per segment."""
    refuse_unknown("scene_graph", load, unknown)
    at_least("scene_graph", "max_new_tokens", max_new_tokens, low=1)
    return NotesFirst(method="scene_graph", instruction=INSTRUCTION, max_new_tokens=int(max_new_tokens))
