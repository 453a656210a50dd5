"""Datasets are listed, looked into and handed out; champions are sampled for pairs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import DONE, USAGE
from honewheel.curate import preferences, rated
from honewheel.loop import intake
from honewheel.records import Cycle, Dataset, Example, dataset_hash

GOOD = "erDiagram\n  book {\n    int id PK\n  }"
BAD = "erDiagram\n  book {\n    int id"


def data(found: tuple[int, str, str]) -> Any:
    assert found[0] == DONE, found
    return json.loads(found[1])


def trained_events(wheel: Any) -> list[Any]:
    intake.run(wheel.store, wheel.config, lambda _: None)
    events = wheel.store.log.events(None, wheel.store.log.last_seq())
    return [event for event in events if event.placement.split == "train"]


@pytest.fixture
def sealed(folder: Path) -> Dataset:
    """A dataset of one example, with the pairs and rated rows of a small log."""
    with wheels.open_wheel(folder) as wheel:
        for number in range(12):
            prompt = f"diagram number {number} of ünits"
            row = {"id": f"evt_{number}", "task": "erd", "prompt": prompt, "source": "ana"}
            if number % 3 == 0:
                wheel.record(**row, output=BAD, correction=GOOD, context={"notes": "short"})
            else:
                wheel.record(**row, output=GOOD if number % 3 == 1 else BAD, thumb=number % 3 == 1)
        events, now = trained_events(wheel), wheel.clock()
        found = preferences.pairs(events, checks=intake.checker(wheel.config), as_of=now).pairs
        rows = rated.rated(events, as_of=now)
        assert found
        assert {row.desirable for row in rows} == {True, False}
        row = found[0]
        examples = (
            Example(
                id="ex_1",
                task="erd",
                prompt=row.prompt,
                target=row.chosen,
                group=row.group,
                split="train",
                context=row.context,
                events=row.events,
            ),
        )
        dataset = Dataset(
            hash=dataset_hash(examples, (), found, rows),
            train=examples,
            val=(),
            pairs=found,
            rated=rows,
        )
        wheel.store.datasets.seal(dataset, "by hand", wheel.store.log.last_seq())
        return dataset


def test_a_dataset_is_listed_and_shown(run: Any, sealed: Dataset) -> None:
    (row,) = data(run("dataset", "list", "--json"))
    assert (row["hash"], row["train"], row["val"]) == (sealed.hash, 1, 0)
    assert (row["pairs"], row["rated"]) == (len(sealed.pairs), len(sealed.rated))
    assert sealed.hash[:12] in run("dataset", "list")[1]
    found = data(run("dataset", "show", sealed.hash[:6], "--json"))
    assert found == data(run("dataset", "show", "newest", "--json"))
    parts = {(row["part"], row["role"]): row["rows"] for row in found["rows"]}
    assert parts == {
        ("train", "new"): 1,
        ("pairs/train", "correction"): len(sealed.pairs),
        ("rated/train", "desirable"): sum(row.desirable for row in sealed.rated),
        ("rated/train", "undesirable"): sum(not row.desirable for row in sealed.rated),
    }
    assert found["length_bias"] == 1  # each correction here is longer
    assert 1 <= found["desirable_ratio"] <= 4 / 3
    told = run("dataset", "show")[1]
    assert "pairs/train" in told
    assert "undesirable" in told


def exported(run: Any, path: Path, *words: str) -> list[dict[str, Any]]:
    found = data(run("dataset", "export", "newest", str(path), *words, "--json"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert found["rows"] == len(lines)
    return [json.loads(line) for line in lines]


def test_every_format_has_the_keys_that_trl_reads(
    run: Any, sealed: Dataset, tmp_path: Path
) -> None:
    pair = sealed.pairs[0]
    asked = f"{pair.prompt}\n\nnotes:\nshort"
    (row,) = exported(run, tmp_path / "sft.jsonl")
    assert row == {"prompt": f"{asked}\n\n", "completion": GOOD}
    (row,) = exported(run, tmp_path / "chat.jsonl", "--format", "chat")
    assert row["messages"] == [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": GOOD},
    ]
    rows = exported(run, tmp_path / "dpo.jsonl", "--format", "dpo")
    assert rows[0] == {"prompt": f"{asked}\n\n", "chosen": GOOD, "rejected": BAD}
    rows = exported(run, tmp_path / "kto.jsonl", "--format", "kto", "--side", "all")
    assert {tuple(row) for row in rows} == {("prompt", "completion", "label")}
    assert {row["label"] for row in rows} == {True, False}


def test_export_never_overwrites_and_never_writes_nothing(
    run: Any, sealed: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("precious")
    code, out, err = run("dataset", "export", "newest", str(path))
    assert (code, out, path.read_text()) == (USAGE, "", "precious")
    assert "is there already" in err
    code, _, err = run("dataset", "export", "newest", str(tmp_path / "v.jsonl"), "--side", "val")
    assert (code, "has no examples on the side val" in err) == (USAGE, True)
    words = ("dataset", "export", "newest", str(path / "below.jsonl"), "--format", "dpo")
    assert run(*words)[0] == USAGE
    assert [one.name for one in tmp_path.glob("*.jsonl")] == ["mine.jsonl"]
    assert not list(tmp_path.glob(".*jsonl*"))


def test_a_dataset_that_is_not_there_is_said_to_be_so(run: Any, sealed: Dataset) -> None:
    for name in ("none", "0", sealed.hash[:3], "artifacts-0009", "", "zzzzzz"):
        code, _, err = run("dataset", "show", name)
        assert (code, "No dataset" in err) == (USAGE, True), name


def test_without_any_dataset_the_next_step_is_told(run: Any) -> None:
    assert data(run("dataset", "list", "--json")) == []
    code, _, err = run("dataset", "show")
    assert (code, "honewheel cycle" in err) == (USAGE, True)


def test_a_cycle_names_its_dataset(run: Any, folder: Path, tmp_path: Path) -> None:
    with wheels.open_wheel(folder) as wheel:
        wheels.fill(wheel, tmp_path)
        wheel.cycle()
        (version,) = [one for one in wheel.versions() if one.dataset]
    found = data(run("dataset", "show", "artifacts-0001", "--json"))
    assert found["hash"] == version.dataset
    assert sum(row["rows"] for row in found["rows"]) == found["train"] + found["val"]
    assert sum(found["dropped_by_reason"].values()) == found["dropped"]
    assert {row["role"] for row in found["rows"]} == {"new", "replay"}
    rows = exported(run, tmp_path / "out.jsonl", "--side", "all")
    assert len(rows) == found["train"] + found["val"]


def test_an_event_that_went_in_as_a_pair_or_a_rated_row_only_is_traced(
    run: Any, folder: Path, sealed: Dataset
) -> None:
    with wheels.open_wheel(folder) as wheel:
        wheel.store.versions.ensure_base("artifacts", "memo/echo", "0" * 64, wheel.clock())
        base = wheel.version("@0")
        wheel.store.versions.create(replace(base, number=1, dataset=sealed.hash))
        now, seq = wheel.clock(), wheel.store.log.last_seq()
        cycle = Cycle(
            id="artifacts-0001",
            model="artifacts",
            number=1,
            state="running",
            as_of=now,
            as_of_seq=seq,
            config={},
            started_at=now,
        )
        wheel.store.cycles.start(cycle)
        wheel.store.cycles.save_step(cycle.id, "build", "key", {"dataset": sealed.hash}, now)
    for event, role in (
        (sealed.pairs[1].events[0], "pair"),
        (sealed.rated[0].events[0], "rated"),
    ):
        (found,) = data(run("trace", event, "--json"))["versions"]
        assert (found["version"], found["role"]) == ("artifacts@1", role)
        (answer,) = data(run("explain", event, "--json"))["models"]
        told = {"pair": "in a preference pair", "rated": "a rated output"}[role]
        assert (answer["answer"], answer["role"]) == (f"{told} in artifacts-0001", role)
    events = data(run("trace", "artifacts@1", "--json"))["events"]
    roles = [row["role"] for row in events]
    assert roles.count("pair") == len(sealed.pairs)
    assert roles.count("rated") == len(sealed.rated)
    assert {row["simulated"] for row in events} == {False}


# --- sample --------------------------------------------------------------------------------------


@pytest.fixture
def asked(folder: Path) -> list[str]:
    """Ids of the training events of which nobody wrote a correction."""
    with wheels.open_wheel(folder) as wheel:
        for number in range(12):
            row = {"task": "erd", "prompt": f"{GOOD} {number}", "output": f"first {number}"}
            said = {"correction": GOOD} if number % 2 else {"thumb": 0}
            wheel.record(id=f"evt_e{number}", **row, **said)
            prompt = f"CREATE TABLE t{number} (a int);"
            wheel.record(id=f"evt_d{number}", task="ddl", prompt=prompt, output="x")
        return [event.id for event in trained_events(wheel) if event.correction is None]


def test_sampling_asks_what_nobody_corrected_and_goes_on_where_it_stopped(
    run: Any, folder: Path, asked: list[str]
) -> None:
    (first,) = data(run("sample", "--prompts", "3", "--outputs", "3", "--json"))
    assert (first["version"], first["prompts"]) == ("artifacts@0", 3)
    (rest,) = data(run("sample", "--prompts", "100", "--json"))
    assert first["prompts"] + rest["prompts"] == len(asked)
    code, _, err = run("sample")
    assert (code, "sampled from this version before" in err) == (DONE, True)
    with wheels.open_wheel(folder) as wheel:
        intake.run(wheel.store, wheel.config, lambda _: None)
        for name in (*first["events"], *rest["events"]):
            event = wheel.store.log.event(name)
            twin = wheel.store.log.event(event.placement.twin)
            assert twin.id in asked
            assert event.response.prompt == twin.response.prompt
            assert event.placement.split == "train"
            assert event.feedback == ()
            assert event.response.version == "artifacts@0"
            assert event.response.decoding["temperature"] == 0.8
            assert event.response.decoding["sampled"] is True


def test_sampling_one_task_asks_that_task_only(run: Any, folder: Path, asked: list[str]) -> None:
    (found,) = data(run("sample", "--task", "ddl", "--prompts", "100", "--json"))
    with wheels.open_wheel(folder) as wheel:
        tasks = {wheel.store.log.event(name).response.task for name in found["events"]}
    assert tasks == {"ddl"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--outputs", "1"], "outside 2 .. 5"),
        (["--outputs", "6"], "outside 2 .. 5"),
        (["--prompts", "0"], "0 prompts"),
        (["--temperature", "0"], "every answer would"),
        (["--temperature", "nan"], "outside 0 .. 2"),
        (["--task", "edr"], "Did you mean erd?"),
    ],
)
def test_sampling_that_makes_no_sense_is_refused(run: Any, words: list[str], told: str) -> None:
    code, _, err = run("sample", *words)
    assert (code, told in err) == (USAGE, True), err


@pytest.mark.slow
def test_a_real_model_gives_several_answers_that_the_next_build_ranks(tmp_path: Path) -> None:
    folder = wheels.project(tmp_path / "tiny")
    text = (folder / "honewheel.toml").read_text()
    text = text.replace('family = "memo"\nbase = "memo/echo"', 'base = "honewheel/tiny"')
    (folder / "honewheel.toml").write_text(text)
    with wheels.open_wheel(folder, "evaluate.max_new_tokens=16") as wheel:
        for number in range(3):
            wheel.record(
                id=f"evt_{number}",
                task="erd",
                prompt=f"Draw number {number}.",
                output=f"{GOOD}\n  n{number} {{\n    int id PK\n  }}",
                thumb=1,
            )
        intake.run(wheel.store, wheel.config, lambda _: None)
        (found,) = wheel.sample(prompts=2, outputs=3, temperature=1.5)
        assert found["recorded"] > found["prompts"] >= 1
        seeds = {wheel.store.log.event(name).response.decoding["seed"] for name in found["events"]}
        assert len(seeds) > 1
        pairs = preferences.pairs(
            trained_events(wheel), checks=intake.checker(wheel.config), as_of=wheel.clock()
        ).pairs
    assert len(pairs) == found["prompts"]
    assert {pair.origin for pair in pairs} == {"sampled"}
    assert all(pair.chosen.startswith(GOOD) for pair in pairs)
