"""The work on the batches, given to Ray Data.

Ray starts a batch anew where the worker that had it is gone. The batches lie in files, so all nodes of
a cluster must see the folder that they are in, as they must see that of the datasets.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from limbeck.errors import MissingExtraError

A = TypeVar("A")
B = TypeVar("B")


class OnRay:
    """The cluster that `RAY_ADDRESS` names, or one that Ray starts on this machine."""

    always = True

    def __init__(self) -> None:
        try:
            import ray.data
        except ModuleNotFoundError as error:
            # `ray` alone has not all that its data library needs.
            raise MissingExtraError(error.name or "ray", "ray") from None
        self._data: Any = ray.data

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Each item is one row and one task; what comes back is put in the order of the items."""
        rows = [{"at": at, "item": pickle.dumps(item)} for at, item in enumerate(items)]
        if not rows:
            return

        def work(row: dict[str, Any]) -> dict[str, Any]:
            return {"at": row["at"], "found": pickle.dumps(function(pickle.loads(row["item"])))}

        done = self._data.from_items(rows, override_num_blocks=len(rows)).map(work)
        early: dict[int, bytes] = {}
        wanted = 0
        for row in done.iter_rows():
            early[row["at"]] = row["found"]
            while wanted in early:
                found: B = pickle.loads(early.pop(wanted))
                wanted += 1
                yield found

    def prepare(self) -> None:
        pass

    def rest(self) -> None:
        pass

    def close(self) -> None:
        # The cluster is the user's; Ray itself stops one that it started with this process.
        pass
