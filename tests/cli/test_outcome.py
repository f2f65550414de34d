from __future__ import annotations

import json

import pytest

from limbeck.cli.app import main
from limbeck.store.store import Store
from limbeck.types import Provenance, Trace
from limbeck.workspace import Workspace


def test_outcomes_are_attached_and_counted(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace.tasks_folder / "t.toml").write_text('[answer]\nkind = "number"\n')
    origin = Provenance(source="gateway", correlation="ticket-1")
    with Store(workspace.store_url) as store:
        store.add([Trace(task="t", input="x", answer="4", provenance=origin)])
    file = workspace.root / "outcomes.csv"
    file.write_text("correlation,value\nticket-1,$4.00\nticket-2,5\n")
    assert main(["outcome", str(file), "--task", "t", "--source", "human"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "rows read              2",
        "new outcomes           1",
        "already there          0",
        "waiting                1  for calls that are not recorded yet",
    ]
    assert main(["outcome", str(file), "--task", "t", "--source", "human", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["already"] == 1
    with Store(workspace.store_url) as store:
        [truth] = store.truths("t").values()
    assert (truth.value, truth.source) == ("4", "human")
