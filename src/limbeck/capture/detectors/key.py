"""Keys, tokens and passwords: by their known form, or by standing behind a name that says so.

Misses secrets without a known form where no `key=`, `token:`, `password=`, ... stands before them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

_FORMS = {
    # Model providers and tools around them: OpenAI, Anthropic, DeepSeek, OpenRouter, Langfuse.
    "sk-": r"sk-(?=[\w-]{0,80}\d)[\w-]{16,}",
    "AIza": r"AIza[\w-]{35}",
    "hf_": r"hf_[A-Za-z0-9]{20,}",
    "gsk_": r"gsk_[A-Za-z0-9]{20,}",
    "xai-": r"xai-[A-Za-z0-9]{20,}",
    "pplx-": r"pplx-[A-Za-z0-9]{20,}",
    "r8_": r"r8_[A-Za-z0-9]{20,}",
    "lk_": r"lk_[\w-]{43}",
    # Clouds, forges, payment and messages.
    "AKIA": r"AKIA[0-9A-Z]{16}",
    "ASIA": r"ASIA[0-9A-Z]{16}",
    "ya29.": r"ya29\.[\w-]{20,}",
    "GOCSPX-": r"GOCSPX-[\w-]{20,}",
    **{f"gh{kind}_": rf"gh{kind}_[A-Za-z0-9]{{30,}}" for kind in "pousr"},
    "github_pat_": r"github_pat_\w{22,}",
    "glpat-": r"glpat-[\w-]{20,}",
    "npm_": r"npm_[A-Za-z0-9]{30,}",
    "pypi-": r"pypi-[\w-]{50,}",
    "k_live_": r"[sr]k_live_[A-Za-z0-9]{10,}",
    "k_test_": r"[sr]k_test_[A-Za-z0-9]{10,}",
    "whsec_": r"whsec_[A-Za-z0-9+/=]{20,}",
    "xox": r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}",
    "xapp-": r"xapp-[A-Za-z0-9-]{20,}",
    "SG.": r"SG\.[\w-]{20,24}\.[\w-]{39,50}",
    **{f"shp{kind}_": rf"shp{kind}_[A-Fa-f0-9]{{32}}" for kind in ("at", "ca", "pa", "ss")},
    "dop_v1_": r"dop_v1_[a-f0-9]{64}",
    "eyJ": r"eyJ[\w-]{8,}\.eyJ[\w-]{4,}(?:\.[\w-]*)?",
}
"""A text that a key of this form holds, which is cheap to look for, and the form."""

_MARKS = {
    "_": [mark for mark in _FORMS if "_" in mark],
    "-": [mark for mark in _FORMS if "-" in mark],
    "": [mark for mark in _FORMS if "_" not in mark and "-" not in mark],
}
"""The same parts by a sign in them: most texts lack the first, and so a good half need no look."""
_FORM = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_FORMS.values())})")
# Without its end (a reply that was cut off) as much as may belong to it.
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,.()-]*?"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|(?![A-Za-z0-9+/=\s:,.()-]))"
)
_SCHEMES = ("bearer ", "basic ")
_TOKEN = re.compile(r"\s{0,4}([\w.~+/=-]{16,})")
_NAMES = ("key", "token", "secret", "password", "passwd", "passphrase", "pwd", "credential")
_VALUE = re.compile(
    r"s?[\"']?\s{0,4}(?:[:=]|=>|:=)\s{0,4}[\"']?([^\s\"'`,;&<>()\[\]{}]{6,})", re.IGNORECASE
)
_SHORTEST_TOKEN = 16
"""Characters of a `key=` or `token=` that may be secret; a password may be shorter."""
_SMALL = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


def find(text: str) -> Iterator[tuple[int, int]]:
    """Each form is looked for only where a part of it that is cheap to find stands in the text."""
    if any(sign in text and any(mark in text for mark in marks) for sign, marks in _MARKS.items()):
        for found in _FORM.finditer(text):
            yield found.span()
    if "PRIVATE KEY" in text:
        for found in _PEM.finditer(text):
            yield found.span()
    small = text.lower()
    if len(small) != len(text):
        # A few capitals of other alphabets become two letters.
        small = text.translate(_SMALL)
    for scheme in _SCHEMES:
        for token in _behind(scheme, _TOKEN, text, small):
            if _looks_random(token[1]):
                yield token.span(1)
    for name in _NAMES:
        for value in _behind(name, _VALUE, text, small):
            if span := _secret(text, name, *value.span(1)):
                yield span


def _behind(part: str, form: re.Pattern[str], text: str, small: str) -> Iterator[re.Match[str]]:
    """What has the form and stands behind the part; goes on behind it, so that each is read once."""
    at = small.find(part)
    while at >= 0:
        found = form.match(text, at + len(part))
        if found is not None:
            yield found
        at = small.find(part, found.end() if found else at + 1)


def _secret(text: str, name: str, start: int, end: int) -> tuple[int, int] | None:
    """The value without the full stop of its sentence, if it may be a secret of that name."""
    value = text[start:end].rstrip(".!?:")
    if name.startswith("p"):
        # A rule about passwords has no digits.
        secret = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    else:
        secret = len(value) >= _SHORTEST_TOKEN and _looks_random(value)
    return (start, start + len(value)) if secret else None


def _looks_random(value: str) -> bool:
    """Letters and digits change places as they do by chance only.

    In random base64 or hexadecimal about half of all neighbours change between letter and digit or
    between small and capital; in words, dates and version numbers joined by signs few do. Without
    two digits it may be words joined by capitals, of which more changes are asked.
    """
    plain = [one for one in value if one.isalnum()]
    kinds = ["d" if one.isdigit() else "u" if one.isupper() else "l" for one in plain]
    changes = sum(a != b for a, b in itertools.pairwise(kinds))
    return changes >= len(plain) * (0.2 if kinds.count("d") >= 2 else 0.34)
