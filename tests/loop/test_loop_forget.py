"""Forgetting: no row and no file holds the text, lineage stays, a retrain is queued."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.errors import Erased, InputError, NotFound, NothingNew
from honewheel.events.ingest import entry
from honewheel.store.arrivals import Arrival

SECRET = "Rosalind Undset lives at 7 Larch Lane"
WHO = {"reason": "asked by letter", "by": "dpo"}


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose champion learnt from events that mention a person."""
    made = tmp_path_factory.mktemp("learnt")
    with wheels.memo_installed(), wheels.open_wheel(wheels.project(made / "project")) as opened:
        wheels.fill(opened, made)
        rng = random.Random(4)
        for number in range(12):  # most fall into train
            plain, house = wheels.erd(rng)
            opened.record(
                id=f"evt_s{number}",
                task="erd",
                prompt=f"{plain}\n %% {SECRET}",
                output=plain,
                correction=f"{house}\n %% {SECRET}",
                context={"note": f"told by {SECRET}"},
                source="rosalind",
            )
        assert opened.cycle().verdict == "promote"
    return made / "project"


@pytest.fixture
def wheel(tmp_path: Path, learnt: Path) -> Iterator[Any]:
    with wheels.open_wheel(shutil.copytree(learnt, tmp_path / "project")) as opened:
        yield opened


def holds(folder: Path, text: str) -> list[str]:
    """Files that hold the text, in plain bytes or in a compressed column."""
    import pyarrow.parquet as pq

    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            if path.suffix == ".parquet":
                raw = str(pq.read_table(path).to_pydict()).encode()
            if text.encode() in raw:
                found.append(str(path))
    return found


def test_the_text_is_nowhere_and_what_learnt_from_it_is_named(wheel: Any) -> None:
    root = wheel.config.root
    assert holds(root, SECRET)  # the search below can find it
    found = wheel.forget(subject="rosalind UNDSET", **WHO)
    assert len(found.events) == 12
    assert found.versions == found.serving == ("artifacts@1",)
    assert found.remains == ()
    assert found.searched > 2
    wheel.close()
    assert holds(root, SECRET) == []
    assert holds(root, "Larch Lane") == []


def test_ids_hashes_and_lineage_stay(wheel: Any) -> None:
    before = {name: wheel.store.intake.placement(name).exact for name in ("evt_s0", "evt_s1")}
    used = len(wheel.trace("evt_s0")["versions"])
    wheel.forget(source="rosalind", **WHO)
    event = wheel.store.log.event("evt_s0")
    assert (event.response.prompt, event.response.output, event.feedback) == ("", "", ())
    assert {name: wheel.store.intake.placement(name).exact for name in before} == before
    assert len(wheel.trace("evt_s0")["versions"]) == used
    assert {row["event"] for row in wheel.store.erasure.list()} == {f"evt_s{n}" for n in range(12)}
    assert wheel.status()["log"]["feedback"] == 120


def test_a_retrain_is_queued_and_learns_without_it(wheel: Any) -> None:
    with pytest.raises(NothingNew):
        wheel.cycle()
    found = wheel.forget(source="rosalind", **WHO)
    (job,) = wheel.jobs()
    assert (job.id,) == found.jobs
    assert job.reason == "a version in use learnt what was forgotten: asked by letter"
    assert wheel.work(once=True) == 1
    newest = wheel.versions()[-1]
    assert newest.number == 2
    shown = wheel.store.datasets.shown_events(newest.dataset)
    assert shown
    assert not any(name.startswith("evt_s") for name in shown)


def test_one_event_goes_and_its_neighbours_stay(wheel: Any) -> None:
    found = wheel.forget("evt_e0-3", **WHO)
    assert found.events == ("evt_e0-3",)
    assert wheel.store.log.event("evt_e0-3").response.prompt == ""
    assert wheel.store.log.event("evt_e0-4").response.prompt.startswith("erDiagram")
    again = wheel.forget("evt_e0-3", **WHO)
    assert again.searched == 0
    assert len(wheel.store.erasure.list()) == 1


def test_text_that_others_said_too_is_told_and_not_erased(wheel: Any) -> None:
    same = wheel.store.log.event("evt_s0").response.prompt
    wheel.record(task="erd", prompt=same, output="erDiagram", thumb=1, source="ben")
    found = wheel.forget("evt_s0", **WHO)
    assert any(place.startswith("response.prompt") for place in found.remains)


def test_the_same_rows_come_back_by_no_way(wheel: Any, tmp_path: Path) -> None:
    event = wheel.store.log.event("evt_s0")
    row = {"id": "evt_s0", "task": "erd", "prompt": event.response.prompt}
    row |= {"output": event.response.output, "source": "rosalind"}
    remark = {"response": "evt_s1", "correction": f"a {SECRET}", "source": "rosalind"}
    wheel.forget(source="rosalind", **WHO)
    found = wheel.import_file(wheels.write_jsonl(tmp_path / "again.jsonl", [row, remark]))
    assert (found.rows, found.stored) == (2, 0)
    assert all("was forgotten" in one.reason for one in found.quarantined)
    with pytest.raises(Erased, match="evt_s1 was forgotten"):
        wheel.record(**remark)
    sent = [entry(one, now=wheel.clock()) for one in (row, remark)]
    arrivals = [Arrival(one.response, one.feedback, "app", "POST") for one in sent]
    for outcome in wheel.store.arrivals.append(arrivals, wheel.clock()):
        assert isinstance(outcome, Erased)
    root = wheel.config.root
    wheel.close()
    assert holds(root, SECRET) == []


def test_answers_that_models_gave_to_the_prompt_go_too(wheel: Any) -> None:
    wheel.sample(task="erd", prompts=1000, outputs=2)
    sampled = [
        event.id
        for event in wheel.store.log.events(None, wheel.store.log.last_seq())
        if "sampled" in event.response.decoding
    ]
    wheel.work(once=True)
    wheel.forget(source="rosalind", **WHO)
    for name in sampled:
        assert SECRET not in wheel.store.log.event(name).response.prompt


def test_what_cannot_be_forgotten_is_said(wheel: Any) -> None:
    with pytest.raises(NotFound, match="No event 'evt_none'"):
        wheel.forget("evt_none", **WHO)
    with pytest.raises(NotFound, match="source 'nobody' said nothing"):
        wheel.forget(source="nobody", **WHO)
    with pytest.raises(InputError, match="one of: events, a source, a subject"):
        wheel.forget(**WHO)
    with pytest.raises(InputError, match="fewer than 3 characters"):
        wheel.forget(subject="a", **WHO)
    with pytest.raises(InputError, match="a reason"):
        wheel.forget("evt_s0", reason=" ", by="dpo")


def test_postgres_forgets_too(tmp_path: Path, postgres_url: str) -> None:
    with wheels.open_wheel(wheels.project(tmp_path / "project", postgres_url)) as opened:
        opened.record(task="erd", prompt=f"Draw {SECRET}", output="x", source="ana", thumb=1)
        found = opened.forget(subject=SECRET, **WHO)
        assert found.remains == ()
        assert len(found.events) == 1
        assert opened.store.log.event(found.events[0]).response.prompt == ""
