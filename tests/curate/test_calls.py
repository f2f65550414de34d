from __future__ import annotations

from datetime import UTC, datetime

import pytest

from limbeck.curate.calls import Told, call_of, read_call, read_told
from limbeck.types import Elicited, Outcome, Provenance, Rationale, Routing, Trace, Usage

ORIGIN = Provenance(source="gateway", generator="m", simulated=True, licence="CC0-1.0")
GOLD = Outcome(trace_id="t", value="7", source="gold")
LATER = Outcome(trace_id="t", value="8", source="human", at=datetime(2026, 1, 1, tzinfo=UTC))

TRACES = {
    "bare": Trace(task=None, input="x", provenance=Provenance(source="import")),
    "reply": Trace(task="t", input="x", raw="so it is 7", thinking="hm", provenance=ORIGIN),
    "all": Trace(
        task="t",
        input="which?",
        choices=("a", "b"),
        context="c",
        blocks="[]",
        rationale=Rationale(text="because", origin="human"),
        answer="a",
        status="cut_off",
        stop_reason="length",
        group="g",
        split="test",
        provenance=ORIGIN,
        elicited=Elicited(how="inline"),
        redacted={"email": 2},
        usage=Usage(input=3, tier="batch"),
        cost_usd=0.1,
        latency_s=2.0,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        routing=Routing(policy="p", local=False),
    ),
    "half a character": Trace(task="t", input="x \ud83d", raw="y", provenance=ORIGIN),
}


@pytest.mark.parametrize("name", TRACES)
def test_a_stored_trace_says_what_the_noun_says(name: str) -> None:
    trace = TRACES[name]
    assert read_call(trace.content) == call_of(trace)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"task":"t","input":"x"}',
        '{"task":"t","input":1,"provenance":{"source":"import"}}',
        '{"task":"t","input":"x","provenance":{"source":"nowhere"}}',
        '{"task":"t","input":"x","provenance":{"source":"import","more":1}}',
        '{"task":"t","input":"x","provenance":{"source":"import"},"more":1}',
    ],
)
def test_what_is_not_the_content_of_a_trace_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_call(content)


def test_the_most_trusted_outcome_is_believed() -> None:
    said = [one.model_dump_json() for one in (GOLD, LATER)]
    assert read_told(said) == read_told(said[:1]) == Told("7", None, "gold")
    assert read_told(said[1:]) == Told("8", None, "human")
    assert read_told([]) is None


def test_an_outcome_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        read_told(['{"trace_id":"t","source":"gold"}'])
