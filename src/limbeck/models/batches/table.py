"""Which batch API belongs to which dialect: a table from name to class, imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from limbeck.errors import ConfigError
from limbeck.models.batches.batch import BatchApi
from limbeck.models.batches.connection import Connection

TABLE: dict[str, tuple[str, str]] = {
    "anthropic": ("limbeck.models.batches.anthropic", "MessageBatches"),
    "openai_chat": ("limbeck.models.batches.openai", "OpenAIBatches"),
    "openai_responses": ("limbeck.models.batches.openai", "OpenAIBatches"),
}


def batch_api(connection: Connection) -> BatchApi:
    """The batch API behind `connection`. Raises ConfigError where its dialect has none."""
    name = connection.dialect.NAME
    if name not in TABLE:
        raise ConfigError(
            f"the dialect {name!r} has no batch API here; wanted one of {', '.join(TABLE)}, "
            "or ask one by one with --no-batch"
        )
    module, kind = TABLE[name]
    return cast(BatchApi, getattr(import_module(module), kind)(connection))
