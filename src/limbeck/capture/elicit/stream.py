"""Taking a rationale out of a stream of events while its bytes pass."""

from __future__ import annotations

from typing import Any, Protocol

from limbeck.capture.elicit.frames import Frames, read_data


class Editor(Protocol):
    """Edits the frames of one stream; one class for each dialect."""

    done: bool
    """Nothing more will be taken out or numbered anew."""

    @property
    def hides(self) -> bool:
        """Half a frame may hold a part of the rationale."""
        ...

    @property
    def rationale(self) -> str | None: ...

    def edit(self, frame: bytes, data: dict[str, Any]) -> bytes:
        """The bytes that stand in the place of `frame`, whose JSON is `data`."""
        ...

    def finish(self) -> bytes:
        """What was held back, where the stream ends without saying so."""
        ...


class Restorer:
    """The stream as the client sees it, as bytes that may be split anywhere.

    What holds no rationale keeps its bytes. What can be shown is shown with the chunk that makes it
    certain.
    """

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._frames = Frames()
        self._passing = False

    @property
    def rationale(self) -> str | None:
        """What was taken out so far; None where nothing was."""
        return self._editor.rationale

    def feed(self, chunk: bytes) -> bytes:
        """What `chunk` adds to the stream of the client."""
        if self._passing:
            return chunk
        shown = [self._edited(frame) for frame in self._frames.feed(chunk)]
        if self._editor.done or self._frames.overflowing:
            self._passing = True
            shown += [self._editor.finish(), self._frames.close()]
        return b"".join(shown)

    def close(self) -> bytes:
        """What is left when the stream has ended. Half a frame within a rationale is left out."""
        if self._passing:
            return b""
        self._passing = True
        rest = self._frames.close()
        if read_data(rest) is None:
            half = self._editor.hides
            return self._editor.finish() + (b"" if half else rest)
        shown, held = self._edited(rest), self._editor.finish()
        return shown + (b"\n\n" if shown and held else b"") + held

    def _edited(self, frame: bytes) -> bytes:
        if self._editor.done:
            return frame
        data = read_data(frame)
        return frame if data is None else self._editor.edit(frame, data)
