"""Verbs for what is worth learning: what to ask people, what to sample, what datasets hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from honewheel.records import Progress, as_dict
from honewheel.wheel.base import Opened, nobody

if TYPE_CHECKING:
    from honewheel.curate.ask import Ask
    from honewheel.loop.queue import Failing


class Learnt(Opened):
    """What a person should look at next, and what a model is trained on."""

    # --- what to look at ------------------------------------------------------------------------

    def ask(
        self,
        task: str | None = None,
        *,
        size: int = 20,
        on_progress: Callable[[Progress], None] = nobody,
    ) -> tuple[Ask, ...]:
        """Responses that a person should look at next and why; a fifth is drawn at random.

        What has arrived is taken in first. Raises ConfigError, InputError, StoreBusy.
        """
        from honewheel.loop import queue

        return queue.ask(self.store, self.config, task=task, size=size, listen=on_progress)

    def failures(self, task: str | None = None) -> tuple[Failing, ...]:
        """What each champion scored low on, by finding and feature of the prompt.

        Raises ConfigError, NotFound.
        """
        from honewheel.loop import queue

        return queue.failures(self.store, self.config, task)

    # --- what is learnt from --------------------------------------------------------------------

    def sample(
        self,
        *,
        task: str | None = None,
        prompts: int = 20,
        outputs: int = 4,
        temperature: float = 0.8,
        on_progress: Callable[[Progress], None] = nobody,
    ) -> list[dict[str, Any]]:
        """Let the champions answer uncorrected training prompts, each 2 to 5 times.

        The answers are recorded as responses, which the next cycle ranks into preference pairs.
        One entry a model: version, prompts asked, distinct answers recorded, their event ids.
        Raises InputError, ConfigError, StoreBusy.
        """
        from honewheel.loop import sample as sampling

        found = sampling.sample(
            self.store,
            self.config,
            task=task,
            prompts=prompts,
            outputs=outputs,
            temperature=temperature,
            clock=self.clock,
            listen=on_progress,
        )
        return [as_dict(one) for one in found]

    def dataset_list(self) -> list[dict[str, Any]]:
        """Every sealed dataset, the newest first, with its counts of rows."""
        from honewheel.loop import datasets

        return datasets.listed(self.store)

    def dataset_show(self, name: str = "newest") -> dict[str, Any]:
        """What a dataset holds; `name` is digits of its hash, its cycle, or "newest".

        Raises NotFound, Damaged.
        """
        from honewheel.loop import datasets

        return datasets.shown(self.store, name)

    def dataset_export(
        self,
        name: str,
        path: str | Path,
        *,
        format: Literal["sft", "dpo", "kto", "chat"] = "sft",
        side: Literal["train", "val", "all"] = "train",
    ) -> int:
        """Write a dataset as JSONL in a shape that TRL reads; returns the number of rows.

        Raises InputError when the file exists already or there are no such rows.
        """
        from honewheel.loop import datasets

        return datasets.export(self.store, name, format, Path(path), side)
