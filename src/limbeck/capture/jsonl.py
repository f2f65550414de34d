"""Rows of a JSON Lines file, plain or gzip, one at a time; what is wrong is named by its line."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import json
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.errors import ImportFileError

LONGEST_LINE = 64 * 2**20
"""Bytes; a longer line is a mistake, and reading on would only fill the memory."""

_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "compressed with bzip2",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xfd7zXZ": "compressed with xz",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite database",
}


class BadLineError(Exception):
    """What is wrong with a line; `line` is None for the file as a whole."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line

    def of_file(self, path: Path, kept: int) -> ImportFileError:
        """The same for the user, who also hears what became of the rows before it."""
        before = f"{kept:,} rows before it were" if kept else "nothing was"
        again = "; the same command again adds nothing twice" if kept else ""
        return ImportFileError(path, f"{self}; {before} written to the store{again}", self.line)


class LongLineError(BadLineError):
    """A line that is longer than LONGEST_LINE."""


@contextlib.contextmanager
def at_line(line: int) -> Iterator[None]:
    """Give the line to a BadLineError from code that does not know it."""
    try:
        yield
    except BadLineError as error:
        raise BadLineError(str(error), error.line or line) from None


@dataclass(frozen=True)
class Row:
    """One row; `position` is how many bytes of the file (as it lies on disk) have been read."""

    line: int
    values: dict[str, Any]
    position: int


def read_rows(path: Path) -> Iterator[Row]:
    """The JSON objects of the file, in constant memory; blank lines are passed over.

    Raises BadLineError for what cannot be read, is no JSON object, or for a file without any row.
    """
    rows = 0
    for line, text, position in read_lines(path):
        if not text.strip():
            continue
        rows += 1
        yield Row(line=line, values=_parse(text, line), position=position)
    if not rows:
        raise BadLineError("the file is empty; wanted one JSON object a line")


def read_lines(path: Path) -> Generator[tuple[int, str, int]]:
    """Each line with its number (from 1) and the bytes of the file that have been read so far.

    Raises BadLineError for what cannot be read.
    """
    with _opened(path) as raw:
        stream = _decompressed(raw)
        line = 0
        while data := _read_line(stream, line):
            line += 1
            try:
                text = data.decode("utf-8-sig" if line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise BadLineError(
                    f"byte {error.start + 1} of the line ({data[error.start]:#04x}) is not "
                    f"UTF-8; save the file as UTF-8 or correct that line",
                    line,
                ) from None
            yield line, text, raw.tell()


class TextStream:
    """The text of a file in pieces; `position` is as in Row."""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._stream = _decompressed(raw)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()

    @property
    def position(self) -> int:
        return self._raw.tell()

    def read(self, size: int) -> str:
        """About `size` characters more; empty at the end. Raises BadLineError."""
        while True:
            with _reading("in the middle of the JSON"):
                data = self._stream.read(size)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                wrong = error.object[error.start]
                raise BadLineError(
                    f"the file holds a byte ({wrong:#04x}) that is not UTF-8; save it as UTF-8"
                ) from None
            if text or not data:
                return text


@contextlib.contextmanager
def open_text(path: Path) -> Iterator[TextStream]:
    """The file, plain or gzip, as one stream of text. Raises BadLineError."""
    with _opened(path) as raw:
        yield TextStream(raw)


def _opened(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadLineError(f"cannot be opened: {error.strerror}; check the path") from None


def _decompressed(raw: io.BufferedReader) -> io.BufferedIOBase:
    try:
        start = raw.peek(16)
    except OSError as error:
        raise BadLineError(f"cannot be read: {error.strerror}; name a file") from None
    # By content, because exports are often named .jsonl and compressed all the same.
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    for magic, name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise BadLineError(f"this is {name}; wanted text, plain or gzip")
    return raw


@contextlib.contextmanager
def _reading(place: str) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise BadLineError(
            f"the gzip stream breaks off {place}; the file is incomplete; get it anew"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadLineError(
            f"the gzip stream is damaged {place} ({error}); fetch the file again"
        ) from None
    except OSError as error:
        raise BadLineError(f"cannot be read {place}: {error.strerror}") from None


def _read_line(stream: io.BufferedIOBase, read: int) -> bytes:
    with _reading(f"after line {read:,}"):
        data = stream.readline(LONGEST_LINE + 1)
    if len(data) > LONGEST_LINE:
        raise LongLineError(
            f"the line is longer than {LONGEST_LINE:,} bytes; wanted one JSON object a line",
            read + 1,
        )
    return data


def _parse(text: str, line: int) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        if line == 1 and text.strip() in ("[", "{"):
            raise BadLineError(
                "the JSON is spread over several lines; wanted one JSON object a line; "
                "convert it, for example with: jq -c '.[]' FILE",
                line,
            ) from None
        raise BadLineError(
            f"broken JSON at column {error.colno}: {error.msg}; correct that line", line
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"JSON that cannot be used ({error}); correct that line", line) from None
    if isinstance(values, list) and line == 1:
        raise BadLineError(
            "the file is one JSON array; wanted one JSON object a line; "
            "convert it, for example with: jq -c '.[]' FILE",
            line,
        )
    if not isinstance(values, dict):
        raise BadLineError(f"{text.strip()[:60]!r} is no JSON object; wanted {{...}}", line)
    return values
