"""The tree of what prompts have in common."""

import numpy as np
import pytest

from vlbias.models._trie import SOLO_TOKENS, Piece, Trie, closed_form, mask, needed, packs


def path(text: str) -> list[Piece]:
    """One piece of two tokens per letter."""
    return [Piece(start=2 * k, end=2 * k + 2, key=letter) for k, letter in enumerate(text)]


def tree(*texts: str) -> Trie:
    made = Trie()
    for number, text in enumerate(texts):
        made.add(number, path(text))
    return made


def test_a_common_beginning_is_held_once_and_a_common_middle_is_not() -> None:
    assert tree("abc", "abd", "xbc").n_tokens == 2 * (4 + 3)


@pytest.mark.parametrize("n", [1, 2, 9, 19])
def test_a_sweep_over_all_slots_has_the_tokens_of_the_closed_form(n: int) -> None:
    chain = [chr(ord("a") + k) for k in range(n)]
    texts = ["<" + "".join([*chain[:k], "!", *chain[k:]]) for k in range(n + 1)]
    made = Trie()
    for number, text in enumerate(texts):
        for question in range(3):
            tail = Piece(start=2 * len(text), end=2 * len(text) + 5, key=("q", question))
            made.add(3 * number + question, [*path(text), tail])
    expected = closed_form(n_backgrounds=n, n_prefix=2, n_segment=2, n_suffix=5, n_suffixes=3)
    assert made.n_tokens == expected
    if n == 9:
        assert (expected - 2 - 150) // 2 == 64


def test_nodes_are_walked_before_what_stands_below_them_and_whole_subtrees_at_a_time() -> None:
    assert [len(node.path) for node in tree("abc", "abd", "xa").walk()] == [1, 2, 3, 3, 1, 2]


def test_a_token_sees_its_own_path_and_nothing_else() -> None:
    a, b, c, d = list(tree("abc", "abd").walk())
    seen = mask([a, b], [c, d])
    assert seen.shape == (4, 8)
    assert seen[:2].tolist() == [[True] * 5 + [False] * 3, [True] * 6 + [False] * 2]
    assert seen[3].tolist() == [True] * 4 + [False] * 2 + [True] * 2
    assert not seen[2, 7]


def test_a_mask_over_everything_at_once_is_that_of_the_walk() -> None:
    nodes = list(tree("abc", "abd", "ax").walk())
    whole = mask([], nodes)
    assert np.array_equal(whole[4:], mask(nodes[:2], nodes[2:]))


def test_only_the_path_above_the_next_node_is_needed_also_where_a_pack_ends_inside_a_subtree() -> None:
    a, b, c, d, x, y = list(tree("abc", "abd", "axy").walk())
    assert needed([a, b, c], d) == [a, b]
    assert needed([a, b, c, d], x) == [a]
    assert needed([a, b], c) == [a, b]
    # The pack before `y` held the end of one subtree and the beginning of the next.
    assert needed([a, b, c, d, x], y) == [a, x]


def test_an_option_hangs_below_its_own_prompt_only() -> None:
    made = Trie()
    leaf, other = made.add(0, path("ab")), made.add(1, path("ac"))
    tail = made.grow(leaf, (7, 8, 9))
    assert tail.path == (*leaf.path, tail) and tail.n_tokens == 3
    assert made.grow(leaf, (7, 8, 9)) is tail and made.grow(other, (7, 8, 9)) is not tail


def test_packs_hold_every_node_once_in_order_and_large_ones_alone() -> None:
    made = Trie()
    large = Piece(start=2, end=2 + SOLO_TOKENS, key="large")
    made.add(0, [*path("a"), large, Piece(start=600, end=604, key="q"), Piece(start=604, end=610, key="r")])
    made.add(1, path("bcdef"))
    nodes = list(made.walk())
    found = list(packs(made.walk(), most_tokens=8))
    assert [n for pack in found for n in pack] == nodes
    assert all(len(pack) == 1 or sum(node.n_tokens for node in pack) <= 8 for pack in found)
    assert [nodes[1]] in found and any(len(pack) > 1 for pack in found)
