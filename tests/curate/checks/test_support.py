from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.curate.checks.support import doubt, from_nowhere
from limbeck.types import Task

Evidence = Callable[..., str | None]
ASKED = "Kim has 48 apples in two baskets and sells 17 of them for $1,200."


@pytest.mark.parametrize(
    ("chain", "strange"),
    [
        ("48 - 17 = 31, so 31 are left. 31 / 2 = 15.5", []),
        ("1200 dollars, 2 baskets, 60 minutes an hour.", []),
        ("48 apples and 77 pears make 99.", ["77", "99"]),
        ("48 - 17 = 33, so 33 are left.", ["33"]),
        ("17 % of them is 0.17 of them, and 0.83 stay.", []),
    ],
)
def test_a_number_comes_from_the_input_from_a_right_step_or_from_nowhere(
    chain: str, strange: list[str]
) -> None:
    assert from_nowhere(ASKED, chain)[1] == strange


def test_nothing_is_dropped_unless_it_is_asked_for(number_task: Task, evidence: Evidence) -> None:
    given = {"input": ASKED, "rationale": "77 and 99 and 88 make it.", "answer": "264"}
    assert evidence("support", number_task, **given) is None
    said = evidence("support", number_task, {"most": 0.5}, **given)
    assert said == "3 of 3 numbers come from nowhere: 77, 99, 88"
    assert "doubt" in str(evidence("support", number_task, {"doubt": 1.0}, **given))


def test_a_quotation_must_stand_in_the_input(choice_task: Task, evidence: Evidence) -> None:
    chain = 'The customer says "sells 17 of them", and "I want it all back".'
    said = evidence("support", choice_task, {"quotes": True}, input=ASKED, rationale=chain)
    assert said == "the chain quotes 'I want it all back', which the input does not say"


def test_doubt_grows_with_what_speaks_against_a_number() -> None:
    good = doubt(ASKED, "48 - 17 = 31 in 2 baskets for 1200.", "31")
    assert good == 0
    unused = doubt(ASKED, "48 - 17 = 31", "31")
    assert 0 < unused < doubt(ASKED, "48 - 17 = 31", "30.5") < doubt(ASKED, "48 - 17", "-30.5")
    assert doubt(ASKED, "48 - 17 = 31", None) > unused
