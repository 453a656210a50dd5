"""The sender: makes notices of what happened and has them taken, beside the work, never in it.

Any number may run on one store; each notice is tried by one at a time. What is not taken is tried
again after 10 s, 20 s, 40 s ... an hour, for a week. A receiver may see a notice twice (under the
same key) when a sender dies after it was taken; it never misses one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from honewheel.config import Config
from honewheel.errors import HonewheelError, StoreError
from honewheel.notify.notices import notices
from honewheel.notify.outlets import Outlet, outlets
from honewheel.store import Store
from honewheel.store.outbox import Notice

HOLD = timedelta(minutes=5)  # within which a sender has told, or is dead
FIRST = timedelta(seconds=10)
LONGEST = timedelta(hours=1)
KEEP_TRYING = timedelta(days=7)
# Whose clocks are off by less than this is not overlooked; what was made already stays as it is.
OVERLAP = timedelta(days=1)
LOOK_SECONDS = 5.0

Tell = Callable[[str, dict[str, Any]], None]
_log = logging.getLogger(__name__)


@dataclass
class Sender:
    """One sender; `tell` hears what was taken and what was not."""

    store: Store
    config: Config
    clock: Callable[[], datetime]
    tell: Tell
    _outlets: dict[str, Outlet] = field(init=False)

    def __post_init__(self) -> None:
        self._outlets = dict(outlets(self.store, self.config))

    @property
    def names(self) -> list[str]:
        return sorted(self._outlets)

    def look(self) -> int:
        """Make notices of what happened since the last look; how many are new."""
        made = 0
        for outlet in self._outlets.values():
            now = self.clock()
            since = self.store.outbox.since(outlet.name, now)
            found = notices(self.store, self.config.settings.project.name, since)
            wanted = [one for one in found if outlet.wants(one)]
            made += self.store.outbox.put(outlet.name, wanted, now, max(since, now - OVERLAP))
        return made

    def deliver(self, go_on: Callable[[int], bool] = lambda _: True) -> tuple[int, int]:
        """Have everything taken that is ready; (taken, not taken).

        `go_on` is asked before each, with how many were not taken so far.
        """
        taken = missed = 0
        while self.names and go_on(missed):
            one = self.store.outbox.claim(self.names, HOLD)
            if one is None:
                break
            if self._told(one):
                taken += 1
            else:
                missed += 1
        return taken, missed

    def _told(self, one: Notice) -> bool:
        outlet = self._outlets[one.outlet]
        about = {"outlet": one.outlet, "notice": one.key, "what": one.event}
        try:
            outlet.take(one, self.clock().timestamp())
        except StoreError:
            raise  # ours, not the receiver's
        except HonewheelError as error:
            self._missed(one, str(error), about)
            return False
        self.store.outbox.sent(one, self.clock())
        self.tell("notice sent", about)
        return True

    def _missed(self, one: Notice, why: str, about: dict[str, Any]) -> None:
        now = self.clock()
        pause = min(LONGEST, FIRST * 2 ** min(one.attempt - 1, 20))
        given_up = now - one.made_at > KEEP_TRYING
        self.store.outbox.failed(one, why, None if given_up else pause, now)
        word = "notice given up" if given_up else "notice not taken"
        self.tell(word, {**about, "attempt": one.attempt, "why": why})


@contextmanager
def sending(
    store: Store, config: Config, clock: Callable[[], datetime], tell: Tell
) -> Iterator[None]:
    """A sender in a thread of its own until the block ends; none where nobody is to be told."""
    sender = Sender(store, config, clock, tell)
    if not sender.names:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_run, args=(sender, over), name="honewheel-sender")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _run(sender: Sender, over: threading.Event) -> None:
    pause = min(LOOK_SECONDS, sender.config.settings.worker.poll_seconds)
    while True:
        last = over.is_set()  # what happened just before the end is told too, if that goes well
        try:
            sender.look()
            sender.deliver((lambda missed: not missed) if last else (lambda _: not over.is_set()))
        except HonewheelError as error:
            _log.warning("notices wait: %s", error)
        except Exception:  # a fault of ours must not leave the rest untold
            _log.exception("notices wait")
        if last:
            return
        over.wait(pause)
