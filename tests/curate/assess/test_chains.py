from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from limbeck.curate.assess.chains import read_chain
from limbeck.curate.chain import words
from limbeck.curate.structure import template_of


def test_two_chains_about_other_inputs_have_one_template() -> None:
    first = template_of("The red lamp costs $12.50.", set(words("a red lamp at $12.50")))
    second = template_of("The oak table costs $340.", set(words("an oak table at $340")))
    assert first == second == "the _ costs #"


def test_a_number_is_known_from_the_input_or_from_a_step() -> None:
    chain = read_chain("Ann has 12 pears and buys 7.", "12 + 7 = 19. So 19 are hers. Not 23.")
    assert (chain.numbers, chain.known_numbers) == (5, 4)
    assert (chain.steps, chain.right_steps) == (1, 1)
    assert [line.computed for line in chain.lines] == [True, False, False]


def test_a_wrong_step_accounts_for_nothing() -> None:
    chain = read_chain("12 pears, 7 more", "12 + 7 = 20.")
    assert (chain.steps, chain.right_steps) == (1, 0)
    assert not chain.lines[0].computed


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_chain_can_be_read(asked: str, said: str) -> None:
    chain = read_chain(asked, said)
    assert 0 <= chain.known_numbers <= chain.numbers
    assert 0 <= chain.known_words <= chain.words
    assert 0 <= chain.right_steps <= chain.steps
