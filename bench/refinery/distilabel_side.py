"""distilabel: a regular-expression filter and its MinHash step, on the lines of a JSON Lines file.

Run by `bench/curation.py` in an environment that has distilabel. The steps are called one after the
other in this process, without the pipeline around them, which would cost them more.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from distilabel.steps import MinHashDedup

_MARKS = re.compile(r"</s>|<\|[\w ]{1,40}\|>|\[/?INST\]|I(?:'m| am) sorry, but I can(?:'|no)t")


def main() -> None:
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    began = time.perf_counter()
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    kept = [row for row in rows if row["text"].strip() and not _MARKS.search(row["text"])]
    step = MinHashDedup(tokenizer="ngrams", n=5, threshold=0.85, storage="dict")
    step.load()
    unique = [
        row
        for rows in step.process(kept)
        for row in rows
        if row["keep_row_after_minhash_filtering"]
    ]
    step.unload()
    out.write_text("".join(json.dumps(row) + "\n" for row in unique), "utf-8")
    print(json.dumps({"seconds": time.perf_counter() - began, "kept": len(unique)}))


main()
