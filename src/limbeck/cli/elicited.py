"""What `limbeck elicit` has to say: as JSON and as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from limbeck.capture.post_hoc.estimate import Estimate
from limbeck.capture.post_hoc.lacking import Lacking
from limbeck.capture.post_hoc.submissions import Submission, Tally
from limbeck.types import Noun


class Gap(Noun):
    """How many traces lack a rationale. `passed_over` are not asked about, by reason."""

    lacking: int
    chosen: int
    with_rationale: int
    passed_over: dict[str, int]


class BatchSummary(Noun):
    """A batch and where it stands; `reason` is why the provider refused it."""

    token: str
    batch_id: str | None
    step: str
    requests: int
    reason: str | None = None


class Elicited(Noun):
    """What the command did. `planned` asked nothing, `waiting` has batches that have not ended."""

    task: str
    step: Literal["nothing", "planned", "waiting", "done"]
    resumed: bool = False
    gap: Gap | None = None
    estimate: Estimate | None = None
    batches: tuple[BatchSummary, ...] = ()
    tally: Tally = Tally()


def gap_of(lacking: Lacking) -> Gap:
    return Gap(
        lacking=lacking.total,
        chosen=len(lacking.wanted),
        with_rationale=lacking.with_rationale,
        passed_over=lacking.passed_over,
    )


def summary_of(one: Submission) -> BatchSummary:
    return BatchSummary(
        token=one.token,
        batch_id=one.batch_id,
        step="uncertain" if one.step == "submitting" else one.step,
        requests=one.requests,
        reason=one.reason,
    )


def show(shown: Elicited, as_json: bool) -> None:
    if as_json:
        print(shown.model_dump_json(indent=2))
        return
    if shown.step in ("nothing", "planned"):
        print("\n".join([*plan_lines(shown), "nothing was asked"]))
        return
    print("\n".join(_done(shown)))


def plan_lines(shown: Elicited) -> Iterator[str]:
    gap, cost = shown.gap, shown.estimate
    assert gap is not None
    yield f"with a rationale    {gap.with_rationale:>9,}"
    yield f"without one         {gap.lacking:>9,}"
    for reason, count in gap.passed_over.items():
        yield f"not asked about     {count:>9,}  {reason}"
    for batch in shown.batches:
        yield f"in an open batch    {batch.requests:>9,}  {batch.batch_id or batch.step}"
    if cost is None:
        return
    yield f"to ask about        {cost.requests:>9,}  {cost.model}"
    yield f"tokens to read      {cost.input_tokens:>9,}"
    yield f"tokens to write     {cost.output_tokens:>9,}  at most {cost.most_output_tokens:,}"
    yield f"price               {money(cost)}{' (batch)' if cost.batch else ' (no batch)'}"


def money(cost: Estimate) -> str:
    if cost.usd is None or cost.most_usd is None:
        return "a price that nobody knows (set `price` under [teacher])"
    return f"about {_usd(cost.usd)}, at most {_usd(cost.most_usd)}"


def paid(tally: Tally) -> str:
    """What the replies cost, as far as that is known."""
    more = f"{tally.unpriced:,} replies of unknown price"
    if not tally.unpriced:
        return _usd(tally.cost_usd)
    return f"{_usd(tally.cost_usd)}, without {more}" if tally.cost_usd else f"for {more}"


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


def _done(shown: Elicited) -> Iterator[str]:
    tally = shown.tally
    for batch in shown.batches:
        why = f": {batch.reason}" if batch.reason else ""
        yield f"batch     {batch.batch_id or batch.token}  {batch.requests:,} requests, {batch.step}{why}"
    if tally.asked:
        yield f"explained {tally.explained:>9,}  of {tally.asked:,}"
        if tally.differing:
            yield f"          {tally.differing:>9,}  of them ended on another answer than the recorded one"
        for reason, count in tally.failed.items():
            yield f"failed    {count:>9,}  {reason}; asked again next time"
        for reason, count in tally.unusable.items():
            yield f"in vain   {count:>9,}  {reason}; asked again only with --again"
        yield f"paid      {paid(tally)}"
    if shown.step == "waiting":
        yield f"next      fetch the results with the same command: limbeck elicit --task {shown.task}"
        return
    if shown.resumed:
        yield f"more      ask about what is left: limbeck elicit --task {shown.task}"
    yield f"next      limbeck curate --task {shown.task}"
