"""Examples that nobody gave: out of documents, from templates, or from a teacher model.

    draft -> is it new? -> (ask the teacher) -> does its task accept it? -> row -> log

Everything made here is marked: the response is a demonstration whose decoding names the origin,
its source is simulated. Intake gives it to train or to nothing (`curate.synthetic`), and a
dataset takes at most `curate.synthetic_share` of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from honewheel import plugins
from honewheel.config import Config
from honewheel.curate import dedup, synthetic
from honewheel.errors import InputError, NotFound
from honewheel.events import documents, files, ingest, redact, teacher, templates
from honewheel.events.drafts import Draft
from honewheel.events.ingest import Entry
from honewheel.protocols import Model
from honewheel.records import Check, Decoding, Item, Progress
from honewheel.store import Store
from honewheel.tasks.asked import asked

Origin = Literal["documents", "templates", "teacher"]
Answer = Callable[[Draft], str]

BATCH = 50  # rows a transaction; what a teacher wrote before it failed is kept
TRIES = 40  # drafts looked at for each example wanted: templates never end
ASKED = 3  # times a teacher is asked for each example wanted: its answers may cost money


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be made. A teacher is an `endpoint` or a local `base`, never both.

    `folder` holds the documents; `prompts` is a file of what the teacher is asked, in place of the
    templates' prompts: rows with `prompt` and perhaps `context`.
    """

    task: str
    origin: Origin
    count: int = 100
    seed: int = 0
    folder: Path | None = None
    endpoint: teacher.Endpoint | None = None
    base: str | None = None
    prompts: Path | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"count is {self.count}; at least 1 example is made.")
        if self.origin == "documents" and self.folder is None:
            raise InputError("Which documents? Give a folder: --from documents DIR.")
        taught = (self.endpoint is not None) + (self.base is not None)
        if self.origin == "teacher" and taught != 1:
            raise InputError("Which teacher? Give either its URL with --model, or --base NAME.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesized:
    """What was made: `made` good examples of `drafts` looked at, `stored` of them kept.

    `left_out` counts the reasons of the others, `skipped` why files were not read, `rows` are the
    examples as feedback rows.
    """

    drafts: int
    made: int
    stored: int
    left_out: Mapping[str, int]
    skipped: Mapping[str, int]
    rows: tuple[dict[str, Any], ...]


def run(
    store: Store,
    config: Config,
    order: Order,
    *,
    now: datetime,
    keep: bool = True,
    listen: Callable[[Progress], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Synthesized:
    """Make `order.count` new examples and, with `keep`, record them.

    Fewer are made when the source ends before. Raises InputError, HonewheelError (a teacher that
    does not answer; what was made before is recorded).
    """
    kind = config.task(order.task).kind
    skipped: Counter[str] = Counter()
    drafts = _drafts(order, kind, skipped)
    with ExitStack() as stack:
        answer = _teacher(order, config, kind, stack, sleep)
        redacted = redact.of(config.settings.events)
        work = _Work(store, order, plugins.task(kind).check, answer, now, keep, redacted)
        try:
            for draft in drafts:
                if work.enough:
                    break
                work.look_at(draft)
                listen(Progress(stage="synthesize", step=len(work.rows), total=order.count))
        finally:
            work.store_waiting()
    return Synthesized(
        drafts=work.seen,
        made=len(work.rows),
        stored=work.stored,
        left_out=dict(work.left_out.most_common()),
        skipped=dict(skipped.most_common()),
        rows=tuple(work.rows),
    )


@dataclass
class _Work:
    """Examples being made; each is compared with the log and with those before it."""

    store: Store
    order: Order
    check: Callable[[str, Mapping[str, str]], Check]
    answer: Answer | None
    now: datetime
    keep: bool
    redacted: redact.Redactor | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    waiting: list[Entry] = field(default_factory=list)
    near: dict[int, list[bytes]] = field(default_factory=dict)
    exact: set[str] = field(default_factory=set)
    seen: int = 0
    asked: int = 0
    stored: int = 0

    @property
    def enough(self) -> bool:
        wanted = self.order.count
        spent = self.seen >= TRIES * wanted or self.asked >= ASKED * wanted
        return spent or len(self.rows) == wanted

    def look_at(self, draft: Draft) -> None:
        self.seen += 1
        reason = self._not_new(draft)
        if reason is None:
            reason = self._take(self._answered(draft))
        if reason is not None:
            self.left_out[reason] += 1

    def _not_new(self, draft: Draft) -> str | None:
        """Why a draft asks nothing new, before a teacher is asked; else it is remembered."""
        key = dedup.exact_key(draft.prompt, draft.context)
        if key in self.exact:
            return "drafted twice"
        if self.store.intake.by_exact(self.order.task, key) is not None:
            return "asked in the log already"
        signed = dedup.signature(draft.prompt, draft.context)
        bands = dedup.bands(signed)
        rivals = [other for band in bands for other in self.near.get(band, ())]
        if any(dedup.similarity(signed, other) >= dedup.THRESHOLD for other in rivals):
            return "near-duplicate"
        self.exact.add(key)
        for band in bands:
            self.near.setdefault(band, []).append(signed)
        return None

    def _answered(self, draft: Draft) -> Draft:
        if self.answer is None:
            return draft
        self.asked += 1
        return replace(draft, target=self.answer(draft))

    def _take(self, draft: Draft) -> str | None:
        if not draft.target or not draft.target.strip():
            return "empty"
        check = self.check(draft.target, asked(draft))
        if not check.valid:
            code = next(item.code for item in check.findings if item.severity == "error")
            return f"invalid: {code}"
        row = _row(self.order, draft)
        try:
            found = ingest.entry(row, now=self.now)
        except InputError as error:
            return f"no feedback row: {error}"
        found = redact.entry(found, self.redacted) if self.redacted else found
        if self._known(found.id):
            return "asked in the log already"
        self.rows.append(row)
        self.waiting.append(found)
        if len(self.waiting) == BATCH:
            self.store_waiting()
        return None

    def _known(self, event: str) -> bool:
        try:
            self.store.log.event(event)
        except NotFound:
            return False
        return True

    def store_waiting(self) -> None:
        """Record what was made since the last time."""
        if self.keep and self.waiting:
            self.store.log.append(
                [found.response for found in self.waiting if found.response],
                [said for found in self.waiting for said in found.feedback],
            )
            self.stored += len(self.waiting)
        self.waiting = []


def _row(order: Order, draft: Draft) -> dict[str, Any]:
    return {
        "task": order.task,
        "prompt": draft.prompt,
        "context": dict(draft.context),
        "demonstration": draft.target,
        "source": f"{synthetic.SOURCE}{order.origin}",
        "source_kind": "simulated",
        "decoding": {synthetic.MARK: order.origin, **draft.made_from, **_taught_by(order)},
    }


def _taught_by(order: Order) -> dict[str, str]:
    name = order.endpoint.model if order.endpoint is not None else order.base
    return {"teacher": name} if name else {}


def _drafts(order: Order, kind: str, skipped: Counter[str]) -> Iterator[Draft]:
    if order.folder is not None and order.origin == "documents":
        return documents.drafts(order.folder, kind, skipped)
    if order.prompts is not None and order.origin == "teacher":
        return _prompts(order.prompts, skipped)
    if order.origin == "teacher" and kind not in templates.TEMPLATES:
        raise InputError(
            f"What should the teacher be asked? There are no templates for tasks of kind {kind}: "
            "give --prompts FILE."
        )
    return templates.drafts(kind, order.seed)


def _prompts(path: Path, skipped: Counter[str]) -> Iterator[Draft]:
    """The questions of a file: its rows' `prompt` and `context`, other keys are not read."""
    for line in files.source(path).lines():
        record = line.record or {}
        prompt, context = record.get("prompt"), record.get("context") or {}
        if isinstance(prompt, str) and prompt.strip() and isinstance(context, Mapping):
            yield Draft(
                prompt=prompt,
                target=None,
                context={str(key): str(value) for key, value in context.items()},
                made_from={"file": path.name, "line": line.number},
            )
        else:
            skipped[line.reason or "a row without a prompt"] += 1


def _teacher(
    order: Order, config: Config, kind: str, stack: ExitStack, sleep: Callable[[float], None]
) -> Answer | None:
    """What writes the targets; None when the drafts bring their own."""
    if order.origin != "teacher":
        return None
    if order.endpoint is not None:
        return _remote(order, order.endpoint, kind, sleep)
    name = _family(config, order.task)
    model = stack.enter_context(plugins.family(name).open(str(order.base), None))
    return _local(order, model)


def _family(config: Config, task: str) -> str:
    """The family of the model that learns this task, else that of language models."""
    found = [model.family for model in config.settings.models.values() if task in model.tasks]
    return found[0] if found else "causal-lm"


def _remote(
    order: Order, endpoint: teacher.Endpoint, kind: str, sleep: Callable[[float], None]
) -> Answer:
    def answer(draft: Draft) -> str:
        said = teacher.messages(kind, _content(draft))
        return teacher.ask(endpoint, said, seed=order.seed, sleep=sleep)

    return answer


def _local(order: Order, model: Model) -> Answer:
    def answer(draft: Draft) -> str:
        item = Item(
            id="draft",
            task=order.task,
            prompt=draft.prompt,
            reference="",
            group="draft",
            context=draft.context,
        )
        found = next(iter(model.predict([item], Decoding(seed=order.seed))))
        return teacher.unfenced(found.output)

    return answer


def _content(draft: Draft) -> str:
    """What a teacher is asked, as every model of a project is: prompt, then context by key."""
    entries = [f"{key}:\n{value}" for key, value in draft.context.items()]
    return "\n\n".join([draft.prompt, *entries])
