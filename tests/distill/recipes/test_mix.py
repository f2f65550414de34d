from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.types import Example, Tree

Made = Callable[..., list[Tree]]


def rationale(tree: Tree) -> str:
    return tree.branches[0].parts[1].text


def test_long_and_short_are_the_longest_and_the_shortest_chain(
    made: Made, several: Example
) -> None:
    [long] = made("mix", [several], long=1)
    [short] = made("mix", [several], long=0)
    assert rationale(long) == "three more than 2 are 3, 4, 5."
    assert rationale(short) == "2 and 3 make 5."


def test_the_short_form_of_an_only_chain_is_its_outline(made: Made, only: Example) -> None:
    assert made("mix", [only], long=1) == made("think-first", [only])
    assert made("mix", [only], long=0, rate=0.5) == made("outline", [only], rate=0.5)


def test_the_share_of_long_chains_is_the_one_that_was_asked_for(made: Made, only: Example) -> None:
    many = [only.model_copy(update={"input": f"question {at}"}) for at in range(400)]

    def long(share: float) -> set[str]:
        trees = made("mix", many, long=share)
        return {tree.prompt for tree in trees if rationale(tree) == only.rationale}

    assert len(long(0.2)) / 400 == pytest.approx(0.2, abs=0.06)
    assert long(0.2) < long(0.6)
