"""A server in a process of its own; `limbeck.serve.running` starts it and tells it what to run.

The first line on standard input says what; its end says that nobody needs the server any more.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

from limbeck.errors import LimbeckError
from limbeck.serve.running import serve


def main() -> int:
    spec = json.loads(sys.stdin.readline())
    module, _, function = spec["factory"].partition(":")
    try:
        app = getattr(import_module(module), function)(**spec["arguments"])
        serve(app, port=spec["port"], ready=_say, until=_until_unneeded)
    except LimbeckError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _say(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()


def _until_unneeded() -> None:
    sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main())
