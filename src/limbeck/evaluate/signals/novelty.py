"""How unlike the student's training inputs an input is: the mean rarity of its words and word pairs.

Rarity is -ln of the share of training inputs that hold the word or pair, in nats; it is kept in
`BINS` bins by hash, one byte each, so that a policy carries it along.
"""

from __future__ import annotations

import base64
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limbeck.evaluate.signals.reading import Reading

BINS = 8192
STEPS = 16
"""Steps of one nat in which a rarity is kept."""
_WORD = re.compile(r"\w+")


class Novelty:
    """The rarity of what training inputs hold."""

    def __init__(self, rarity: bytes) -> None:
        """`rarity` is one byte a bin, in `1/STEPS` nats."""
        if len(rarity) != BINS:
            raise ValueError(f"got {len(rarity)} bins; wanted {BINS}")
        self._rarity = rarity

    @classmethod
    def fit(cls, inputs: Sequence[str]) -> Novelty:
        counts = [0] * BINS
        for text in inputs:
            for place in _bins(text):
                counts[place] += 1
        n = len(inputs)
        rarity = (-math.log((count + 0.5) / (n + 1)) for count in counts)
        return cls(bytes(min(255, max(0, round(STEPS * value))) for value in rarity))

    def __call__(self, text: str) -> float:
        found = _bins(text)
        if not found:
            return 0.0
        return sum(self._rarity[place] for place in found) / (STEPS * len(found))

    def packed(self) -> str:
        """As text, for a policy."""
        return base64.b64encode(zlib.compress(self._rarity, 9)).decode("ascii")

    @staticmethod
    def unpack(text: str) -> Novelty:
        """The reverse of `packed`. Raises ValueError where `text` is no such thing."""
        return _unpack(text)


@lru_cache(maxsize=32)
def _unpack(text: str) -> Novelty:
    reader = zlib.decompressobj()
    try:
        # Nothing longer than the bins is unpacked, however small the file that holds it.
        rarity = reader.decompress(base64.b64decode(text), BINS + 1)
    except zlib.error as error:
        raise ValueError(f"the novelty of a policy is damaged: {error}") from None
    if not reader.eof:
        raise ValueError("the novelty of a policy is damaged: it ends too early or too late")
    return Novelty(rarity)


def _bins(text: str) -> set[int]:
    words = _WORD.findall(text.casefold())
    pairs: Iterable[str] = (f"{one} {other}" for one, other in pairwise(words))
    return {zlib.crc32(gram.encode()) % BINS for gram in (*words, *pairs)}


def read(reading: Reading) -> float:
    return reading.novelty(reading.input) if reading.novelty is not None else 0.0
