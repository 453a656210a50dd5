"""After the fact, one at a time: judge -> fingerprint -> link into a group -> give a split.

Serialised (one intake per store) because a group's split is recorded at first sight and later
responses must see it. The cost of a response depends on its length, not on the history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from honewheel import plugins
from honewheel.config import Config
from honewheel.curate import dedup, pair_split, questions, split, synthetic
from honewheel.curate.dedup import Candidate, Link
from honewheel.curate.rows import Checker
from honewheel.loop import linking
from honewheel.loop.linking import Way
from honewheel.records import Check, Finding, Placement, Progress, Response, Split
from honewheel.store import Store
from honewheel.tasks import remembered
from honewheel.tasks.asked import asked

BATCH = 200  # responses a transaction


def checker(config: Config) -> Checker:
    """(task, text, context) -> Check, by the kinds of the project's tasks."""
    kinds = {name: plugins.task(task.kind) for name, task in config.settings.tasks.items()}

    def check(task: str, text: str, context: Mapping[str, str]) -> Check:
        if task in kinds:
            return remembered.check(kinds[task], text, context)
        gone = Finding(code="no-task", message=f"task {task!r} is no longer defined")
        return Check(score=0.0, findings=(gone,))

    return check


def run(store: Store, config: Config, listen: Callable[[Progress], None]) -> int:
    """Place every response that has no placement yet; returns how many. Resumable at any row."""
    done = 0
    check = checker(config)
    kinds = {name: task.kind for name, task in config.settings.tasks.items()}
    judges = {name: plugins.task(kind).version for name, kind in kinds.items()}
    known = questions.of(kinds)
    texts: dict[tuple[str, int], Candidate] = {}
    with store.exclusive("intake"):
        while responses := store.log.unplaced(BATCH):
            batch = _Batch(store, check, judges, texts)
            requests = [(one.prompt, one.context) for one in responses]
            exact, signed = dedup.exact_keys(requests), dedup.signatures(requests)
            for one in zip(responses, exact, signed, dedup.all_bands(signed), strict=True):
                batch.add(one[0], one[1], linking.way(*one, known))
            store.intake.place(batch.placements, batch.bands, batch.signatures)
            done += len(responses)
            listen(Progress(stage="intake", step=done, total=0))
    return done


def _place(response: Response, link: Link) -> synthetic.Place:
    """The split of a response, recorded for ever; what is made up only ever trains."""
    if synthetic.is_synthetic(response):
        return synthetic.place(link)
    given = link.split or split.assign(link.group, response.task)
    return synthetic.Place(given, link.quarantined)


@dataclass
class _Batch:
    """Responses being placed together; they see each other before the store does."""

    store: Store
    check: Checker
    judges: Mapping[str, str]
    holders: dict[tuple[str, int], Candidate]  # of pairs: who holds each text seen in this run
    placements: list[Placement] = field(default_factory=list)
    bands: dict[str, tuple[int, ...]] = field(default_factory=dict)
    signatures: dict[str, bytes] = field(default_factory=dict)
    seen: dict[tuple[str, int], list[Candidate]] = field(default_factory=lambda: defaultdict(list))
    exact: dict[tuple[str, str], Candidate] = field(default_factory=dict)
    sides: dict[str, dict[Split, int]] = field(default_factory=dict)  # of pairs, by task

    def add(self, response: Response, exact: str, way: Way) -> None:
        """Place one response, whose request has the key `exact`."""
        link = way.link(response, self)
        place = _place(response, link)
        placement = Placement(
            response_id=response.id,
            task=response.task,
            group=link.group,
            split=place.split,
            exact=exact,
            judge=self.judges.get(response.task, "none"),
            check=self.check(response.task, response.output, asked(response)),
            twin=link.twin,
            similarity=link.similarity,
            quarantined=place.quarantined,
        )
        self.placements.append(placement)
        self.bands[response.id] = way.keys
        self.signatures[response.id] = way.signed
        if placement.quarantined is None:
            self._remember(placement, way)

    def _remember(self, placement: Placement, way: Way) -> None:
        task = placement.task
        one = Candidate(
            response_id=placement.response_id,
            exact=placement.exact,
            signature=way.signed,
            group=placement.group,
            split=placement.split,
        )
        for key in way.keys:
            self.seen[task, key].append(one)
        self.exact.setdefault((task, placement.exact), one)
        for text in way.texts:
            self.holders.setdefault((task, text), one)
        if way.texts:
            self.counts(task)[placement.split] += 1

    # --- what is held (linking.Held) --------------------------------------------------------------

    def holding(self, task: str, keys: Iterable[int]) -> list[Candidate]:
        wanted = tuple(keys)
        found = {
            name: Candidate(response_id=name, exact="", signature=signed, group=group, split=part)
            for name, signed, group, part in self.store.intake.candidates(task, wanted)
        }
        for key in wanted:
            found |= {one.response_id: one for one in self.seen.get((task, key), ())}
        return list(found.values())

    def twins(self, task: str, exact: str) -> list[Candidate]:
        found = [self.exact[task, exact]] if (task, exact) in self.exact else []
        stored = self.store.intake.by_exact(task, exact)
        if stored is not None and stored.quarantined is None:
            found.append(
                Candidate(
                    response_id=stored.response_id,
                    exact=stored.exact,
                    signature=b"",
                    group=stored.group,
                    split=stored.split,
                )
            )
        return found

    def text(self, task: str, key: int) -> Candidate | None:
        if (task, key) not in self.holders and (found := self.holding(task, [key])):
            self.holders[task, key] = found[0]
        return self.holders.get((task, key))

    def counts(self, task: str) -> dict[Split, int]:
        if task not in self.sides:
            found = self.store.log.counts()["tasks"].get(task, {})
            self.sides[task] = {side: found.get(side, 0) for side in pair_split.FULL}
        return self.sides[task]
