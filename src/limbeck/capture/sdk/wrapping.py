"""`wrap`: an official client that writes down every call before it returns the reply."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from limbeck.capture.sdk.desk import find_workspace, open_desk
from limbeck.capture.sdk.http import recording_client
from limbeck.capture.sdk.journal import Place
from limbeck.capture.sdk.session import OnFailure, Session
from limbeck.types import Task
from limbeck.workspace import Workspace

ROOT_ERRORS = {"anthropic": "AnthropicError", "openai": "OpenAIError"}
"""The official packages, and the root of the errors of each."""
GATEWAY = "LIMBECK_GATEWAY"
"""The environment variable with the address of a gateway that is not the workspace's own."""
HERE = ("127.0.0.1", "localhost", "::1")
PORT = 4100
"""The gateway's usual port."""

Client = TypeVar("Client")


def wrap(
    client: Client,
    *,
    task: Task | str | None = None,
    workspace: Workspace | str | Path | None = None,
    store: Place | None = None,
    on_failure: OnFailure = "warn",
    streamed_usage: bool = True,
    gateway: bool | None = None,
) -> Client:
    """A client like `client` whose calls are recorded, each on disk before its reply is returned.

    Takes the clients of the packages `anthropic` and `openai`, synchronous and asynchronous, and those
    for Azure, AWS and Google Cloud. The client given stays as it is; both share connections.

    `task` is the task of calls that name none by `correlate`, `task` or the header `x-limbeck-task`.
    `workspace` is found from the current folder, and `store` is its own, unless they are given. A store
    that fails is logged and counted (`warn`), or its error is raised in place of the reply (`raise`).
    `streamed_usage` asks Chat Completions for the token counts of a stream, and hides them from a
    program that did not ask. A client of a gateway is told the task and key in headers, and the gateway
    records; `gateway` says so where the workspace and the variable LIMBECK_GATEWAY do not.

    Raises TypeError for another client, ConfigError and StoreError.
    """
    foreign = _root_error(client)
    sdk: Any = client
    if gateway is None:
        gateway = _is_gateway(str(sdk.base_url), find_workspace(workspace, needed=False))
    desk = None if gateway else open_desk(workspace, store, spools=on_failure == "warn")
    if desk is not None and isinstance(task, str):
        task = desk.task(task)
    session = Session(
        desk, task, foreign=foreign, on_failure=on_failure, streamed_usage=streamed_usage
    )
    wrapped: Client = sdk.copy(http_client=recording_client(sdk._client, session))
    return wrapped


def _root_error(client: object) -> type[Exception]:
    for kind in type(client).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in ROOT_ERRORS and hasattr(client, "_client") and hasattr(client, "copy"):
            root: type[Exception] = getattr(sys.modules[package], ROOT_ERRORS[package])
            return root
    raise TypeError(
        f"wrap() got {type(client).__module__}.{type(client).__qualname__}; wanted a client of the "
        "package anthropic or openai, such as anthropic.Anthropic(); for any other, call "
        "limbeck.capture.record() with what was asked and answered"
    )


def _is_gateway(base_url: str, workspace: Workspace | None) -> bool:
    """Whether calls to `base_url` go through a Limbeck gateway, which records them itself."""
    named = os.environ.get(GATEWAY, "").rstrip("/")
    if named and (base_url.rstrip("/") + "/").startswith(named + "/"):
        return True
    if workspace is None:
        return False
    address = urlsplit(base_url)
    host = str(workspace.settings.gateway.get("host", HERE[0]))
    port = workspace.settings.gateway.get("port", PORT)
    return address.port == port and (address.hostname in HERE or address.hostname == host)
