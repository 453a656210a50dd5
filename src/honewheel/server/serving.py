"""Versions served in this process: loaded at first use, kept while they are used.

A model answers one request at a time; the others wait for it. Versions that only add to a base
share one copy of it, where their family can, and then one turn. Who is champion and who on trial is
remembered, so that the gateway goes on answering while the store cannot be read.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from honewheel import plugins
from honewheel.errors import StoreError
from honewheel.loop import registry, watch
from honewheel.loop.watch import Routing
from honewheel.protocols import Embedding, Model, SharesBase, Streaming
from honewheel.records import Decoding, Item, Prediction, Version
from honewheel.store.deployments import Deployment
from honewheel.wheel import Wheel

ROUTE_SECONDS = 1.0  # how long it is not asked again who is champion, and who on trial


@dataclass(frozen=True, slots=True)
class _Route:
    """What the store said of a model: its champion, and the deployment that is open."""

    read_at: float
    champion: int
    trial: Deployment | None


@dataclass(slots=True)
class _Loaded:
    """A version in memory. Versions that share a base share their `turn` too."""

    model: Model
    base: tuple[str, str]  # family, and hash of the base
    turn: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


class Serving:
    """The versions this server has in memory. Its methods block: call them in threads."""

    def __init__(self, wheel: Wheel, most: int) -> None:
        """At most `most` versions stay loaded beside those that answer just now."""
        self._wheel = wheel
        self._most = most
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._guard = threading.Lock()
        self._loading = threading.Lock()
        self._routes: dict[str, _Route] = {}
        self._versions: dict[tuple[str, int], Version] = {}

    def route(self, model: str, key: str) -> Routing:
        """Who answers a request with this key: the champion, or a version on trial.

        What the store says is at most ROUTE_SECONDS old, unless the store is down: then what it
        said last still holds. Raises ConfigError (no such model), StoreError (down, and never
        asked before).
        """
        known = self._routes.get(model)
        if known is None or time.monotonic() - known.read_at >= ROUTE_SECONDS:
            try:
                known = self._read(model)
                self._routes[model] = known
            except StoreError:
                if known is None:
                    raise
        return watch.split(model, known.champion, known.trial, key)

    def version(self, model: str, number: int) -> Version:
        """A version by its number; one that was asked before is known without the store."""
        known = self._versions.get((model, number))
        if known is None:
            known = self._wheel.store.versions.get(model, number)
            self._versions[model, number] = known
        return known

    def _read(self, model: str) -> _Route:
        wheel, read_at = self._wheel, time.monotonic()
        move = registry.ensure_champion(wheel.store, wheel.config, model, wheel.clock())
        return _Route(read_at, move.version, wheel.store.deployments.current(model))

    def answer(self, version: Version, item: Item, decoding: Decoding) -> Prediction:
        """One version's answer. Raises NotFound, Damaged, MissingExtra."""
        with self._use(version) as model:
            return next(iter(model.predict([item], decoding)))

    def stream(
        self, version: Version, item: Item, decoding: Decoding
    ) -> Generator[str, None, Prediction]:
        """The answer in pieces as they come; from a family without a stream, all at once.

        Returns the whole of it.
        """
        with self._use(version) as model:
            if isinstance(model, Streaming):
                return (yield from model.stream(item, decoding))
            found = next(iter(model.predict([item], decoding)))
            yield found.output
            return found

    def embed(self, version: Version, texts: Sequence[str]) -> tuple[Any, int] | None:
        """[n, d] vectors of `texts` and the tokens that were read; None: it makes no vectors.

        Raises NotFound, Damaged, MissingExtra.
        """
        with self._use(version) as model:
            if not isinstance(model, Embedding):
                return None
            read = model.count(texts).clip(max=model.limit)
            return model.embed(texts), int(read.sum())

    def close(self) -> None:
        """Give back every model."""
        with self._guard:
            for loaded in self._loaded.values():
                loaded.model.__exit__(None, None, None)
            self._loaded.clear()

    @contextmanager
    def _use(self, version: Version) -> Iterator[Model]:
        loaded = self._held(version)
        try:
            with loaded.turn:
                yield loaded.model
        finally:
            with self._guard:
                loaded.users -= 1
                self._give_back()

    def _held(self, version: Version) -> _Loaded:
        with self._loading:  # one at a time: two would double the memory for nothing
            with self._guard:
                if (known := self._loaded.get(version.name)) is not None:
                    self._loaded.move_to_end(version.name)
                    known.users += 1
                    return known
            fresh = self._open(version)
            with self._guard:
                self._loaded[version.name] = fresh
                self._give_back()
            return fresh

    def _open(self, version: Version) -> _Loaded:
        """Load a version: beside another of the same base, where the family can, else by itself."""
        wheel = self._wheel
        folder = wheel.store.files.verify(version.files) if version.files else None
        name = wheel.config.model(version.model)[1].family
        family, base = plugins.family(name), (name, version.base_hash)
        if isinstance(family, SharesBase):
            with self._of(base) as others:
                for other in others:
                    model = family.open_beside(other.model, folder)
                    if model is not None:
                        return _Loaded(model.__enter__(), base, other.turn, users=1)
        return _Loaded(family.open(version.base, folder).__enter__(), base, users=1)

    @contextmanager
    def _of(self, base: tuple[str, str]) -> Iterator[list[_Loaded]]:
        """The versions of a base that are in memory, and stay there until the block ends."""
        with self._guard:
            found = [one for one in self._loaded.values() if one.base == base]
            for one in found:
                one.users += 1
        try:
            yield found
        finally:
            with self._guard:
                for one in found:
                    one.users -= 1
                self._give_back()

    def _give_back(self) -> None:
        """Close what was unused longest while there are too many."""
        idle = [name for name, one in self._loaded.items() if one.users == 0]
        while len(self._loaded) > self._most and idle:
            self._loaded.pop(idle.pop(0)).model.__exit__(None, None, None)
