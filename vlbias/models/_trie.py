"""The tree of what prompts have in common, walked so that each piece is computed once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

MaskQK = npt.NDArray[np.bool_]
SOLO_TOKENS = 512


@dataclass(eq=False, kw_only=True)
class Node:
    """A piece of a prompt after everything above it: the tokens [start, end) of prompt number `prompt`, then `tail`.

    `tail` holds tokens that no prompt has, those of an option. `path` is the node itself and all above it, top first.
    """

    prompt: int
    start: int
    end: int
    tail: tuple[int, ...] = ()
    path: tuple[Node, ...] = ()
    below: dict[Hashable, Node] = field(default_factory=dict)

    @property
    def n_tokens(self) -> int:
        """How many tokens this piece adds."""
        return self.end - self.start + len(self.tail)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The tokens [start, end) of a prompt; equal keys after equal pieces mean equal states of the model."""

    start: int
    end: int
    key: Hashable


class Trie:
    """Prompts as paths from the top; the order of its leaves is the order in which prompts were added.

    Exact for causal models: what a token's state depends on is all in its path.
    """

    def __init__(self) -> None:
        self.top: dict[Hashable, Node] = {}

    def add(self, number: int, pieces: Sequence[Piece]) -> Node:
        """The last node of the prompt's path; pieces that are there already are not made again."""
        below, node = self.top, Node(prompt=number, start=0, end=0)
        for piece in pieces:
            if piece.key not in below:
                new = Node(prompt=number, start=piece.start, end=piece.end)
                new.path = (*node.path, new)
                below[piece.key] = new
            node = below[piece.key]
            below = node.below
        return node

    def grow(self, node: Node, tail: tuple[int, ...]) -> Node:
        """The node with the tokens of an option after `node`."""
        key = ("tail", tail)
        if key not in node.below:
            new = Node(prompt=node.prompt, start=node.end, end=node.end, tail=tail)
            new.path = (*node.path, new)
            node.below[key] = new
        return node.below[key]

    def walk(self) -> Iterator[Node]:
        """Every node, each before those below it, and all of its subtree before the next one's."""
        waiting = list(reversed(self.top.values()))
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.below.values())

    @property
    def n_tokens(self) -> int:
        """The tokens that are computed for all prompts together."""
        return sum(node.n_tokens for node in self.walk())


def packs(nodes: Iterator[Node], *, most_tokens: int) -> Iterator[list[Node]]:
    """Nodes in groups for one forward each: small ones together up to `most_tokens`, one of SOLO_TOKENS alone.

    A large piece stands alone so that its tokens meet the same matrix shapes at every slot: rounding that depends on
    shape then cannot depend on the slot.
    """
    pack: list[Node] = []
    size = 0
    for node in nodes:
        alone = node.n_tokens >= SOLO_TOKENS
        if pack and (alone or size + node.n_tokens > most_tokens):
            yield pack
            pack, size = [], 0
        pack.append(node)
        size += node.n_tokens
        if alone:
            yield pack
            pack, size = [], 0
    if pack:
        yield pack


def needed(held: Sequence[Node], following: Node) -> list[Node]:
    """The nodes of `held`, walked in order before `following`, on which it or a later one stands: its path above.

    A subtree is walked as a whole, so what a later node stands on is above `following` too.
    """
    above = set(map(id, following.path))
    return [node for node in held if id(node) in above]


def mask(held: Sequence[Node], pack: Sequence[Node]) -> MaskQK:
    """What each token of `pack` may see of the tokens of `held` and of `pack`: its path above, and itself backwards."""
    columns: dict[int, tuple[int, int]] = {}
    end = 0
    for node in (*held, *pack):
        start, end = end, end + node.n_tokens
        columns[id(node)] = (start, end)
    n_held = columns[id(pack[0])][0]
    seen_QK = np.zeros((end - n_held, end), dtype=np.bool_)
    for node in pack:
        start, stop = columns[id(node)]
        rows = slice(start - n_held, stop - n_held)
        for above in node.path[:-1]:
            seen_QK[rows, slice(*columns[id(above)])] = True
        seen_QK[rows, start:stop] = np.tri(stop - start, dtype=np.bool_)
    return seen_QK


def closed_form(*, n_backgrounds: int, n_prefix: int, n_segment: int, n_suffix: int, n_suffixes: int) -> int:
    """The tokens of a sweep over all slots by the formula: prefix, chain, one more segment per slot, suffixes.

    p + [N + (N+1)(N+2)/2] L + (N+1) Q m, for N backgrounds of L tokens, Q suffixes of m tokens at every slot.
    """
    n_slots = n_backgrounds + 1
    segments = n_backgrounds + n_slots * (n_slots + 1) // 2
    return n_prefix + segments * n_segment + n_slots * n_suffixes * n_suffix
