"""`python -m limbeck` is `limbeck`."""

from __future__ import annotations

import sys

from limbeck.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
