"""LiteLLM's proxy in an environment of its own, set so that it does as little as it can."""

from __future__ import annotations

from pathlib import Path

from peer_environment import CACHE, NotInstalledError, environment
from traffic.wire import MODELS

VERSION = "1.106.0"

__all__ = ["CACHE", "ENVIRON", "VERSION", "NotInstalledError", "command", "config", "installed"]

ENVIRON = {
    # Prices come from the package instead of the network, and nothing is reported anywhere.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    # It checks no client key: that is the quicker way.
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
}


def installed() -> Path:
    """The Python that has LiteLLM; installs it on first use (some minutes, about 1 GB). Raises
    NotInstalledError."""
    return environment(f"litellm-{VERSION}", f"litellm[proxy]=={VERSION}")


def command(python: Path, config: Path, port: int) -> list[str]:
    program = str(python.with_name("litellm"))
    told = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    return [program, *told, "--num_workers", "1", "--telemetry", "False"]


def config(teacher_port: int) -> str:
    """One model for each dialect, both at the same teacher; no keys, no database, no callbacks."""
    upstream = f"http://127.0.0.1:{teacher_port}"
    return f"""\
model_list:
  - model_name: {MODELS["messages"]}
    litellm_params:
      model: anthropic/{MODELS["messages"]}
      api_base: {upstream}
      api_key: sk-of-nobody
  - model_name: {MODELS["chat"]}
    litellm_params:
      model: openai/{MODELS["chat"]}
      api_base: {upstream}/v1
      api_key: sk-of-nobody
router_settings:
  num_retries: 0
litellm_settings:
  telemetry: false
  num_retries: 0
general_settings:
  disable_spend_logs: true
  disable_error_logs: true
"""
