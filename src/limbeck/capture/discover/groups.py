"""Piles of nearly one prompt become groups, and calls made from one template a group of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from limbeck.capture.discover.align import find_template
from limbeck.capture.discover.answers import FormGuess, guess_form
from limbeck.capture.discover.census import Census, Pile, Progress, Sample, Tally, untasked
from limbeck.capture.discover.messages import find_templates
from limbeck.capture.discover.near import ALIKE, NEAR, Prompt, close_pairs, same_order
from limbeck.capture.discover.tokens import words
from limbeck.capture.template import match, parse
from limbeck.store.store import Store
from limbeck.types import Trace, content_hash

LONG_PROMPT = 20
"""From so many words on, a system prompt holds the instructions; below, the user messages may."""
MANY = 5
"""Short prompts that differ in a few words are one prompt with a name in it where there are so many;
two or three are jobs of their own."""
SAME_TEXT = 0.9
"""Prompts that are answered in free text in the same weeks must be so near: nothing else tells them
apart."""
OVERLAP = 0.1
"""A prompt that came as another went may have so much of its time in common with it."""
SAME_LABELS = 0.5


@dataclass
class Group:
    """Calls that may be one task: the piles that they lie in and, where their instructions stand in
    the user message, its template. `before` are the templates that take calls of the same piles first.
    """

    piles: tuple[int, ...]
    template: str | None = None
    before: tuple[str, ...] = ()
    tally: Tally = field(default_factory=Tally)
    form: FormGuess = field(default_factory=lambda: FormGuess(kind="unknown", replies=0))

    def holds(self, pile: int | None, text: str) -> bool:
        """Whether a call of that pile, with that last user message, belongs to the group."""
        if pile not in self.piles or any(match(other, text) is not None for other in self.before):
            return False
        return self.template is None or match(self.template, text) is not None


def find_groups(census: Census, store: Store, progress: Progress) -> list[Group]:
    """The groups of a census. Reads the calls a second time where a template divides some."""
    groups = []
    for piles in _merged(census.piles):
        tally = Tally()
        for at in piles:
            tally.merge(census.piles[at].tally)
        groups += _divided(census, tuple(piles), tally)
    if any(group.template for group in groups):
        _count(groups, census, store, progress)
    for group in groups:
        group.form = form_of(group.tally.samples)
    return groups


def form_of(samples: Sequence[Sample]) -> FormGuess:
    return guess_form([sample.said for sample in samples])


def system_template(group: Group, census: Census) -> str | None:
    """The system prompt of the group with `{name}` for what varies in it; None where nothing does,
    or where the prompts are versions of each other."""
    piles = [census.piles[at] for at in group.piles]
    if len(piles) > 1 and len(piles) < MANY:
        return None
    prompts = [prompt for pile in piles for prompt in pile.prompts]
    if len(prompts) < 2:
        return None
    fitted = find_template(prompts, enough=1.0)
    return fitted.template if fitted else None


def name_of(group: Group, census: Census) -> str:
    """A short name that stays while calls are added: a hash of the first prompt and the template."""
    first = census.piles[min(group.piles)].masked
    kept = " ".join(parse(group.template)[0]) if group.template else ""
    return content_hash([first, kept.split()]).removeprefix("sha256:")[:6]


# ---- nearly the same prompt ---------------------------------------------------------------------


def _merged(piles: Sequence[Pile]) -> list[list[int]]:
    """Indexes of piles by group: near prompts of one shape whose answers have one form."""
    forms = [form_of(pile.tally.samples) for pile in piles]
    by_shape: defaultdict[str, list[int]] = defaultdict(list)
    for at, pile in enumerate(piles):
        by_shape[pile.parts.shape].append(at)
    joined = _Joined(len(piles))
    for of in by_shape.values():
        _join_near([piles[at] for at in of], of, forms, joined)
    return joined.groups()


def _join_near(
    piles: Sequence[Pile], of: Sequence[int], forms: Sequence[FormGuess], joined: _Joined
) -> None:
    prompts = [Prompt(pile.masked) for pile in piles]
    alike: list[tuple[int, int]] = []
    for one, two, found in close_pairs(prompts):
        first, second = forms[of[one]], forms[of[two]]
        if not same_form(first, second):
            continue
        free = "text" in (first.kind, second.kind) and not _followed(piles[one], piles[two])
        needed = SAME_TEXT if free else NEAR
        if found >= needed or prompts[one].bag == prompts[two].bag:
            joined.join(of[one], of[two])
        elif same_order(prompts[one], prompts[two]) >= ALIKE:
            alike.append((of[one], of[two]))
    _join_many(alike, joined)


def _followed(one: Pile, two: Pile) -> bool:
    """Whether one of two prompts took the other's place: both were hardly ever used at one time."""
    spans = [
        (spell.first, spell.last)
        for spell in (one.tally.spell, two.tally.spell)
        if spell.first is not None and spell.last is not None
    ]
    if len(spans) < 2:
        return False
    shorter = min((last - first).total_seconds() for first, last in spans)
    begin, end = max(first for first, _ in spans), min(last for _, last in spans)
    return (end - begin).total_seconds() <= OVERLAP * shorter


def _join_many(alike: Sequence[tuple[int, int]], joined: _Joined) -> None:
    """Join what is alike in order where many are."""
    trial = _Joined(joined.size)
    for one, two in alike:
        trial.join(one, two)
    for group in trial.groups():
        if len(group) >= MANY:
            for other in group[1:]:
                joined.join(group[0], other)


def same_form(one: FormGuess, two: FormGuess) -> bool:
    """Whether two sets of replies may answer one question. Too few replies contradict nothing."""
    if "unknown" in (one.kind, two.kind):
        return True
    if one.kind != two.kind:
        return False
    if one.kind == "choice":
        return _overlap(*((label.text.casefold() for label in form.labels) for form in (one, two)))
    if one.kind == "json":
        return _overlap(*((key.name for key in form.fields) for form in (one, two)))
    return True


def _overlap(one: Iterable[str], two: Iterable[str]) -> bool:
    first, second = set(one), set(two)
    return len(first & second) >= SAME_LABELS * min(len(first), len(second))


class _Joined:
    """Which indexes belong together (union-find)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._parent = list(range(size))

    def join(self, one: int, two: int) -> None:
        first, second = sorted((self._root(one), self._root(two)))
        self._parent[second] = first

    def groups(self) -> list[list[int]]:
        found: defaultdict[int, list[int]] = defaultdict(list)
        for at in range(self.size):
            found[self._root(at)].append(at)
        return list(found.values())

    def _root(self, at: int) -> int:
        while self._parent[at] != at:
            self._parent[at] = self._parent[self._parent[at]]
            at = self._parent[at]
        return at


# ---- one template -------------------------------------------------------------------------------


def _divided(census: Census, piles: tuple[int, ...], tally: Tally) -> list[Group]:
    """The group of these piles, or a group for each template in their user messages and the rest."""
    samples = [sample for sample in tally.samples if sample.input]

    def different(one: Sequence[int], two: Sequence[int]) -> bool:
        forms = [form_of([samples[at] for at in of]) for of in (one, two)]
        return not same_form(*forms)

    prompt = census.piles[min(piles)].parts.instruction
    # Below a prompt that says what to do, and gets answers of one form, a template is only the way
    # in which the input is written.
    one_job = words(prompt) >= LONG_PROMPT and form_of(samples).kind != "text"
    made = [] if one_job else find_templates([sample.input for sample in samples], different)
    if words(prompt) >= LONG_PROMPT and not any(different(made[0].of, one.of) for one in made[1:]):
        made = []
    if not made:
        return [Group(piles, tally=tally)]
    templates = sorted(
        (one.template for one in made), key=lambda one: (-words(" ".join(parse(one)[0])), one)
    )
    groups = [
        Group(piles, template=one, before=tuple(templates[:at])) for at, one in enumerate(templates)
    ]
    return [*groups, Group(piles, before=tuple(templates))]


def _count(groups: Sequence[Group], census: Census, store: Store, progress: Progress) -> None:
    """Count again, by template, the calls of the groups that templates divide."""
    by_pile: defaultdict[int, list[Group]] = defaultdict(list)
    for group in groups:
        if group.template or group.before:
            for at in group.piles:
                by_pile[at].append(group)
    for trace in untasked(store, progress):
        pile = census.pile_of(trace)
        if pile is not None and pile in by_pile:
            assign(by_pile[pile], trace).tally.add(trace, census.sampled)


def assign(groups: Sequence[Group], trace: Trace) -> Group:
    """The group of a call among those of its pile: the first whose template it matches, else the
    one without a template."""
    for group in groups:
        if group.template is None or match(group.template, trace.input) is not None:
            return group
    raise AssertionError("the last group of a pile takes every call")
