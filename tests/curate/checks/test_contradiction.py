from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.types import ReplyForm, Task

Evidence = Callable[..., str | None]


@pytest.mark.parametrize(
    "chain",
    [
        "price 9 <= 150, fits.\nso exchange.",
        "It is in time. Therefore an exchange is due.",
        "It is in time: exchange.",
        "Only exchange is left. The price fits.",
    ],
)
def test_a_chain_for_another_choice_is_caught(
    chain: str, choice_task: Task, evidence: Evidence
) -> None:
    said = evidence("contradiction", choice_task, rationale=chain, answer="deny")
    assert said is not None
    assert "the answer is 'deny'" in said


@pytest.mark.parametrize(
    "chain",
    [
        "so it is not exchange.",
        "so exchange is not possible.",
        "so deny rather than exchange.",
        "so it is one of exchange and deny.",
        "The customer wants an exchange because the radio is broken.",
        "So an exchange was asked for. It is late. The rule is clear.",
        "It is late.",
        "so it is denied.",
    ],
)
def test_a_choice_that_is_ruled_out_or_only_mentioned_passes(
    chain: str, choice_task: Task, evidence: Evidence
) -> None:
    assert evidence("contradiction", choice_task, rationale=chain, answer="deny") is None


def test_choices_in_other_words_are_still_the_answer(choice_task: Task, evidence: Evidence) -> None:
    form = choice_task.answer.model_copy(update={"choices": ("war museum", "museum", "park")})
    task = choice_task.model_copy(update={"answer": form})
    chain = "Of these, only war museums have cannons, and a museum teaches."
    assert evidence("contradiction", task, rationale=chain, answer="war museum") is None
    said = evidence("contradiction", task, rationale="so the park.", answer="war museum")
    assert said is not None


@pytest.mark.parametrize(
    "chain",
    ["12 + 7 = 19\n19 - 4 = 15", "12 + 7 = 19\n44 - 20 = 24", "So she has 15 apples in total."],
)
def test_a_chain_that_ends_on_another_number_is_caught(
    chain: str, number_task: Task, evidence: Evidence
) -> None:
    said = evidence("contradiction", number_task, rationale=chain, answer="44")
    assert said is not None
    assert "the answer is 44" in said


@pytest.mark.parametrize(
    "chain",
    [
        "12 + 7 = 19. So she has 19 apples in 3 baskets.",
        "57 / 3 = 19",
        "58 / 3 = 19.33",
        "5 - 24 = -19",
        "She had 12 apples and bought 7 more.",
        "12 + 7 = 19.00",
        "So she has 12 + 7 apples.",
    ],
)
def test_a_chain_that_arrives_at_the_number_or_at_none_passes(
    chain: str, number_task: Task, evidence: Evidence
) -> None:
    assert evidence("contradiction", number_task, rationale=chain, answer="19") is None


def test_an_equation_may_do_the_last_step_itself(number_task: Task, evidence: Evidence) -> None:
    task = number_task.model_copy(update={"reply": ReplyForm(equation=True)})
    chain = "11 * 31 = 341. 11 * 27 = 297."
    assert evidence("contradiction", task, rationale=chain, answer="638") is None
    assert evidence("contradiction", number_task, rationale=chain, answer="638") is not None


@pytest.mark.parametrize(
    "chain",
    [
        "16 + 20 = 36. So they use 20 flashlights and 36 candles.",
        "24 / 8 = 3. So, we divide by 3 to find the number of days.",
        "On eBay, $13 + $8 = $21. The rest is easy.",
    ],
)
def test_a_chain_that_leaves_the_last_step_to_the_answer_passes(
    chain: str, number_task: Task, evidence: Evidence
) -> None:
    assert evidence("contradiction", number_task, rationale=chain, answer="56") is None
