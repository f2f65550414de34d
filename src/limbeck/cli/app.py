"""`limbeck`: finds the verb, runs it, and turns what goes wrong into one sentence and an exit code.

A verb is a file in this folder with a function `command`, annotated for typer. To add one: the
file, and one line in `VERBS`. A verb is imported only when it is run, so that `limbeck --help`
needs no extra and no time.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from limbeck import __version__
from limbeck.errors import Interrupted, LimbeckError, MissingExtraError, UsageError

VERBS: dict[str, tuple[str, str]] = {
    "demo": ("limbeck.cli.demo", "The whole loop, offline, on simulated tasks."),
    "init": ("limbeck.cli.init", "Make a workspace and a first task file."),
    "import": ("limbeck.cli.import_", "Bring in what other tools logged."),
    "gateway": ("limbeck.cli.gateway", "The drop-in proxy that records calls by task."),
    "keys": ("limbeck.cli.keys", "Make, list and revoke the keys of a gateway's clients."),
    "discover": ("limbeck.cli.discover", "Group the calls of no task into candidates for one."),
    "outcome": ("limbeck.cli.outcome", "Attach what turned out to be true."),
    "forget": ("limbeck.cli.forget", "Delete traces by task, age or subject, for good."),
    "elicit": ("limbeck.cli.elicit", "Ask the teacher for the rationales that are missing."),
    "assess": (
        "limbeck.cli.assess",
        "Say whether a task is worth distilling, and what is missing.",
    ),
    "curate": ("limbeck.cli.curate", "Make a checked, split dataset and its data card."),
    "distill": ("limbeck.cli.distill", "Train a student on a dataset."),
    "evaluate": ("limbeck.cli.evaluate", "Score students by verified outcome."),
    "serve": ("limbeck.cli.serve", "Serve one student at an OpenAI-compatible endpoint."),
    "export": ("limbeck.cli.export", "Write students and datasets as others want them."),
    "calibrate": ("limbeck.cli.calibrate", "Fit the policy that says when a student may answer."),
    "promote": ("limbeck.cli.promote", "Make a student serve its task under its policy."),
    "rollback": ("limbeck.cli.rollback", "Take a promoted student back."),
    "review": ("limbeck.cli.review", "Say what is right where a student only suggests."),
    "study": ("limbeck.cli.study", "Compare ways of training on your own data, with intervals."),
    "monitor": ("limbeck.cli.monitor", "What the audits say of a promise; --act closes it."),
    "report": ("limbeck.cli.report", "Write the report as a page, Markdown and JSON."),
    "store": ("limbeck.cli.store", "Count, verify or export what the store holds."),
    "sandbox": ("limbeck.cli.sandbox", "Run a simulated teacher on this machine."),
    "doctor": ("limbeck.cli.doctor", "What is installed, what is missing, what would fail."),
}

EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "tokenizers": "train",
    "safetensors": "train",
    "starlette": "serve",
    "uvicorn": "serve",
    "httptools": "serve",
    "prometheus_client": "serve",
    "re2": "redact",
    "phonenumbers": "redact",
    "stdnum": "redact",
    "anthropic": "anthropic",
    "openai": "openai",
    "psycopg": "postgres",
    "opentelemetry.sdk": "otel",
    "opentelemetry.exporter.otlp.proto.http": "otel",
}
"""Which extra brings a module that a verb may miss."""


class Verb(TyperCommand):
    """Stands for a verb in the list of commands; becomes the real one when it is run."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        return load(self.name or "").make_context(info_name, args, parent, **extra)


class Verbs(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        return Verb(name=cmd_name, callback=None, help=VERBS[cmd_name][1])


def load(name: str) -> TyperCommand:
    """The command of a verb, with its module imported.

    Raises UsageError if this installation lacks the module.
    """
    module = VERBS[name][0]
    try:
        function = import_module(module).command
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise UsageError(
            f"the verb {name!r} is not in this installation of Limbeck {__version__}; "
            f"get the newest with: pip install --upgrade limbeck"
        ) from None
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(function)
    loaded = typer.main.get_command(single)
    assert isinstance(loaded, TyperCommand)
    return loaded


app = typer.Typer(cls=Verbs, add_completion=False, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"limbeck {__version__}")
        raise typer.Exit


@app.callback()
def limbeck(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")
    ] = False,
) -> None:
    """From a frontier model's explanations to a small model that you own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code.

    The outermost boundary: 0 done, 1 failed with one sentence, 2 wrong usage, 130 interrupted.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"] or ["--help"]
    try:
        code = typer.main.get_command(app).main(args, prog_name="limbeck", standalone_mode=False)
    # The outermost boundary: everything becomes a sentence and a non-zero exit code.
    except BaseException as error:  # noqa: BLE001
        if debug:
            traceback.print_exc()
        return _report(error)
    if code == Interrupted.exit_code:
        return _report(KeyboardInterrupt())
    return code if isinstance(code, int) else 0


def _report(error: BaseException) -> int:
    sentence, code = explain(error)
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone (`| head`); the interpreter must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    elif sentence:
        print(f"error: {sentence}", file=sys.stderr)
    return code


def explain(error: BaseException) -> tuple[str, int]:
    """One sentence about `error` for a person, and the exit code that belongs to it."""
    if isinstance(error, LimbeckError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return (
            "interrupted; what was finished is kept; run the same command again to go on",
            Interrupted.exit_code,
        )
    if isinstance(error, typer.Abort):
        return "stopped at your answer; nothing was done", 1
    if isinstance(error, SystemExit):
        return "", error.code if isinstance(error.code, int) else 1
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in EXTRAS:
        missing = (error.name or "").split(".")[0]
        return str(MissingExtraError(missing, EXTRAS[missing])), MissingExtraError.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}; check the path, its permissions and the free space", 1
    usage = getattr(error, "format_message", None)
    if usage is not None:
        command = getattr(getattr(error, "ctx", None), "command_path", "limbeck")
        message = str(usage()).strip().rstrip(".")
        return f"{message}; see: {command} --help", getattr(error, "exit_code", 2)
    return (
        f"unexpected {type(error).__name__}: {error}; this is a mistake in Limbeck; "
        f"run again with --debug to see where",
        1,
    )


if __name__ == "__main__":
    sys.exit(main())
