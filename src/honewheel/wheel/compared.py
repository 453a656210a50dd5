"""Verbs for models that say how alike two texts are: feedback on pairs, and reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from honewheel.errors import InputError
from honewheel.records import Progress
from honewheel.wheel.base import nobody
from honewheel.wheel.embedded import Embedded
from honewheel.wheel.said import Said

if TYPE_CHECKING:
    from honewheel.curate import pair_mining as mining
    from honewheel.curate.labelled import Made


class Compared(Said, Embedded):
    """Similarity feedback in, and reports on pairs and adversarial cases out."""

    def say_similar(
        self,
        a: str,
        b: str,
        similarity: float,
        *,
        task: str | None = None,
        source: str = "unknown",
        labels: tuple[str, str] | None = None,
    ) -> str:
        """Record how alike two texts are, from 0 (not the same) to 1 (the same); the event id.

        `task` may be left out where one is of kind similarity; `labels` are what each text is
        about. Raises InputError (an empty text, one text twice, a number outside 0 .. 1),
        ConfigError.
        """
        from honewheel.events.formats import pairs
        from honewheel.loop import likeness

        name = likeness.task_of(self.config, task)
        about = {} if labels is None else {"label_a": labels[0], "label_b": labels[1]}
        row = pairs.row(a, b, similarity, about)
        return self.record(task=name, source=source, **row)

    def import_labelled(self, path: str | Path, *, task: str | None = None, **how: Any) -> Made:
        """Pairs out of a file of labelled texts: one label is 1, two are 0; half and half.

        `how` are the fields of `pair_sources.From`: text, label (columns), per_text, most,
        whole_labels, seed, source. Raises InputError, NotEnoughData, ConfigError.
        """
        from honewheel.loop import likeness, pair_sources

        name = likeness.task_of(self.config, task)
        return pair_sources.import_labelled(
            self.store, Path(path), name, pair_sources.From(**how), self.clock()
        )

    def mine(
        self,
        path: str | Path,
        out: str | Path,
        *,
        task: str | None = None,
        version: str | None = None,
        text: str = "text",
        label: str = "label",
        per_text: int = 1,
        margin: float = 0.05,
        skip: int = 0,
    ) -> mining.Report:
        """Write hard negatives of a file of labelled texts to `out`, as rows to look at and import.

        `version` (the champion) embeds them; see `curate.pair_mining.mine` for the rules. Texts
        that are held out, or near one that is, take no part. Raises InputError, ConfigError.
        """
        from honewheel.loop import likeness, pair_sources

        name = likeness.task_of(self.config, task)
        with self.vectors(version or likeness.model_of(self.config, name)) as model:
            return pair_sources.mine(
                self.store,
                name,
                Path(path),
                Path(out),
                pair_sources.From(text=text, label=label, per_text=per_text, source="mined"),
                model,
                margin=margin,
                skip=skip,
            )

    def pair_edits(
        self, out: str | Path, *, task: str | None = None, cases: int = 40
    ) -> dict[str, int]:
        """Write edits of training texts to `out`, as rows to import; the number by category.

        The categories and what they are come from the task's `adversarial` section; reported ones
        are left out. Texts and seed are never those of the diagnostic. Raises InputError,
        NotEnoughData, ConfigError.
        """
        from honewheel.loop import intake, likeness, pair_sources

        name = likeness.task_of(self.config, task)
        intake.run(self.store, self.config, listen=nobody)
        asked = self.config.task(name).adversarial
        return pair_sources.edits(self.store, name, Path(out), asked, cases)

    def pairs_report(
        self,
        task: str | None = None,
        *,
        version: str | None = None,
        against: str | None = None,
        suite: str | None = None,
        on_progress: Callable[[Progress], None] = nobody,
    ) -> dict[str, Any]:
        """Everything measurable of a version on held-out pairs; see docs/how-to/similarity.md.

        `version` is the champion and `against` the base, unless told; `suite` a frozen suite in
        place of the panels. Raises NotEnoughData, NotFound, ConfigError.
        """
        from honewheel.loop import likeness

        return likeness.report(
            self.store,
            self.config,
            likeness.task_of(self.config, task),
            version=version,
            against=against,
            suite=suite,
            now=self.clock(),
            listen=on_progress,
        )

    def adversarial(
        self,
        texts: Sequence[str] | str | Path | None = None,
        *,
        task: str | None = None,
        suite: str | None = None,
        version: str | None = None,
        against: str | None = None,
        cases: int | None = None,
        threshold: float | None = None,
        on_progress: Callable[[Progress], None] = nobody,
    ) -> dict[str, Any]:
        """What small edits of these texts do to a version: a line a category, and what flipped.

        `texts` are texts, or a file of them (one a line, or a column `text`); None takes the
        held-out pairs, of `suite` if it is named. `cases` is per category. The threshold is that
        of the validation pairs unless given. `against` is another version, by default the
        champion. Raises NotEnoughData, NotFound, InputError, ConfigError.
        """
        from honewheel.loop import diagnosis, intake, likeness, pair_sources, registry

        if cases is not None and cases < 1:
            raise InputError(f"cases is {cases}; it is at least 1 a category.")
        name = likeness.task_of(self.config, task)
        model = likeness.model_of(self.config, name)
        registry.ensure_champion(self.store, self.config, model, self.clock())
        intake.run(self.store, self.config, listen=on_progress)
        if isinstance(texts, str | Path):
            texts = pair_sources.read_texts(Path(texts))
        found = (
            diagnosis.held(likeness.suites(self.store, self.config, name, suite), name)
            if texts is None
            else [(one, one, 0.0) for one in texts]
        )
        question = diagnosis.Question(
            task=name,
            version=registry.find(self.store, self.config, version or model),
            against=registry.find(self.store, self.config, against or model),
            texts=found,
            cases=cases,
            threshold=threshold,
        )
        return diagnosis.report(self.store, self.config, question, on_progress)
