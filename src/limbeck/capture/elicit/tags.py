"""A rationale in tags before the reply: how it is asked for, and how it is found again.

Only what the reply begins with is a rationale. The same tags further on belong to the reply.
"""

from __future__ import annotations

from limbeck.capture.elicit.cutter import MOST_HELD, MOST_UNDECIDED, WHITE, whole

OPEN = "<rationale>"
CLOSE = "</rationale>"


def instruction(wording: str) -> str:
    """What is added to the instructions of a call."""
    return (
        f"Before your reply, write a rationale between {OPEN} and {CLOSE}. {wording.strip()} "
        f"Begin with {OPEN}, and close it with {CLOSE} on a line of its own. After it, write your "
        "reply exactly as you would have written it without this paragraph, and do not refer to "
        "the rationale in it."
    )


class TagCutter:
    """Takes the rationale out of a text that comes in pieces.

    White space around the tags goes with them. Several blocks at the beginning are one rationale.
    """

    def __init__(self) -> None:
        self._lead = ""
        self._opening = ""
        self._inside: list[str] | None = None
        self._tail = ""
        self._held = 0
        self._taken: list[str] = []
        self.passing = False

    @property
    def unclosed(self) -> bool:
        """A rationale has begun and has not ended."""
        return self._inside is not None

    @property
    def rationale(self) -> str | None:
        """What was taken out; None where nothing was."""
        return whole(self._taken)

    @property
    def taken(self) -> int:
        """Characters taken out, the tags among them."""
        return sum(len(OPEN) + len(text) + len(CLOSE) for text in self._taken)

    def feed(self, piece: str) -> str:
        """What `piece` adds to the text that the client sees."""
        while not self.passing:
            if self._inside is None:
                self._lead += piece
                rest = self._lead.lstrip(WHITE)
                if rest.startswith(OPEN):
                    self._begin(rest)
                    piece = rest[len(OPEN) :]
                elif OPEN.startswith(rest) and len(self._lead) <= MOST_UNDECIDED:
                    return ""
                else:
                    self.passing = True
                    return rest if self._taken else self._lead
            else:
                seen = self._tail + piece
                before, closed, after = seen.partition(CLOSE)
                if not closed:
                    return self._hold(seen, len(piece))
                self._taken.append("".join(self._inside) + before)
                self._inside, self._tail, self._lead = None, "", ""
                piece = after
        return piece

    def close(self, *, cut_off: bool) -> str:
        """What the end of the text adds to what the client sees.

        A rationale that never ended is taken out where the reply was cut off. Where the teacher
        ended of itself, the reply may stand in it, so that it is shown as it came.
        """
        if self.passing:
            return ""
        self.passing = True
        if self._inside is None:
            return self._lead.lstrip(WHITE) if self._taken else self._lead
        text = "".join(self._inside) + self._tail
        self._inside = None
        if cut_off:
            self._taken.append(text)
            return ""
        return self._opening + text

    def _begin(self, rest: str) -> None:
        white = "" if self._taken else self._lead[: len(self._lead) - len(rest)]
        self._opening = white + OPEN
        self._inside, self._tail, self._held = [], "", 0

    def _hold(self, seen: str, size: int) -> str:
        assert self._inside is not None
        self._held += size
        if self._held > MOST_HELD:
            self._tail = seen
            return self.close(cut_off=False)
        # The end of a piece may be the beginning of the closing tag.
        keep = len(CLOSE) - 1
        self._inside.append(seen[:-keep])
        self._tail = seen[-keep:]
        return ""


def divide(text: str) -> tuple[str | None, str, bool]:
    """The rationale that `text` begins with, the reply after it, and whether the rationale ends.

    Without one it is None, and the reply is `text`.
    """
    if not text.lstrip(WHITE).startswith(OPEN):
        return None, text, True
    cutter = TagCutter()
    rest = cutter.feed(text)
    unclosed = cutter.unclosed
    rest += cutter.close(cut_off=True)
    return cutter.rationale, rest, not unclosed
