"""Where pairs of texts come from besides people: labelled texts, and mined hard negatives."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from honewheel.atomic import write_file
from honewheel.curate import dedup, labelled, pair_mining, pair_split
from honewheel.curate.labelled import Labelled, Made
from honewheel.errors import InputError, NotEnoughData, NotFound
from honewheel.evaluate.adversarial import cases
from honewheel.events import files, ingest
from honewheel.protocols import Embedding
from honewheel.settings import Adversarial
from honewheel.store import Store
from honewheel.tasks import pairs as pairs_of
from honewheel.tasks import ranking
from honewheel.tasks.pairs import as_prompt
from honewheel.tasks.similarity import Similarity

BATCH = 500  # pairs a transaction
EDITS_SEED = 10_000  # beyond the seeds that a project gives its diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """How labelled texts become pairs; see `curate.labelled.make`. `text` and `label` are columns.

    `source` is who says so.
    """

    text: str = "text"
    label: str = "label"
    per_text: int = 2
    most: int | None = None
    whole_labels: bool = False
    seed: int = 0
    source: str = "labels"


def import_labelled(store: Store, path: Path, task: str, how: From, now: datetime) -> Made:
    """Record the pairs of a file of labelled texts, all or none of a batch; the same again is
    nothing new. Raises InputError, NotEnoughData, ConfigError.
    """
    made = labelled.make(
        _read(path, how),
        task=task,
        per_text=how.per_text,
        most=how.most,
        whole_labels=how.whole_labels,
        seed=how.seed,
    )
    rows = [
        labelled.row(one, task=task, source=how.source, whole_labels=how.whole_labels)
        for one in made.pairs
    ]
    for start in range(0, len(rows), BATCH):
        entries = [ingest.entry(row, now=now) for row in rows[start : start + BATCH]]
        fresh = [one for one in entries if not _recorded(store, one.id)]
        store.log.append(
            [one.response for one in fresh if one.response],
            [said for one in fresh for said in one.feedback],
        )
    return made


def _recorded(store: Store, event: str) -> bool:
    try:
        store.log.event(event)
    except NotFound:
        return False
    return True


def _read(path: Path, how: From) -> list[Labelled]:
    found = []
    for line in files.source(path).lines():
        if line.record is None:
            raise InputError(f"{path} row {line.number}: {line.reason}. Nothing was stored.")
        values = [line.record.get(key) for key in (how.text, how.label)]
        for key, value in zip((how.text, how.label), values, strict=True):
            if value is None:
                columns = ", ".join(sorted(line.record))
                raise InputError(
                    f"{path} row {line.number} has no {key!r}; its columns: {columns}. Name them "
                    "with --text and --label. Nothing was stored."
                )
        found.append(Labelled(text=str(values[0]), label=str(values[1])))
    return found


def mine(
    store: Store,
    task: str,
    path: Path,
    out: Path,
    how: From,
    model: Embedding,
    *,
    margin: float,
    skip: int,
) -> pair_mining.Report:
    """Hard negatives of labelled texts, written to `out` as rows for `honewheel import`.

    Only texts of the training side take part: a negative is no test, and a test text no negative.
    """
    if out.exists():
        raise InputError(f"{out} exists already; nothing was written.")
    texts = _read(path, how)
    ours = [one for one in texts if _trains(store, task, one.text)]
    if not ours:
        raise NotEnoughData(f"None of {len(texts)} texts is on the training side of {task}.")
    found = pair_mining.mine(
        ours,
        model.embed([one.text for one in ours]),
        same=_said_same(store, task, ours),
        per_text=how.per_text,
        margin=margin,
        skip=skip,
    )
    rows = (
        {
            "task": task,
            "text_a": ours[one.anchor].text,
            "text_b": ours[one.negative].text,
            "same": False,
            "label_a": ours[one.anchor].label,
            "label_b": ours[one.negative].label,
            "source": how.source,
        }
        for one in found.found
    )
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_file(out, lines.encode())
    held = len(texts) - len(ours)
    more = {"held out, or would be": held} if held else {}
    return replace(found, dropped={**found.dropped, **more})


def edits(store: Store, task: str, out: Path, asked: Adversarial, count: int) -> dict[str, int]:
    """Adversarial edits of training texts, written as rows for `honewheel import`.

    The diagnostic edits held-out texts with the seed of the settings; these are others, so that
    what is trained on is none of what judges.
    """
    if out.exists():
        raise InputError(f"{out} exists already; nothing was written.")
    if count < 1:
        raise InputError(f"cases is {count}; it is at least 1 a category.")
    texts = {
        one
        for event in store.log.events([task], store.log.last_seq(), split="train")
        if event.placement is not None and event.placement.quarantined is None
        for one in pairs_of.texts(event.response.prompt, event.response.context) or ()
    }
    found = cases.make(
        texts,
        policy={name: is_ for name, is_ in asked.policy.items() if is_ != "report"},
        per_category=count,
        seed=asked.seed + EDITS_SEED,
        antonyms=asked.antonyms,
    )
    # Where only case differs there is nothing to learn: the pair would be refused.
    found = tuple(one for one in found if pairs_of.normal(one.a) != pairs_of.normal(one.b))
    if not found:
        raise NotEnoughData(f"{task} has no training texts to edit yet; record pairs first.")
    rows = (
        {
            "task": task,
            "text_a": case.a,
            "text_b": case.b,
            "same": case.expected == "same",
            "source": f"edits:{case.category}",
            "source_kind": "simulated",
        }
        for case in found
    )
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    write_file(out, "".join(lines).encode())
    return dict(Counter(case.category for case in found))


def _trains(store: Store, task: str, text: str) -> bool:
    """Whether a text is, or as a new one would be, on the training side."""
    (one, _) = pair_split.texts(as_prompt(text, "."), {}) or (None, None)
    if one is None:
        return False
    near = [
        row for keys in (one.keys[:1], one.keys[1:]) for row in store.intake.candidates(task, keys)
    ]
    sides = {
        side
        for _, signed, _, side in near
        if dedup.similarity(one.signature, signed) >= dedup.THRESHOLD
    }
    return (sides or {pair_split.own(one, task)}) == {"train"}


def _said_same(store: Store, task: str, texts: Sequence[Labelled]) -> set[frozenset[int]]:
    """Pairs of places that people called the same."""
    places = {pairs_of.normal(one.text): place for place, one in enumerate(texts)}
    found = set()
    for event in store.log.events([task], store.log.last_seq()):
        both = pairs_of.texts(event.response.prompt, event.response.context)
        said = event.correction.text if event.correction is not None else None
        if both is None or said is None or not Similarity().check(said, {}).valid:
            continue
        ends = [places.get(pairs_of.normal(one)) for one in both]
        if None not in ends and Similarity().compare(said, "1", {})["score"] >= ranking.SAME:
            found.add(frozenset(end for end in ends if end is not None))
    return found


def read_texts(path: Path) -> list[str]:
    """The texts of any file: one a line, or the column `text` of JSONL, CSV or Parquet.

    Raises InputError.
    """
    if path.suffix.lower() not in (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}.") from error
        return [line.strip() for line in lines if line.strip()]
    found = []
    for line in files.source(path).lines():
        text = (line.record or {}).get("text")
        if not isinstance(text, str):
            raise InputError(f"{path} row {line.number} has no text in a column `text`.")
        found.append(text)
    return found
