"""An index of texts: what is in it, what goes on, what is refused, how much memory it takes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from honewheel.errors import ConfigError, Damaged, InputError, NotFound
from honewheel.export import index, rows
from honewheel.export.rows import Row
from honewheel.records import Progress

MAKER = index.Maker(version="tickets@1", files="f" * 64, base="tiny", base_hash="b" * 64)


class Letters:
    """A real, if simple, embedder: counts of letters, of length one; counts what it embeds."""

    def __init__(self, dimension: int = 26, limit: int = 8) -> None:
        self.dimension, self.limit, self.embedded = dimension, limit, 0

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([len(text.split()) for text in texts], dtype=np.int64)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += len(texts)
        found = np.full((len(texts), self.dimension), 1e-3, dtype=np.float32)
        for at, text in enumerate(texts):
            for letter in text.lower():
                found[at, ord(letter) % self.dimension] += 1
        return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "ROWS", 4)


def texts(count: int) -> list[Row]:
    return [Row(f"t{at}", f"text number {at} of the corpus") for at in range(count)]


def built(given: Sequence[Row], folder: Path, model: Any = None, **maker: str) -> index.Built:
    told: list[Progress] = []
    found = index.build(
        given, model or Letters(), replace(MAKER, **maker), folder, told.append, len(given)
    )
    assert told[-1].step == told[-1].total == len(given)
    return found


def test_an_index_holds_texts_vectors_and_who_made_them(tmp_path: Path) -> None:
    found = built(
        [*texts(9), Row("long", "one two three four five six seven eight nine")], tmp_path
    )
    assert (found.embedded, found.kept) == (10, 0)
    told = json.loads((tmp_path / "index.json").read_text())
    assert told | {"parts": None} == {
        "format": 1, "version": "tickets@1", "files": "f" * 64, "base": "tiny",
        "base_hash": "b" * 64, "dimension": 26, "limit": 8, "texts": 10, "cut": 1, "parts": None,
    }  # fmt: skip
    assert [part["rows"] for part in told["parts"]] == [4, 4, 2]
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / told["parts"][0]["file"])
    assert table["id"].to_pylist() == ["t0", "t1", "t2", "t3"]
    vector = np.array(table["vector"][1].as_py(), dtype=np.float32)
    assert vector == pytest.approx(Letters().embed(["text number 1 of the corpus"])[0])
    assert list(index.rows(tmp_path))[:9] == texts(9)


def test_neighbours_come_nearest_first_and_ties_in_the_order_of_the_index(tmp_path: Path) -> None:
    given = [Row("a", "zzzz"), Row("b", "card"), Row("c", "card lost"), *texts(9), Row("d", "drac")]
    built(given, tmp_path)
    (vector,) = Letters().embed(["card"])
    found = index.search(tmp_path, vector, 3)
    assert [one.id for one in found] == ["b", "d", "c"]
    assert found[0].score == pytest.approx(1.0)
    every = index.search(tmp_path, vector, 100)
    assert len(every) == len(given)
    assert [one.score for one in every] == sorted((one.score for one in every), reverse=True)


def test_a_build_that_was_stopped_goes_on_with_what_is_left(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stopped() -> Iterator[Row]:
        yield from texts(10)
        raise Stop

    first, second = Letters(), Letters()
    with pytest.raises(Stop):
        index.build(stopped(), first, MAKER, tmp_path, lambda _: None, 20)
    assert first.embedded == 8  # two parts are complete, the third never was
    with pytest.raises(NotFound, match="There is no index in"):
        index.read(tmp_path)
    found = built(texts(20), tmp_path, second)
    assert (second.embedded, found.embedded, found.kept) == (12, 12, 8)


def test_new_texts_cost_only_themselves_and_a_new_version_everything(tmp_path: Path) -> None:
    built(texts(8), tmp_path)
    more, anew = Letters(), Letters()
    assert built(texts(11), tmp_path, more).kept == 8
    assert more.embedded == 3
    before = (tmp_path / "index.json").read_bytes()
    found = index.build(
        index.rows(tmp_path),
        anew,
        replace(MAKER, version="tickets@2", files="e" * 64),
        tmp_path,
        lambda _: (tmp_path / "index.json").read_bytes() == before or pytest.fail("too early"),
        11,
    )
    assert (anew.embedded, found.index.version) == (11, "tickets@2")
    named = {part.file for part in found.index.parts}
    assert {path.name for path in tmp_path.glob("part-*")} == named


def test_vectors_of_another_length_are_refused_and_change_nothing(tmp_path: Path) -> None:
    built(texts(5), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match=r"length 26 by tickets@1, and tickets@2 makes 12"):
        built(texts(5), tmp_path, Letters(12), version="tickets@2")
    with pytest.raises(InputError, match="There is no text to embed"):
        built([], tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_part_that_is_not_what_was_written_is_named(tmp_path: Path) -> None:
    built(texts(5), tmp_path)
    path = next(tmp_path.glob("part-00001-*"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match=path.name):
        index.search(tmp_path, np.zeros(26, np.float32), 3)
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(Damaged, match=r"index\.json is no index"):
        index.read(tmp_path)


def test_texts_are_read_from_lines_and_from_json(tmp_path: Path) -> None:
    plain = tmp_path / "texts.txt"
    plain.write_text("card lost\n\n  pin forgotten \n")
    assert list(rows.read(plain)) == [Row("1", "card lost"), Row("3", "pin forgotten")]
    lines = tmp_path / "texts.jsonl"
    lines.write_text(
        '{"id": "INC7", "text": "card lost"}\n{"id": 8, "text": "pin"}\n{"text": "x"}\n'
    )
    assert list(rows.read(lines)) == [Row("INC7", "card lost"), Row("8", "pin"), Row("3", "x")]
    for bad, told in (
        ("no json", "line 1: not valid JSON"),
        ('{"text": " "}', 'with a "text" that is not empty'),
        ('{"text": "a", "id": 1.5}', '"id" is 1.5'),
        ("[1]", 'an object with a "text"'),
    ):
        lines.write_text(bad + "\n")
        with pytest.raises(InputError, match=told):
            list(rows.read(lines))
    with pytest.raises(InputError, match="cannot be read"):
        list(rows.read(tmp_path / "none.txt"))


@pytest.mark.slow
def test_memory_stays_flat_over_a_hundred_thousand_texts(tmp_path: Path) -> None:
    """Peak of a process that indexes 10,000 texts against one that indexes 100,000."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_export_index import grown\n"
        "from pathlib import Path\n"
        "print(grown(Path(sys.argv[2]), int(sys.argv[3])))"
    )
    peaks = []
    for count in (10_000, 100_000):
        words = [
            sys.executable,
            "-c",
            script,
            str(Path(__file__).parent),
            str(tmp_path / f"{count}"),
        ]
        done = subprocess.run([*words, str(count)], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 40_000_000


def grown(folder: Path, count: int) -> int:
    """Peak bytes of this process after indexing `count` texts and searching among them."""
    given = (Row(str(at), f"text number {at} of the corpus") for at in range(count))
    model = Letters(64)
    index.build(given, model, MAKER, folder, lambda _: None, count)
    assert index.search(folder, model.embed(["text"])[0], 5)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
