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
from honewheel.curate.pair_split import Known, Text
from honewheel.curate.questions import Keys
from honewheel.curate.rows import Checker
from honewheel.records import Check, Finding, Placement, Progress, Response, Split
from honewheel.store import Store
from honewheel.tasks.asked import asked

BATCH = 200  # responses a transaction
VERSION = f"2.{dedup.VERSION}.{questions.VERSION}.{split.VERSION}.{pair_split.VERSION}"


def checker(config: Config) -> Checker:
    """(task, text, context) -> Check, by the kinds of the project's tasks."""
    kinds = {name: plugins.task(task.kind) for name, task in config.settings.tasks.items()}

    def check(task: str, text: str, context: Mapping[str, str]) -> Check:
        if task in kinds:
            return kinds[task].check(text, context)
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
            batch = _Batch(store, check, judges, known, texts)
            requests = [(one.prompt, one.context) for one in responses]
            exact, signed = dedup.exact_keys(requests), dedup.signatures(requests)
            for one in zip(responses, exact, signed, dedup.all_bands(signed), strict=True):
                both = pair_split.texts(one[0].prompt, one[0].context)
                if both is None:
                    batch.add(*one)
                else:
                    batch.add_pair(one[0], one[1], both)
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
    known: Keys
    texts: dict[tuple[str, int], Candidate]  # of pairs: a holder of each text seen in this run
    placements: list[Placement] = field(default_factory=list)
    bands: dict[str, tuple[int, ...]] = field(default_factory=dict)
    signatures: dict[str, bytes] = field(default_factory=dict)
    seen: dict[tuple[str, int], list[Candidate]] = field(default_factory=lambda: defaultdict(list))
    exact: dict[tuple[str, str], Candidate] = field(default_factory=dict)
    sides: dict[str, dict[Split, int]] = field(default_factory=dict)  # of pairs, by task

    def add(self, response: Response, key: str, signed: bytes, keys: tuple[int, ...]) -> None:
        if named := self.known.of(response.task, response.prompt, response.context):
            keys = questions.bands(named)
            link = questions.link(response.id, self._holding(response.task, keys))
            self._put(response, key, b"", keys, link)
            return
        near = self._candidates(response.task, key, keys)
        self._put(response, key, signed, keys, dedup.link(response.id, key, signed, near))

    def add_pair(self, response: Response, key: str, both: tuple[Text, Text]) -> None:
        """A pair of texts: its side is that of its texts, its group the pair itself."""
        task = response.task
        known = [Known(one, self._near(task, one)) for one in both]
        twin = None
        if all((task, one.exact) in self.texts for one in both):  # else the pair is new
            twin = self.exact.get((task, key)) or self._stored_twin(task, key)
        counts = self._counts(task)
        link = pair_split.link(
            response.id, twin, known, task=task, shares=pair_split.shares(counts)
        )
        signed = b"".join(one.signature for one in both)
        keys = tuple(dict.fromkeys(key for one in both for key in one.keys))
        place = self._put(response, key, signed, keys, link)
        if place.quarantined is None:
            counts[place.split] += 1
            held = Candidate(response.id, "", signed, link.group, place.split)
            for one in both:
                self.texts.setdefault((task, one.exact), held)

    def _near(self, task: str, one: Text) -> list[Candidate]:
        """Who holds this text; only while nobody does, who holds one that is near it.

        A text that has a side keeps it: what is near it was compared with it on arrival.
        """
        if (task, one.exact) not in self.texts:
            if not (found := self._holding(task, [one.exact])):
                return self._holding(task, one.keys[1:])
            self.texts[task, one.exact] = found[0]
        return [self.texts[task, one.exact]]

    def _put(
        self, response: Response, key: str, signed: bytes, keys: tuple[int, ...], link: Link
    ) -> synthetic.Place:
        place = _place(response, link)
        placement = Placement(
            response_id=response.id,
            task=response.task,
            group=link.group,
            split=place.split,
            exact=key,
            judge=self.judges.get(response.task, "none"),
            check=self.check(response.task, response.output, asked(response)),
            twin=link.twin,
            similarity=link.similarity,
            quarantined=place.quarantined,
        )
        self.placements.append(placement)
        self.bands[response.id] = keys
        self.signatures[response.id] = signed
        if placement.quarantined is None:
            self._remember(placement, keys, signed)
        return place

    def _counts(self, task: str) -> dict[Split, int]:
        if task not in self.sides:
            found = self.store.log.counts()["tasks"].get(task, {})
            self.sides[task] = {side: found.get(side, 0) for side in pair_split.FULL}
        return self.sides[task]

    def _candidates(self, task: str, key: str, keys: Iterable[int]) -> list[Candidate]:
        """Earlier responses of the task that share a band or the exact key, each once."""
        found = {one.response_id: one for one in self._holding(task, keys)}
        if stored := self._stored_twin(task, key):
            found[stored.response_id] = stored
        if twin := self.exact.get((task, key)):
            found[twin.response_id] = twin
        return list(found.values())

    def _holding(self, task: str, keys: Iterable[int]) -> list[Candidate]:
        """Responses that hold one of these keys, in the store and in this batch."""
        wanted = tuple(keys)
        found = {
            name: Candidate(response_id=name, exact="", signature=signed, group=group, split=part)
            for name, signed, group, part in self.store.intake.candidates(task, wanted)
        }
        for key in wanted:
            found |= {one.response_id: one for one in self.seen.get((task, key), ())}
        return list(found.values())

    def _stored_twin(self, task: str, key: str) -> Candidate | None:
        twin = self.store.intake.by_exact(task, key)
        if twin is None or twin.quarantined is not None:
            return None
        return Candidate(
            response_id=twin.response_id,
            exact=twin.exact,
            signature=b"",
            group=twin.group,
            split=twin.split,
        )

    def _remember(self, placement: Placement, keys: Iterable[int], signed: bytes) -> None:
        one = Candidate(
            response_id=placement.response_id,
            exact=placement.exact,
            signature=signed,
            group=placement.group,
            split=placement.split,
        )
        for band in keys:
            self.seen[placement.task, band].append(one)
        self.exact.setdefault((placement.task, placement.exact), one)
