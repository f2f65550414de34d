"""The reference page, written from the code: `python -m limbeck.cli.reference docs/reference.md`.

A verb's options are those of its command, a setting's key, type and default those of its model, and
what is said of it is its docstring. So a page that is not stale cannot be wrong about a name.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from limbeck.cli.app import VERBS, load
from limbeck.curate.assess.settings import AssessSettings
from limbeck.curate.checks.table import CHECKS
from limbeck.curate.contamination import ContaminationSettings
from limbeck.curate.duplicates import DuplicateSettings
from limbeck.distill.recipes.table import TABLE as RECIPES
from limbeck.distill.recipes.table import load_recipe
from limbeck.distill.settings import DistillSettings
from limbeck.errors import UsageError
from limbeck.monitor.settings import MonitorSettings
from limbeck.serve.settings import GatewaySettings, Upstream
from limbeck.types import (
    AnswerForm,
    ImportMap,
    Noun,
    Price,
    ReplyForm,
    SplitPlan,
    Task,
    TeacherSpec,
)
from limbeck.workspace import Settings

_HEAD = """\
# Reference

Every verb with its options, and every setting with its type and default.
This page is written from the code by `make docs`. Do not edit it by hand.

A setting is declared once. The same name is the key in the TOML file, the key after `--set` and the
name in the saved settings beside a result. An unknown key is an error everywhere.
"""

_COMMANDS = """\
Exit codes: 0 done, 1 failed with one sentence on stderr, 2 wrong usage, 130 interrupted.
`limbeck --version` prints the version. `--debug`, anywhere, shows the traceback of an error.
"""

_TASK: dict[str, type[Noun]] = {
    "": Task,
    "answer": AnswerForm,
    "reply": ReplyForm,
    "teacher": TeacherSpec,
    "teacher.price": Price,
    "rows": ImportMap,
    "splits": SplitPlan,
}


def render() -> str:
    """The whole page as Markdown. It needs every extra, because every verb is loaded."""
    return "\n".join(_sections()).rstrip() + "\n"


def _sections() -> Iterator[str]:
    yield _HEAD
    yield "## Commands\n"
    yield _COMMANDS
    for name in VERBS:
        yield from _verb(name)
    yield "## The task file\n"
    yield "`tasks/NAME.toml`: one task a file, named by the file. Only `[answer]` is required.\n"
    for section, model in _TASK.items():
        yield from _model(f"`[{section}]`" if section else "A task", model)
    yield "## `limbeck.toml`\n"
    yield "The settings of a workspace. Everything may be left out.\n"
    yield from _model("A workspace", Settings)
    yield from _model("`[gateway]`", GatewaySettings)
    yield from _model("`[gateway.upstreams.DIALECT]`", Upstream)
    yield from _model("`[assess]`", AssessSettings)
    yield from _model("`[distill]`", DistillSettings)
    yield from _model("`[monitor]`", MonitorSettings)
    yield from _checks()
    yield from _recipes()


def _checks() -> Iterator[str]:
    yield "## Checks of curation\n"
    yield (
        "In the order in which the first reason to drop a trace is looked for. Settings go into "
        "`[checks.NAME]` of a task file, `[curate.NAME]` of `limbeck.toml`, or after "
        "`limbeck curate --set` as `NAME.key=value`.\n"
    )
    for name, place in CHECKS.items():
        module = import_module(place)
        yield from _model(f"`{name}`", module.Settings, inspect.getdoc(module))
    others: dict[str, type[Noun]] = {
        "duplicates": DuplicateSettings,
        "contamination": ContaminationSettings,
    }
    for name, model in others.items():
        module = import_module(model.__module__)
        yield from _model(f"`{name}`", model, inspect.getdoc(module))


def _recipes() -> Iterator[str]:
    yield "## Recipes\n"
    yield "Settings go after `limbeck distill --recipe-set` as `key=value` or `RECIPE.key=value`.\n"
    for name in RECIPES:
        recipe: Any = load_recipe(name)
        yield from _model(f"`{name}`", recipe.Settings, inspect.getdoc(recipe))


# ---- verbs --------------------------------------------------------------------------------------


def _verb(name: str) -> Iterator[str]:
    command = load(name)
    hints = get_type_hints(import_module(VERBS[name][0]).command, include_extras=True)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    yield f"### `limbeck {name}`\n"
    yield f"{inspect.cleandoc(command.help or VERBS[name][1])}\n"
    places = "".join(f" {_place(one)}" for one in arguments)
    yield f"```\nlimbeck {name} [OPTIONS]{places}\n```\n"
    rows = [_parameter(one, hints.get(one.name or "")) for one in command.params]
    yield from _table(("option", "type", "default", "what it does"), rows)


def _place(argument: Any) -> str:
    name = argument.metavar or str(argument.name).upper()
    return name if argument.required else f"[{name}]"


def _parameter(one: Any, hint: Any) -> tuple[str, ...]:
    argument = one.param_type_name == "argument"
    names = f"`{_place(one)}`" if argument else ", ".join(f"`{name}`" for name in one.opts)
    default = "" if one.default in (None, False, "") else f"`{_plain(one.default)}`"
    if one.required:
        default = "required"
    kind = "flag" if getattr(one, "is_flag", False) else _type(hint)
    if one.multiple:
        kind = f"{kind.removeprefix('list of ')}, repeatable"
    return names, kind, default, getattr(one, "help", None) or ""


# ---- settings -----------------------------------------------------------------------------------


def _model(title: str, model: type[BaseModel], said: str | None = None) -> Iterator[str]:
    yield f"### {title}\n"
    own = model.__doc__ if "__doc__" in vars(model) else None
    for text in (said, own):
        if text:
            yield f"{_markdown(text)}\n"
    notes = field_notes(model)
    rows = [
        (f"`{name}`", _field_type(field), _default(field), notes.get(name, ""))
        for name, field in model.model_fields.items()
    ]
    if rows:
        yield from _table(("key", "type", "default", "what it is"), rows)


def field_notes(model: type[BaseModel]) -> dict[str, str]:
    """The docstring that stands under each field of `model` and of the models it extends."""
    notes: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not issubclass(cls, Noun) or cls is Noun:
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
        [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
        for field, after in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                said = _string(after)
                if said:
                    notes[field.target.id] = said
    return notes


def _string(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        value = node.value.value
        return " ".join(value.split()) if isinstance(value, str) else None
    return None


def _markdown(text: str) -> str:
    """A docstring that no page takes for HTML; what stands in backticks is safe as it is."""
    parts = inspect.cleandoc(text).split("`")
    return "`".join(
        part.replace("<", "&lt;") if n % 2 == 0 else part for n, part in enumerate(parts)
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return _value(field.get_default(call_default_factory=True))


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, BaseModel):
        return "its own defaults"
    return f"`{json.dumps(_plain(value), ensure_ascii=False)}`"


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _field_type(field: FieldInfo) -> str:
    return ", ".join([_type(field.annotation), *map(_constraint, field.metadata)])


def _constraint(limit: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    for name, sign in signs.items():
        if hasattr(limit, name):
            return f"{sign} {getattr(limit, name)}"
    return f"matches `{limit.pattern}`"


def _type(hint: Any) -> str:
    """A type in the words of TOML and the command line."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        # Limits inside a union (`Annotated[float, Gt(0)] | None`) are not in the field's own.
        limits = [
            one for one in inner[1:] if any(hasattr(one, s) for s in ("ge", "gt", "metadata"))
        ]
        found = [_constraint(m) for one in limits for m in getattr(one, "metadata", [one])]
        return ", ".join([_type(inner[0]), *found])
    if origin is Literal:
        return ", ".join(f"`{json.dumps(one)}`" for one in inner)
    if origin in (Union, UnionType):
        return " or ".join(_type(one) for one in inner if one is not NoneType)
    if origin in (list, tuple):
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"table of {_type(inner[1])}"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(f"`{one.value}`" for one in hint)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return "table"
    names = {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path"}
    return names.get(hint, "any")


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    lines = [heading, ("---",) * len(heading), *rows]
    yield "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> None:
    """Write the page to the path given."""
    if len(arguments) != 1:
        raise UsageError(f"got {arguments!r}; wanted the file to write, such as docs/reference.md")
    path = Path(arguments[0])
    path.write_text(render(), encoding="utf-8")
    print(f"written  {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
