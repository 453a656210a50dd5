"""Every error honewheel raises on purpose.

    HonewheelError
    |- InputError            a record, row or file that cannot be accepted
    |  |- ParseError         an artifact that cannot be read as its kind
    |  |- AlreadyRecorded    an id stands in the log with other content
    |  `- Erased             an event was forgotten, and nothing is said of it any more
    |- ConfigError           honewheel.toml, environment or flags do not make sense
    |- MissingExtra          a feature needs a package that is not installed
    |- NotFound              no such event, version, suite, cycle
    |- NotEnoughData         too little to build, train or measure
    |  `- NothingNew         a cycle was asked for and there is nothing to do
    |- NotEnoughMemory       a run would not fit, or did not
    |- UnsafeModel           pickle weights, remote code, a config key that runs code
    |- Damaged               bytes do not match their recorded sha256
    |- Leak                  held-out material would reach training
    |- TrainingFailed        diverged, or the training process died
    |  `- TrainingStopped    it was killed from outside: run again, it goes on
    |- Stopped               work was asked to stop: run again, it goes on
    |- Cancelled             work was called off for good
    |- Unreachable           a server did not answer, or asked to come back later
    `- StoreError            the store cannot be used
       |- Fenced             a worker's job was given to another: its writes are refused
       |- StoreBusy          another cycle, or another writer, holds it
       |  `- Moved           an alias was moved meanwhile: look again and decide anew
       `- StoreFull          no space left on the device

A message says what happened, with the numbers, and the next step. Refusing a promotion is a
result (`Decision`), not an error.
"""

from __future__ import annotations


class HonewheelError(Exception):
    """Base of all; `str(error)` is what a person reads."""


class InputError(HonewheelError):
    """A record, row or file that cannot be accepted."""


class ParseError(InputError):
    """An artifact that cannot be read as its kind."""


class AlreadyRecorded(InputError):
    """An id stands in the log with other content, and records never change."""


class Erased(InputError):
    """An event was forgotten: neither it nor anything said of it is recorded again."""

    def __init__(self, event: str) -> None:
        super().__init__(f"{event} was forgotten (honewheel forget), and is not recorded again.")


class ConfigError(HonewheelError):
    """honewheel.toml, environment or flags do not make sense."""


class MissingExtra(HonewheelError):
    """A feature needs a package that is not installed."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs {package}. Install it with: pip install 'honewheel[{extra}]'"
        )


class NotFound(HonewheelError):
    """No such event, version, suite or cycle."""


class NotEnoughData(HonewheelError):
    """Too little to build, train or measure."""


class NothingNew(NotEnoughData):
    """A cycle was asked for and there is nothing to do; no failure."""


class NotEnoughMemory(HonewheelError):
    """A run would not fit, or did not."""


class UnsafeModel(HonewheelError):
    """Pickle weights, remote code, or a config key that runs code."""


class Damaged(HonewheelError):
    """Bytes do not match their recorded sha256."""


class Leak(HonewheelError):
    """Held-out material would reach training."""


class TrainingFailed(HonewheelError):
    """Training diverged, or its process died."""


class TrainingStopped(TrainingFailed):
    """The training process was killed from outside: run again, it goes on."""


class Stopped(HonewheelError):
    """Work was asked to stop; run again, it goes on where it was."""


class Cancelled(HonewheelError):
    """Work was called off for good."""


class Unreachable(HonewheelError):
    """A server did not answer, or asked to come back later."""


class StoreError(HonewheelError):
    """The store cannot be used."""


class Fenced(StoreError):
    """A worker's job was given to another meanwhile: nothing it writes is taken."""


class StoreBusy(StoreError):
    """Another cycle, or another writer, holds it."""


class Moved(StoreBusy):
    """An alias was moved by somebody else meanwhile: look again and decide anew."""


class StoreFull(StoreError):
    """No space left on the device."""
