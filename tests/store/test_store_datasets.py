from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_records import dataset, example

from honewheel.errors import Damaged, InputError, NotFound
from honewheel.records import Dataset, Dropped, Example, Pair, Rated, as_dict, dataset_hash, digest
from honewheel.store import Store
from honewheel.store.rows import (
    read_pairs,
    read_rated,
    read_rows,
    write_pairs,
    write_rated,
    write_rows,
)


@pytest.fixture
def sealed(store: Store) -> Dataset:
    found = dataset(
        example("a", events=("evt_a", "evt_b")),
        example("r", role="replay", events=("evt_b",), weight=0.5),
        example("g", events=(), simulated=True),
        val=(example("v", split="val", events=("evt_c",)),),
        dropped=2,
    )
    store.datasets.seal(found, "cyc_1", 42)
    return found


def pair(name: str, **changes: object) -> Pair:
    fields: dict[str, object] = {
        "id": f"pr_{name}",
        "task": "sql",
        "prompt": f"prompt {name}",
        "chosen": "SELECT 'ü'",
        "rejected": "SELECT '\U0001f600'",
        "group": f"g_{name}",
        "split": "train",
        "origin": "correction",
        "context": {"schema": "t(a)"},
        "weight": 1 / 3,
        "events": (f"evt_{name}",),
    }
    return Pair(**fields | changes)  # type: ignore[arg-type]


def one_rated(name: str, **changes: object) -> Rated:
    fields: dict[str, object] = {
        "id": f"rt_{name}",
        "task": "sql",
        "prompt": f"prompt {name}",
        "output": "SELECT 1",
        "desirable": False,
        "group": f"g_{name}",
        "split": "train",
        "weight": 0.5,
        "events": (f"evt_{name}",),
    }
    return Rated(**fields | changes)  # type: ignore[arg-type]


def preferring(pairs: tuple[Pair, ...] = (), rated: tuple[Rated, ...] = ()) -> Dataset:
    """One example of evt_a with these pairs and rated rows beside it."""
    train = (example("a", events=("evt_a",)),)
    found = dataset_hash(train, (), pairs, rated)
    return Dataset(hash=found, train=train, val=(), pairs=pairs, rated=rated)


def parquet(store: Store) -> Path:
    (summary,) = store.datasets.list()
    return store.files.path(summary.files) / "dataset.parquet"


def test_a_sealed_dataset_is_loaded_whole(store: Store, sealed: Dataset) -> None:
    assert store.datasets.load(sealed.hash) == replace(sealed, dropped=())
    assert store.datasets.dropped(sealed.hash) == list(sealed.dropped)


def test_the_summary_tells_what_is_in_it(store: Store, sealed: Dataset) -> None:
    (summary,) = store.datasets.list()
    assert (summary.hash, summary.cycle, summary.as_of_seq) == (sealed.hash, "cyc_1", 42)
    assert (summary.train, summary.val, summary.dropped, summary.tasks) == (3, 1, 2, ("sql",))


def test_sealing_again_changes_nothing(store: Store, sealed: Dataset) -> None:
    store.datasets.seal(sealed, "cyc_2", 43)
    assert [summary.cycle for summary in store.datasets.list()] == ["cyc_1"]
    assert len(store.datasets.uses("evt_a")) == 1


def test_a_later_cycle_with_the_same_rows_tells_its_own_reasons(
    store: Store, sealed: Dataset
) -> None:
    between = dataset(example("z", events=("evt_b",)))
    store.datasets.seal(between, "cyc_2", 50)
    late = Dropped(event="evt_late", reason="invalid target", detail="no diagram")
    again = replace(sealed, dropped=(late,))
    for _ in range(2):  # the second time as a cycle that was cut short would
        store.datasets.seal(again, "cyc_3", 60)
    assert store.datasets.left_out(sealed.hash, "evt_late") == late
    assert store.datasets.dropped(sealed.hash) == [late]
    assert [one.reason for one in store.datasets.reasons(sealed.hash)] == ["invalid target"]
    assert [one.hash for one in store.datasets.list()] == [between.hash, sealed.hash]
    assert store.datasets.summary(sealed.hash).as_of_seq == 60
    assert len(store.datasets.uses("evt_a")) == 1


def test_sealing_again_makes_lost_and_damaged_files_whole(store: Store, sealed: Dataset) -> None:
    parquet(store).write_bytes(b"flipped")
    store.datasets.seal(sealed, "cyc_2", 42)
    assert store.datasets.load(sealed.hash) == replace(sealed, dropped=())
    store.files.gc(set())
    store.datasets.seal(sealed, "cyc_3", 42)
    assert store.datasets.load(sealed.hash) == replace(sealed, dropped=())


def test_an_event_is_traced_to_its_examples(store: Store, sealed: Dataset) -> None:
    second = dataset(example("z", events=("evt_b", "evt_b")))
    store.datasets.seal(second, "cyc_2", 50)
    assert store.datasets.uses("evt_b") == [
        (sealed.hash, "ex_a", "new", 1 / 3, "train"),
        (sealed.hash, "ex_r", "replay", 0.5, "train"),
        (second.hash, "ex_z", "new", 1 / 3, "train"),
    ]
    assert [use.split for use in store.datasets.uses("evt_c")] == ["val"]
    assert store.datasets.uses("evt_x") == []
    assert store.datasets.shown_events(sealed.hash) == {"evt_a", "evt_b"}  # evt_c is in val
    assert store.datasets.shown_events(second.hash) == {"evt_b"}


def test_pairs_and_rated_rows_are_sealed_loaded_and_traced(store: Store) -> None:
    found = preferring(
        (pair("a", events=("evt_a", "evt_b")), pair("v", split="val", events=("evt_c",))),
        (one_rated("d", desirable=True),),
    )
    store.datasets.seal(found, "cyc_1", 7)
    assert store.datasets.load(found.hash) == found
    assert [use[1:] for use in store.datasets.uses("evt_a")] == [
        ("ex_a", "new", 1 / 3, "train"),
        ("pr_a", "pair", 1 / 3, "train"),
    ]
    assert store.datasets.uses("evt_b") == [(found.hash, "pr_a", "pair", 1 / 3, "train")]
    assert store.datasets.uses("evt_c") == [(found.hash, "pr_v", "pair", 1 / 3, "val")]
    assert store.datasets.uses("evt_d") == [(found.hash, "rt_d", "rated", 0.5, "train")]
    (summary,) = store.datasets.list()
    assert store.datasets.preferences(summary) == (2, 1)
    folder = store.files.path(summary.files)
    assert {path.stem for path in folder.glob("*.parquet")} == {"dataset", "pairs", "rated"}
    store.files.gc(set())
    assert store.datasets.preferences(summary) is None


def test_a_dataset_without_preferences_keeps_its_hash_and_one_file(
    store: Store, sealed: Dataset
) -> None:
    rows = [*sealed.train, *sealed.val]
    assert dataset_hash(sealed.train, sealed.val) == digest([as_dict(row) for row in rows])
    (summary,) = store.datasets.list()
    assert store.datasets.preferences(summary) == (0, 0)
    assert [path.name for path in store.files.path(summary.files).glob("*.parquet")] == [
        "dataset.parquet"
    ]


def test_every_row_of_every_kind_and_its_place_count_for_the_hash() -> None:
    one, two = pair("a"), pair("b")
    rated = one_rated("c")
    found = {
        preferring(pairs, rows).hash
        for pairs in ((), (one,), (two,), (one, two), (two, one))
        for rows in ((), (rated,), (replace(rated, desirable=True),))
    }
    assert len(found) == 15


@pytest.mark.parametrize("kind", ["pairs", "rated"])
def test_a_lost_or_other_file_of_pairs_or_rated_rows_is_refused(
    store: Store, tmp_path: Path, kind: str
) -> None:
    found = preferring((pair("a"),), (one_rated("b"),))
    store.datasets.seal(found, "cyc", 1)
    (summary,) = store.datasets.list()
    folder = store.files.path(summary.files)
    kept = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    other = {"pairs": write_pairs((pair("x"),)), "rated": write_rated((one_rated("x"),))}[kind]
    for place, data in enumerate((None, other)):
        folder = tmp_path / str(place)
        folder.mkdir()
        for name, content in kept.items():
            (folder / name).write_bytes(content)
        (folder / f"{kind}.parquet").unlink()
        if data is not None:
            (folder / f"{kind}.parquet").write_bytes(data)
        files = store.files.put(folder)
        with store._db.write("datasets") as connection:
            connection.exec_driver_sql(f"UPDATE dataset SET files = '{files}'")
        with pytest.raises(Damaged, match=f"{found.hash} is damaged: its rows hash to"):
            store.datasets.load(found.hash)


@pytest.mark.parametrize("position", [0, 10, -40, -1])
def test_a_flipped_bit_is_refused_by_the_datasets_hash(
    store: Store, sealed: Dataset, position: int
) -> None:
    path = parquet(store)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged, match=f"{sealed.hash}.*sha256"):
        store.datasets.load(sealed.hash)


def test_a_file_that_gc_removed_is_gone_not_damaged(store: Store, sealed: Dataset) -> None:
    store.files.gc(set())
    with pytest.raises(NotFound, match=f"{sealed.hash} has lost its rows: honewheel gc"):
        store.datasets.load(sealed.hash)
    lineage = store.datasets.lineage(sealed.hash)
    assert [(event, use.example, use.split) for event, use in lineage] == [
        ("evt_a", "ex_a", "train"),
        ("evt_b", "ex_a", "train"),
        ("evt_b", "ex_r", "train"),
        ("evt_c", "ex_v", "val"),
    ]


def test_a_dataset_of_a_release_with_fewer_fields_is_read(store: Store, tmp_path: Path) -> None:
    """What 0.1.0 sealed: no difficulty, no since, no variant, and none of them in the hash."""
    import pyarrow.parquet as pq

    rows = (example("a", events=("evt_a",)),)
    new = ("difficulty", "since", "variant")
    old = digest([{k: v for k, v in as_dict(row).items() if k not in new} for row in rows])
    store.datasets.seal(dataset(*rows), "cyc_1", 1)
    folder = tmp_path / "old"
    folder.mkdir()
    table = pq.read_table(parquet(store))
    pq.write_table(table.drop_columns(list(new)), folder / "dataset.parquet")
    files = store.files.put(folder)
    with store._db.write("datasets") as connection:
        connection.exec_driver_sql("DELETE FROM lineage")
        connection.exec_driver_sql(f"UPDATE dataset SET files = '{files}', hash = '{old}'")
    found = store.datasets.load(old)
    assert (found.hash, found.train) == (old, rows)


def test_other_rows_under_a_sound_manifest_are_refused(
    store: Store, sealed: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dataset.parquet").write_bytes(write_rows((example("evil"),), ()))
    files = store.files.put(tmp_path / "other")
    with store._db.write("datasets") as connection:
        connection.exec_driver_sql(f"UPDATE dataset SET files = '{files}'")
    with pytest.raises(Damaged, match=f"{sealed.hash} is damaged: its rows hash to"):
        store.datasets.load(sealed.hash)


def test_more_reasons_than_one_statement_takes_are_kept_by_event(store: Store) -> None:
    found = dataset(example("a"), dropped=2_500)
    store.datasets.seal(found, "cyc_1", 42)
    assert store.datasets.dropped(found.hash) == sorted(found.dropped, key=lambda one: one.event)


def test_a_hash_that_is_not_of_the_rows_is_not_sealed(store: Store) -> None:
    honest = dataset(example("a"))
    for wrong in (
        replace(honest, hash="0" * 64),
        dataset(example("a", weight=1)),  # an int comes back as a float: another hash
    ):
        with pytest.raises(InputError, match=wrong.hash):
            store.datasets.seal(wrong, "cyc", 1)
    assert store.datasets.list() == []
    assert not store.files.root.exists()


def test_an_unknown_dataset_is_not_found(store: Store) -> None:
    ask_for = store.datasets
    for ask in (ask_for.load, ask_for.dropped, ask_for.reasons, ask_for.lineage):
        with pytest.raises(NotFound, match="abc"):
            ask("abc")


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = tuple(example(str(number)) for number in range(100))
    assert write_rows(rows, rows[:3]) == write_rows(rows, rows[:3])
    pairs = tuple(pair(str(number)) for number in range(50))
    assert write_pairs(pairs) == write_pairs(pairs)
    rated = tuple(one_rated(str(number)) for number in range(50))
    assert write_rated(rated) == write_rated(rated)


_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(
            Example,
            id=_words,
            task=_words,
            prompt=_words,
            target=_words,
            group=_words,
            split=st.sampled_from(["train", "val", "test"]),
            context=st.dictionaries(_words, _words, max_size=2),
            value=st.floats(0, 1),
            weight=st.floats(0, 1e9, exclude_min=True),
            role=st.sampled_from(["new", "replay"]),
            events=st.lists(_words, max_size=2).map(tuple),
            simulated=st.booleans(),
        ),
        max_size=4,
    )
)
def test_every_example_survives_the_file(rows: list[Example]) -> None:
    assert read_rows(write_rows(tuple(rows), tuple(rows[:1]))) == (tuple(rows), tuple(rows[:1]))


_common = {
    **dict.fromkeys(("id", "task", "prompt", "group"), _words),
    "split": st.sampled_from(["train", "val"]),
    "context": st.dictionaries(_words, _words, max_size=2),
    "weight": st.floats(0, 1e9, exclude_min=True),
    "events": st.lists(_words, max_size=2).map(tuple),
}
_pairs = st.builds(Pair, **_common, **dict.fromkeys(("chosen", "rejected", "origin"), _words))
_rated = st.builds(Rated, **_common, output=_words, desirable=st.booleans())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_pairs, max_size=4), st.lists(_rated, max_size=4))
def test_every_pair_and_rated_row_survives_the_file(pairs: list[Pair], rated: list[Rated]) -> None:
    assert read_pairs(write_pairs(pairs)) == tuple(pairs)
    assert read_rated(write_rated(rated)) == tuple(rated)
