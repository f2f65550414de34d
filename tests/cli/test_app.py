from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import typer

import limbeck
from limbeck.cli import app
from limbeck.errors import ConfigError, Interrupted, UsageError

ROOT = Path(app.__file__).parent


def put(monkeypatch: pytest.MonkeyPatch, function: Callable[..., None]) -> None:
    """Make `function` the verb `probe`."""
    module = ModuleType("limbeck.cli.probe")
    module.command = function  # type: ignore[attr-defined]  # a module takes any attribute
    monkeypatch.setitem(sys.modules, "limbeck.cli.probe", module)
    monkeypatch.setitem(app.VERBS, "probe", ("limbeck.cli.probe", "For this test."))


def test_help_lists_every_verb_and_imports_none(capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "import sys; from limbeck.cli.app import main; code = main(['--help']);"
        "heavy = {'torch', 'polars', 'sqlalchemy', 'transformers', 'starlette', 'numpy'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); sys.exit(code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    for verb, (_, line) in app.VERBS.items():
        assert f"  {verb} " in run.stdout
        assert line in run.stdout


def test_every_verb_file_of_the_folder_is_in_the_table() -> None:
    modules = {module for module, _ in app.VERBS.values()}
    for path in ROOT.glob("*.py"):
        if "\ndef command(" in path.read_text():
            assert f"limbeck.cli.{path.stem}" in modules, path.name


@pytest.mark.parametrize("verb", ["init", "import", "outcome", "store"])
def test_every_verb_has_help_and_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main([verb, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_no_arguments_give_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out == f"limbeck {limbeck.__version__}\n"


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (ConfigError("the key is wrong"), 1, "error: the key is wrong\n"),
        (UsageError("the option is wrong"), 2, "error: the option is wrong\n"),
        (Interrupted("stopped after step 7"), 130, "error: stopped after step 7\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; what was finished is kept;"),
        (ModuleNotFoundError(name="torch"), 1, "pip install 'limbeck[train]'"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: /x: Permission denied;"),
        (ValueError("odd"), 1, "error: unexpected ValueError: odd; this is a mistake in Limbeck"),
        (typer.Abort(), 1, "error: stopped at your answer"),
        (typer.Exit(3), 3, ""),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    sentence: str,
) -> None:
    def command() -> None:
        raise error

    put(monkeypatch, command)
    assert app.main(["probe"]) == code
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.out == ""
    assert printed.err.count("\n") <= 1


def test_debug_shows_where_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise ConfigError("the key is wrong")

    put(monkeypatch, command)
    for args in (["--debug", "probe"], ["probe", "--debug"]):
        assert app.main(args) == 1
        printed = capsys.readouterr().err
        assert "Traceback" in printed
        assert printed.endswith("error: the key is wrong\n")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["nothing"], "'nothing'"),
        (["import"], "see: limbeck import --help"),
        (["init", "--colour"], "--colour"),
        (["store", "burn"], "burn"),
    ],
)
def test_a_wrong_command_line_has_the_exit_code_2(
    args: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(args) == 2
    assert sentence in capsys.readouterr().err


def test_a_verb_whose_module_is_missing_does_not_break_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(app.VERBS, "probe", ("limbeck.cli.nowhere", "For this test."))
    assert app.main(["probe"]) == 2
    assert "the verb 'probe' is not in this installation" in capsys.readouterr().err
    assert app.main(["--help"]) == 0


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = f"{sys.executable} -m limbeck.cli.app --help | true"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert run.stderr == ""
