from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from limbeck.cli.app import main
from limbeck.serve.keys import FILE, KeyRing
from limbeck.workspace import Workspace


def test_a_key_is_made_shown_once_and_revoked(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace.tasks_folder / "refunds.toml").write_text('[answer]\nkind = "number"\n')
    options = ["--task", "refunds", "--rate", "10/s", "--expires", "90d"]
    assert main(["keys", "create", "billing", *options]) == 0
    shown = capsys.readouterr().out.split()
    secret = next(word for word in shown if word.startswith("lk_"))
    ring = KeyRing(workspace.home / FILE)
    key = ring.check(secret)
    assert key is not None
    assert (key.name, key.tasks, key.rate) == ("billing", ("refunds",), "10/s")
    assert key.expires_at == key.created_at + timedelta(days=90)
    assert main(["keys"]) == 0
    listed = capsys.readouterr().out
    assert secret not in listed
    assert [
        word for word in listed.splitlines()[1].split() if word != f"{key.expires_at:%Y-%m-%d}"
    ] == [
        "billing",
        secret[-4:],
        "usable",
        "10/s",
        "refunds",
    ]
    assert main(["keys", "revoke", "billing"]) == 0
    assert secret not in capsys.readouterr().out
    assert KeyRing(workspace.home / FILE).check(secret) is None
    assert main(["keys", "list"]) == 0
    assert "revoked" in capsys.readouterr().out


def test_json_has_the_secret_once_and_no_digest(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "create", "a", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert KeyRing(workspace.home / FILE).check(made["secret"]) is not None
    assert main(["keys", "list", "--json"]) == 0
    [listed] = json.loads(capsys.readouterr().out)["keys"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert "digest" not in listed
    assert main(["keys", "revoke", "a", "--json"]) == 0
    revoked = json.loads(capsys.readouterr().out)
    assert not revoked["usable"]
    assert datetime.fromisoformat(revoked["revoked_at"]).tzinfo is not None


def test_a_workspace_without_keys_says_how_to_make_one(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys"]) == 0
    assert "limbeck keys create NAME" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("create", 2, "the name of the key is missing"),
        ("revoke", 2, "the name of the key is missing"),
        ("list a", 2, "list takes no name, got 'a'"),
        ("revoke a --rate 1/s", 2, "belong to: limbeck keys create NAME"),
        ("create a --expires soon", 2, "--expires is 'soon'; wanted a time such as 12h"),
        ("create a --expires 0d", 2, "--expires is '0d'"),
        ("create a --expires 999999y", 2, "--expires is '999999y'"),
        ("create a --rate fast", 1, "rate is 'fast'"),
        ("create a --task refund", 1, "there is no task 'refund'"),
        ("revoke a", 1, "no usable key 'a'; there are: none"),
    ],
)
def test_a_wrong_line_makes_no_key(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], line: str, code: int, said: str
) -> None:
    assert main(["keys", *line.split()]) == code
    assert said in capsys.readouterr().err
    assert not (workspace.home / FILE).exists()
