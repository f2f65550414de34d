"""What was asked of one call, and so what is to be taken out of its reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from limbeck.capture.elicit.body import Path
from limbeck.capture.elicit.cutter import Cutter
from limbeck.capture.elicit.json_field import FieldCutter
from limbeck.capture.elicit.tags import TagCutter


@dataclass(frozen=True)
class SchemaPlace:
    """Where the schema of a reply stands in a request; `tool` names the tool whose input it is."""

    path: Path
    tool: str | None = None


@dataclass(frozen=True)
class Plan:
    """`inline`: a block of tags before the text. `schema`: the property `field` of the text, or of
    the input of `tool`. `asked` is what was put in, and `original` the body as the client sent it."""

    how: Literal["inline", "schema"]
    original: dict[str, Any]
    asked: str
    field: str = ""
    tool: str | None = None

    @property
    def in_text(self) -> bool:
        """The rationale stands in the text of the reply, and not in a tool's input."""
        return self.tool is None

    def cutter(self) -> Cutter:
        """What takes the rationale out of one text or tool input."""
        return TagCutter() if self.how == "inline" else FieldCutter(self.field)
