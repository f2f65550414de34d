"""What a task wants taken out of its calls before they are stored; the calls themselves pass
untouched.

A value becomes a placeholder such as `[EMAIL_1]`. Within one trace the same value gets the same
placeholder, so that a chain that speaks of it still makes sense.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from limbeck.capture.detectors.custom import Claim, open_hook, open_pattern
from limbeck.capture.detectors.table import DETECTORS, load
from limbeck.capture.detectors.view import View
from limbeck.capture.placeholders import Numbering, apart, outside, replaced
from limbeck.types import RedactForm, Trace, canonical_json, text_hash

WITHHELD = "withheld"
"""The kind of a text that is not kept at all, because a hook failed on it."""

_PASSES = 8
"""What stood beside a value may itself be one once that is gone; so often is looked again."""
_SHORTEST = 6
"""Characters of the shortest text that holds anything of a built-in kind: a@b.cc"""
_KNOWN_CLEAN = 1024
"""Skeletons whose verdict is kept."""


def redactor_for(*forms: RedactForm) -> Redactor | None:
    """The redactor of all `forms` together, or None where they ask for nothing.

    Raises ConfigError for a wrong pattern or hook and MissingExtraError for an absent library.
    """
    asked = [form for form in forms if form.kinds or form.patterns or form.hook]
    return Redactor(*asked) if asked else None


class Redactor:
    """Takes out what any of its forms names. Compiled once; safe to share between threads.

    It never raises on a text: where a hook fails, the whole text is withheld, and the failure is
    counted in `failures` by the name of its error.
    """

    def __init__(self, *forms: RedactForm) -> None:
        kinds = {kind for form in forms for kind in form.kinds}
        self._detectors = [(kind, load(kind)) for kind in DETECTORS if kind in kinds]
        patterns = dict.fromkeys(item for form in forms for item in form.patterns.items())
        hooks = dict.fromkeys(form.hook for form in forms if form.hook)
        self._custom = [open_pattern(kind, pattern) for kind, pattern in patterns]
        self._custom += [open_hook(hook) for hook in hooks]
        self._clean_skeletons: set[str] = set()
        self.failures: Counter[str] = Counter()

    def text(self, text: str) -> tuple[str, dict[str, int]]:
        """`text` with placeholders, and how often each kind was taken out."""
        run = _Run(self, lambda: [text])
        return run.text(text), dict(run.counts)

    def blob(self, data: bytes) -> tuple[bytes, dict[str, int]]:
        """`data` with placeholders, where it is text or JSON; other bytes are returned as they are."""
        run = _Run(self, lambda: [data.decode("utf-8", "ignore")])
        return run.blob(data), dict(run.counts)

    def trace(self, trace: Trace) -> Trace:
        """`trace` with placeholders in all that was said, and `redacted` counted; the same object
        where there was nothing to take out.

        Names (correlation, subject, group, request id) are kept: outcomes and deletions need them.
        """
        return self.recording(trace, {})[0]

    def recording(
        self, trace: Trace, blobs: Mapping[str, bytes]
    ) -> tuple[Trace, Mapping[str, bytes]]:
        """A trace and its blobs under one numbering; the same objects where nothing was taken out.

        A blob that changed gets the name of its new bytes, and what refers to it says so. The
        skeleton keeps its name, which says what instructions the call had; if there was anything to
        take out of it, its blob is left out.
        """
        run = _Run(self, lambda: _texts(trace, blobs))
        changed = run.fields(trace)
        kept = run.blobs(trace, blobs)
        context = run.renamed.get(trace.context or "")
        if context is not None:
            changed["context"] = context
        if changed:
            counts = run.counts + Counter(trace.redacted)
            trace = trace.model_copy(update={**changed, "redacted": dict(sorted(counts.items()))})
        return trace, kept

    def claims(self, text: str) -> list[Claim]:
        """Every place of `text` that is to go, in order and apart. Raises what a hook raises."""
        claims: list[Claim] = []
        if self._detectors and len(text) >= _SHORTEST:
            view = View(text)
            plain = view.plain
            for kind, find in self._detectors:
                for start, end in list(find(plain)):
                    claims.append(Claim(*view.place(start, end), kind))
                    # What one kind has claimed need not be looked at for the next.
                    plain = plain[:start] + "\0" * (end - start) + plain[end:]
        for find_custom in self._custom:
            claims += outside(text, find_custom(text))
        return apart(claims) if len(claims) > 1 else claims

    def is_clean(self, name: str, skeleton: bytes) -> bool:
        """Nothing of the skeleton is to go. It is the same in most calls, so the answer is kept."""
        if name in self._clean_skeletons:
            return True
        if self.blob(skeleton)[0] != skeleton:
            return False
        if len(self._clean_skeletons) >= _KNOWN_CLEAN:
            self._clean_skeletons.clear()
        self._clean_skeletons.add(name)
        return True


class _Run:
    """One trace on its way through a redactor: its numbering, its counts, its blobs' new names."""

    def __init__(self, redactor: Redactor, texts: Callable[[], Iterable[str]]) -> None:
        self._redactor = redactor
        self._numbering = Numbering(texts)
        self.counts: Counter[str] = Counter()
        self.renamed: dict[str, str] = {}

    def text(self, text: str) -> str:
        withheld = f"[{WITHHELD.upper()}]"
        if text == withheld:
            return text
        try:
            for _ in range(_PASSES):
                claims = self._redactor.claims(text)
                if not claims:
                    break
                self.counts.update(claim.kind for claim in claims)
                text = replaced(text, claims, self._numbering)
        # The boundary of foreign code: a hook may raise anything, and then nothing is kept.
        except Exception as error:  # noqa: BLE001
            self._redactor.failures[type(error).__name__] += 1
            self.counts[WITHHELD] += 1
            return withheld
        return text

    def fields(self, trace: Trace) -> dict[str, Any]:
        """The fields of `trace` that change, as they are to be."""
        new: dict[str, Any] = {
            "input": self.text(trace.input),
            "choices": tuple(map(self.text, trace.choices)),
            "raw": trace.raw and self.text(trace.raw),
            "thinking": trace.thinking and self.text(trace.thinking),
            "blocks": trace.blocks and self.json(trace.blocks),
            "answer": trace.answer and self.text(trace.answer),
        }
        if trace.rationale is not None:
            said = self.text(trace.rationale.text)
            new["rationale"] = trace.rationale.model_copy(update={"text": said})
        return {name: value for name, value in new.items() if value != getattr(trace, name)}

    def blobs(self, trace: Trace, blobs: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The blobs that are kept, by the names that they have then."""
        skeleton = trace.provenance.skeleton
        kept: dict[str, bytes] = {}
        # The context comes last, because it may name the others.
        for name in sorted(blobs, key=lambda name: name == trace.context):
            data = blobs[name]
            if name == skeleton:
                if self._redactor.is_clean(name, data):
                    kept[name] = data
                continue
            new = self.blob(data)
            if new != data:
                self.renamed[name] = text_hash(new.decode("utf-8", "surrogatepass"))
            kept[self.renamed.get(name, name)] = new
        return blobs if kept.keys() == blobs.keys() else kept

    def blob(self, data: bytes) -> bytes:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return data
        new = self.json(text)
        return data if new == text else new.encode("utf-8", "surrogatepass")

    def json(self, text: str) -> str:
        """JSON with each string and each whole number for itself, or any other text as a text."""
        if text[:1] not in ("{", "["):
            return self.text(text)
        try:
            value = json.loads(text)
            new = self._value(value)
            return text if new == value else canonical_json(new)
        except (ValueError, RecursionError):
            # No JSON, or nested deeper than can be followed.
            return self.text(text)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.renamed.get(value) or self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self._value(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._value(one) for one in value]
        if isinstance(value, int) and not isinstance(value, bool):
            digits = str(value)
            new = self.text(digits)
            return value if new == digits else new
        return value


def _texts(trace: Trace, blobs: Mapping[str, bytes]) -> Iterator[str]:
    said = (trace.input, *trace.choices, trace.raw, trace.thinking, trace.blocks, trace.answer)
    yield from filter(None, said)
    if trace.rationale is not None:
        yield trace.rationale.text
    for data in blobs.values():
        yield data.decode("utf-8", "ignore")
