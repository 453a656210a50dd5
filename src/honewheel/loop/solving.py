"""A version on a suite of problems with exact answers, alone or against another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from honewheel.config import Config
from honewheel.errors import InputError, ParseError
from honewheel.evaluate import exact, profile
from honewheel.evaluate.exact import Flips
from honewheel.evaluate.profile import Band
from honewheel.loop import proof, registry
from honewheel.records import Decoding, Progress
from honewheel.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """What a version solves of a suite; `flips` against another version, where one was named."""

    version: str
    suite: str
    bands: tuple[Band, ...]
    against: str | None = None
    flips: Flips | None = None


def solved(
    store: Store,
    config: Config,
    suite: str,
    version: str,
    against: str | None,
    now: datetime,
    listen: Callable[[Progress], None],
) -> Solved:
    """Let a version answer a frozen suite and count. Answers given before are not asked again.

    Raises:
        NotFound: no such suite or version.
        InputError: the suite holds no problems with an exact answer.
    """
    items = store.suites.get(suite)
    registry.ensure_champion(store, config, config.model(version.partition("@")[0] or None)[0], now)
    decoding = Decoding(max_new_tokens=config.settings.evaluate.max_new_tokens)
    ours = registry.find(store, config, version)
    rows = proof.score(store, config, ours, [items], decoding, listen)
    try:
        bands = profile.profile(items.items, rows)
    except ParseError as error:
        raise InputError(
            f"{suite} is no suite of problems with an exact answer: {error}"
        ) from error
    found = Solved(version=ours.name, suite=suite, bands=bands)
    if against is None:
        return found
    other = registry.find(store, config, against)
    theirs = proof.score(store, config, other, [items], decoding, listen)
    return Solved(
        version=ours.name,
        suite=suite,
        bands=bands,
        against=other.name,
        flips=exact.flips(rows, theirs),
    )
