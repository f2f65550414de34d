"""The chain is written in another language than this task's chains are.

Catches a German chain among English ones, and one that changes into Chinese half way. Lets pass the
language of the chain's own input, any language that at least a twentieth of the task's chains have,
chains too terse to tell ("mon: 33 - 9 = 24"), and names and quotations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from limbeck.curate.chain import excerpt
from limbeck.curate.checks.verdict import CheckSettings, by_row, verdicts
from limbeck.curate.grams import Words64
from limbeck.curate.tokens import Tokens, tokens, tokens_of, word_codes
from limbeck.types import Task

_COMMON = {
    "English": "the of and to is that it was for with as are this be from have not which so they",
    "German": "der die das und ist nicht ein eine zu den mit auf sich dem des auch wird es wir also",
    "French": "le les des et est une dans que qui pour pas sur par avec au ce il nous donc sont",
    "Spanish": "el los las y es una en que por con para del se como pero más su al lo entonces",
    "Italian": "il gli di e è una che per con non del della sono anche come si nel più quindi ma",
    "Portuguese": "o os as e é uma em que por com para do da não se como mas dos ao então",
    "Dutch": "de het een en van is dat op niet voor met zijn aan ook wordt bij dus er naar om",
    "Swedish": "och att det som en på är av för med den till inte om ett har men så vi kan",
    "Polish": "i w nie na się z do to jest że jak ale po dla od przez tak są który więc",
}
"""The words that no text of a language does without, as far as other languages lack most of them."""
_SCRIPTS = {
    "Chinese": r"\p{Han}",
    "Japanese": r"[\p{Hiragana}\p{Katakana}]",
    "Korean": r"\p{Hangul}",
    "Cyrillic script": r"\p{Cyrillic}",
    "Greek": r"\p{Greek}{2}",
    "Arabic": r"\p{Arabic}",
    "Hebrew": r"\p{Hebrew}",
    "Hindi": r"\p{Devanagari}",
    "Thai": r"\p{Thai}",
}
_WORDS = 4
"""Different common words of a language that a chain needs to be in it."""
_DENSE = 0.03
"""How many of them to a word of the chain."""
_FIRST = np.uint64(48)
"""What a code is shifted by, so that its first 16 bits are left."""
_SHARE = 0.05
"""A language that so many of the task's chains have is the task's own."""


class Settings(CheckSettings):
    script: float = Field(0.1, gt=0, le=1)
    """Share of the characters in a script that the task does not use which is too many."""
    at_least: int = Field(50, ge=2)
    """With fewer chains than this nothing is known about the task's language; all pass."""


@dataclass(frozen=True)
class Usual:
    """The languages and scripts of the task, by name."""

    names: frozenset[str]


def fit(sample: pl.DataFrame, task: Task, settings: Settings) -> Usual | None:
    """What the task's chains are written in; None where too few are there to know it."""
    chains = sample["rationale"].drop_nulls()
    if chains.len() < settings.at_least:
        return None
    told = [name for name in _language(tokens(chains)) if name is not None]
    told += [name for name in _scripts(chains, settings.script) if name is not None]
    names = [name for name in set(told) if told.count(name) >= _SHARE * max(len(told), 1)]
    return Usual(frozenset(names))


def check(frame: pl.DataFrame, task: Task, settings: Settings, usual: Usual | None) -> pl.DataFrame:
    """Traces whose chain is in a language that neither the task nor their input is in."""
    if usual is None or frame.is_empty():
        return verdicts([None] * frame.height)
    chains = frame["rationale"]
    known = pl.Series("known", list(usual.names), dtype=pl.String).implode()
    found = frame.select(
        "input",
        "rationale",
        pl.Series("said", _language(tokens_of(frame, "rationale")), dtype=pl.String),
        pl.Series("script", _scripts(chains, settings.script), dtype=pl.String),
    )
    expected = " and ".join(sorted(usual.names)) or "no language that is known here"

    def find(prompt: str, chain: str, said: str | None, script: str | None) -> str | None:
        own = pl.Series([prompt], dtype=pl.String)
        asked = {*_language(tokens(own)), *_scripts(own, settings.script)}
        for name in (script, said):
            if name is not None and name not in usual.names and name not in asked:
                return f"the chain is in {name}, this task's in {expected}: {excerpt(chain)!r}"
        return None

    strange = (pl.col("said").is_not_null() & ~pl.col("said").is_in(known)) | (
        pl.col("script").is_not_null() & ~pl.col("script").is_in(known)
    )
    return by_row(found, ["input", "rationale", "said", "script"], find, strange)


def _scripts(texts: pl.Series, share: float) -> list[str | None]:
    """The script beside the Latin one that a text has the most of, where it is enough of it."""
    told: list[str | None] = [None] * texts.len()
    odd = texts.to_frame("text").with_row_index("row")
    odd = odd.filter(pl.col("text").str.len_bytes() > pl.col("text").str.len_chars())
    if odd.is_empty():
        return told
    counted = odd.with_columns(
        pl.col("text").str.count_matches(pattern).alias(name) for name, pattern in _SCRIPTS.items()
    )
    for row in counted.iter_rows(named=True):
        name = max(_SCRIPTS, key=lambda name: row[name])
        if row[name] and row[name] >= share * len(row["text"]):
            told[row["row"]] = name
    return told


def _language(said: Tokens) -> list[str | None]:
    """The language of each text by its common words; None where too few of them stand in it."""
    codes, member, likely = _table()
    # Most words are none of these, which their first bits tell.
    asked = np.flatnonzero(likely[said.codes >> _FIRST])
    place = np.minimum(np.searchsorted(codes, said.codes[asked]), codes.size - 1)
    common = codes[place] == said.codes[asked]
    stands = np.zeros((said.counts.size, codes.size), dtype=np.int16)
    stands[said.owners[asked[common]], place[common]] = 1
    # Whole numbers, so that no library starts threads for so little.
    votes = stands @ member
    best = votes.argmax(axis=1)
    most = votes.max(axis=1, initial=0)
    second = np.sort(votes, axis=1)[:, -2]
    sure = (most >= _WORDS) & (most >= 2 * second) & (most >= _DENSE * said.counts)
    names = list(_COMMON)
    return [names[at] if told else None for at, told in zip(best, sure, strict=True)]


@lru_cache(maxsize=1)
def _table() -> tuple[Words64, npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """The codes of all common words in order (W,), which languages have each (W, L), and whether any of
    them begins with some bits (2**16,)."""
    words = sorted({word for common in _COMMON.values() for word in common.split()})
    codes = word_codes(words)
    order = np.argsort(codes)
    member = np.array([[word in common.split() for common in _COMMON.values()] for word in words])
    likely = np.zeros(1 << 16, dtype=np.bool_)
    likely[codes >> _FIRST] = True
    return codes[order], member[order].astype(np.int16), likely
