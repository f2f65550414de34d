from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from limbeck.types import Example, Tree

Made = Callable[..., list[Tree]]


def chains(tree: Tree) -> list[tuple[str, str]]:
    return [(branch.parts[1].text, branch.parts[-1].text) for branch in tree.branches]


def test_all_chains_of_an_input_are_branches_of_its_prompt(made: Made, several: Example) -> None:
    [tree] = made("sampled", [several])
    assert chains(tree) == [(chain.rationale, chain.answer) for chain in several.chains]
    assert (tree.prompt, tree.weight) == (several.input, several.weight)


def test_every_input_weighs_the_same_however_many_chains_it_has(
    made: Made, several: Example, only: Example, bare: Example
) -> None:
    for tree in made("sampled", [several, only, bare], answer_weight=3):
        weights = [branch.parts[-1].weight for branch in tree.branches]
        assert sum(weights) == pytest.approx(3)
        assert len(set(weights)) == 1


def test_fresh_draws_show_one_chain_at_a_time_and_every_input_equally_often(
    made: Made, several: Example, only: Example, bare: Example
) -> None:
    trees = made("sampled", [several, only, bare], draw="fresh")
    assert {len(tree.branches) for tree in trees} == {1}
    assert Counter(tree.prompt for tree in trees) == {"2 + 3?": 3, "1 + 1?": 3, "0?": 3}
    seen = [chains(tree)[0] for tree in trees if tree.prompt == several.input]
    assert seen == [(chain.rationale, chain.answer) for chain in several.chains]


def test_more_chains_are_a_superset_of_fewer(made: Made, several: Example) -> None:
    kept = [set(chains(made("sampled", [several], chains=most)[0])) for most in (1, 2, 3, 9)]
    assert [len(some) for some in kept] == [1, 2, 3, 3]
    assert kept[0] < kept[1] < kept[2]


def test_one_chain_an_input_is_think_first(made: Made, only: Example, bare: Example) -> None:
    assert made("sampled", [only, bare]) == made("think-first", [only, bare])
