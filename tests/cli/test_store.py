from __future__ import annotations

import json
import sqlite3

import pytest

from limbeck.cli.app import main
from limbeck.store.store import Store
from limbeck.types import Provenance, Trace
from limbeck.workspace import Workspace


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    with Store(workspace.store_url) as store:
        store.add([Trace(task="t", input="x", provenance=Provenance(source="sdk"))])
    return workspace


def test_counts_are_shown_by_task(filled: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store"]) == 0
    assert "1 traces, 0 outcomes, 0 blobs" in capsys.readouterr().out
    assert main(["store", "counts", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"]["t"]["traces"] == 1


def test_a_store_that_is_what_it_says_passes(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "verify"]) == 0
    assert "are what their hashes say" in capsys.readouterr().out


def test_damage_is_shown_and_fails(filled: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    connection = sqlite3.connect(filled.store_path)
    connection.execute("""UPDATE traces SET content = replace(content, '"x"', '"y"')""")
    connection.commit()
    connection.close()
    assert main(["store", "verify"]) == 1
    assert "its content has the id" in capsys.readouterr().out
    assert main(["store", "verify", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["damage"]) == 1
