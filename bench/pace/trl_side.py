"""TRL's `SFTTrainer`, set to be as fast as it can here; runs in an environment that has it.

Pre-tokenized prompt and completion, loss on the completion only, no gradient checkpointing (its
default would cost a third), no logging, fused AdamW, batches grouped by length.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from pace.work import Order, Pace, Shape, adapted, build, data, saved

WARM_STEPS = 2


class Trl:
    def __init__(self, shape: Shape, way: str) -> None:
        """`way`: `autocast` (its default) or `pure`, all in bfloat16; either may be the faster. `float32`:
        where the machine has no bfloat16. `packed`: pure, with its packing, which needs an attention that
        knows rows (`flash-attn` or its kernel)."""
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        self._shape = shape
        self._way = way
        self._folder = tempfile.TemporaryDirectory()
        saved(shape, Path(self._folder.name))
        self._made: dict[str, Any] = {}

    def run(self, order: Order) -> Pace:
        from transformers import AutoTokenizer
        from trl import SFTConfig, SFTTrainer

        dataset, lengths = self._data(order)
        clock = _clock(order, lengths)
        attention = "kernels-community/flash-attn2" if self._way == "packed" else "sdpa"
        model = build(self._shape, attention)
        if self._way in ("pure", "packed"):
            model = model.to(torch.bfloat16)  # type: ignore[arg-type]
        if order.lora:
            model = adapted(model)
        packed = {"packing": True, "packing_strategy": "bfd", "max_length": 2048}
        length = packed if self._way == "packed" else {"max_length": None}
        config = SFTConfig(
            output_dir=self._folder.name,
            max_steps=100_000,
            per_device_train_batch_size=order.sequences,
            bf16=self._way == "autocast",
            gradient_checkpointing=False,
            optim="adamw_torch_fused",
            lr_scheduler_type="constant",
            train_sampling_strategy="group_by_length",
            **length,
            completion_only_loss=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            use_liger_kernel=torch.cuda.is_available() and find_spec("liger_kernel") is not None,
            dataloader_num_workers=0,
        )
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=dataset,
            processing_class=AutoTokenizer.from_pretrained(self._folder.name),
            callbacks=[clock],
        )
        trainer.train()
        pace: Pace = clock.pace(order)
        return pace

    def _data(self, order: Order) -> tuple[Any, float]:
        """The rows, and how many target tokens one has on average."""
        from datasets import Dataset, disable_progress_bars

        disable_progress_bars()
        name = order.cell.name
        if name not in self._made:
            rows = [
                {
                    "input_ids": prompt + target,
                    "completion_mask": [0] * len(prompt) + [1] * len(target),
                }
                for prompt, targets in data(order.cell, self._shape.vocabulary)
                for target in targets
            ]
            mean = sum(sum(row["completion_mask"]) for row in rows) / len(rows)
            self._made[name] = Dataset.from_list(rows), mean
        made: tuple[Any, float] = self._made[name]
        return made


def _clock(order: Order, mean: float) -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        steps = 0
        began = ended = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            now = time.perf_counter()
            if state.global_step == WARM_STEPS:
                self.began = now
            elif state.global_step > WARM_STEPS:
                self.steps, self.ended = state.global_step - WARM_STEPS, now
                control.should_training_stop = now - self.began > order.seconds

        def pace(self, order: Order) -> Pace:
            targets = round(self.steps * order.sequences * mean)
            return Pace(targets=targets, seconds=self.ended - self.began, steps=self.steps)

    return Clock()
