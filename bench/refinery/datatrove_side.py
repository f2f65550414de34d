"""datatrove: its repetition filter and its four steps of MinHash, on the lines of a JSON Lines file.

Run by `bench/curation.py` in an environment that has datatrove, with as many workers as there are
processors, as its documentation has it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

CONFIG = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)


def main() -> None:
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    workers = len(os.sched_getaffinity(0))
    began = time.perf_counter()
    stages = (
        (workers, [
            JsonlReader(str(source)),
            GopherRepetitionFilter(),
            JsonlWriter(f"{out}/filtered", compression=None),
        ]),
        (workers, [
            JsonlReader(f"{out}/filtered"),
            MinhashDedupSignature(f"{out}/signatures", config=CONFIG),
        ]),
        (CONFIG.num_buckets, [
            MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=CONFIG)
        ]),
        (1, [MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=CONFIG)]),
        (workers, [
            JsonlReader(f"{out}/filtered"),
            MinhashDedupFilter(f"{out}/remove"),
            JsonlWriter(f"{out}/kept", compression=None),
        ]),
    )  # fmt: skip
    for number, (tasks, pipeline) in enumerate(stages):
        LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=workers, logging_dir=f"{out}/logs/{number}"
        ).run()
    taken = time.perf_counter() - began
    kept = sum(len(file.read_text().splitlines()) for file in (out / "kept").iterdir())
    print(json.dumps({"seconds": taken, "kept": kept}))


if __name__ == "__main__":
    main()
