from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_records import dataset, example

from honewheel.errors import Damaged, InputError, NotFound
from honewheel.records import Dataset, Example
from honewheel.store import Store
from honewheel.store.rows import read_rows, write_rows


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


def parquet(store: Store) -> Path:
    (summary,) = store.datasets.list()
    return store.files.path(summary.files) / "dataset.parquet"


def test_a_sealed_dataset_is_loaded_whole(store: Store, sealed: Dataset) -> None:
    assert store.datasets.load(sealed.hash) == sealed
    assert store.datasets.dropped(sealed.hash) == list(sealed.dropped)


def test_the_summary_tells_what_is_in_it(store: Store, sealed: Dataset) -> None:
    (summary,) = store.datasets.list()
    assert (summary.hash, summary.cycle, summary.as_of_seq) == (sealed.hash, "cyc_1", 42)
    assert (summary.train, summary.val, summary.dropped, summary.tasks) == (3, 1, 2, ("sql",))


def test_sealing_again_changes_nothing(store: Store, sealed: Dataset) -> None:
    store.datasets.seal(sealed, "cyc_2", 43)
    assert [summary.cycle for summary in store.datasets.list()] == ["cyc_1"]
    assert len(store.datasets.uses("evt_a")) == 1


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
    assert store.datasets.used_events([sealed.hash]) == {"evt_a", "evt_b", "evt_c"}
    assert store.datasets.used_events([second.hash]) == {"evt_b"}
    assert store.datasets.used_events([]) == set()


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


def test_a_missing_file_is_refused_by_the_datasets_hash(store: Store, sealed: Dataset) -> None:
    store.files.gc(set())
    with pytest.raises(Damaged, match=sealed.hash):
        store.datasets.load(sealed.hash)


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
    for ask in (store.datasets.load, store.datasets.dropped):
        with pytest.raises(NotFound, match="abc"):
            ask("abc")


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = tuple(example(str(number)) for number in range(100))
    assert write_rows(rows, rows[:3]) == write_rows(rows, rows[:3])


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
