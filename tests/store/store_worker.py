"""A process of its own that uses a store: `python store_worker.py VERB URL FILES ARGUMENT...`.

It says one line on stdout after each thing that the store has acknowledged.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from pathlib import Path

from store_records import AT, feedback, response

from honewheel.errors import StoreBusy, StoreFull
from honewheel.records import AliasMove
from honewheel.store import Store, open_store


def append(store: Store, prefix: str, batches: str) -> None:
    """Append batches of three records; "0" means without end."""
    numbers = range(int(batches)) if int(batches) else itertools.count()
    for number in numbers:
        name = f"{prefix}{number}"
        items = [response(name), response(f"{name}b")]
        store.log.append(items, [feedback(name, of=name)])
        say(name)


def race(store: Store, version: str, wins: str) -> None:
    """Move the alias `wins` times, reading it again whenever somebody else was quicker."""
    say("ready")
    sys.stdin.readline()
    won = 0
    while won < int(wins):
        now = store.versions.alias("artifacts")
        revision = now.revision if now else 0
        move = AliasMove(
            model="artifacts",
            alias="champion",
            revision=revision + 1,
            version=int(version),
            previous=now.version if now else None,
            reason=f"worker {version}",
            at=AT,
        )
        try:
            store.versions.move_alias(move, revision, None)
        except StoreBusy:
            continue
        won += 1
        say(str(move.revision))


def hold(store: Store, name: str) -> None:
    """Hold a name until killed."""
    with store.exclusive(name):
        say("held")
        sys.stdin.readline()


def fill(store: Store, ballast: str) -> None:
    """Append until the disk is full, make room, and go on."""
    Path(ballast).write_bytes(b"x" * 2**19)
    acknowledged: list[str] = []

    def append_next() -> None:
        name = str(len(acknowledged))
        store.log.append([response(name, output="x" * 20_000)], [feedback(name, of=name)])
        acknowledged.append(f"evt_{name}")

    def stored() -> list[str]:
        return [event.id for event in store.log.events(None, 10**9)]

    while True:
        try:
            append_next()
        except StoreFull as error:
            say(str(error))
            break
    assert stored() == acknowledged
    assert store.log.counts()["events"] == len(acknowledged)
    folder = Path(ballast).with_name("adapter")
    folder.mkdir()
    os.link(ballast, folder / "weights.bin")
    try:
        store.files.put(folder)
    except StoreFull:
        assert list(store.files.root.iterdir()) == []
        say("files full")
    shutil.rmtree(folder)
    Path(ballast).unlink()
    for _ in range(5):
        append_next()
    assert stored() == acknowledged
    say(f"went on to {len(acknowledged)}")


def opened(store: Store) -> None:
    """Only open the store."""
    say(str(store.log.last_seq()))


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    verb, url, files, *arguments = sys.argv[1:]
    with open_store(url, Path(files)) as store:
        {"append": append, "race": race, "hold": hold, "opened": opened, "fill": fill}[verb](
            store, *arguments
        )
