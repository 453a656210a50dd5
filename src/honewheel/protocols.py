"""What a plug-in brings, in full. Built-ins register through the same entry points.

Groups: `honewheel.tasks` (kinds of artifact) and `honewheel.families` (kinds of model); each
entry point names a zero-argument callable that returns an object satisfying the protocol.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from honewheel.records import (
    Check,
    Dataset,
    Decoding,
    Estimate,
    Fact,
    Finding,
    Item,
    Json,
    Prediction,
    Progress,
    Spec,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Allowed values of one hyperparameter, its default, and what to do when outside.

    The one object behind validation, help and the search space. Numbers are inclusive; `choices`
    replaces `low`/`high` for words, and `words` are allowed beside numbers. `why` completes
    "outside it, ...". `search` is the part of the range that a search tries unless it is told what
    to try; none: it leaves this one alone.
    """

    default: Json
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    log: bool = False
    search: tuple[float, float] | None = None
    help: str = ""
    why: str = ""

    @property
    def allowed(self) -> str:
        """What a value may be, in words: "a, b", "true, false", "text", "1 .. 100"."""
        if self.choices:
            return ", ".join(self.choices)
        if isinstance(self.default, bool):
            return "true, false"
        if isinstance(self.default, str) and not self.words:
            return "text"
        return ", ".join([*self.words, f"{self.low:,.12g} .. {self.high:,.12g}"])

    def problem(self, value: Json) -> str | None:
        """None when `value` is allowed, else the reason with the numbers."""
        if self.choices:
            if value in self.choices:
                return None
            return f"{value!r} is none of {', '.join(self.choices)}"
        if isinstance(self.default, bool):
            return None if isinstance(value, bool) else f"{value!r} is not true or false"
        if isinstance(self.default, str) and not self.words:
            return None if isinstance(value, str) else f"{value!r} is not text"
        if value in self.words:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            also = f" nor {' nor '.join(self.words)}" if self.words else ""
            return f"{value!r} is not a number{also}"
        if isinstance(self.default, int) and not float(value).is_integer():
            return f"{value!r} is not a whole number"
        too_low = self.low is not None and value < self.low
        too_high = self.high is not None and value > self.high
        if too_low or too_high or value != value:
            return f"{value:g} is outside {self.low:g} .. {self.high:g}"
        return None


START = "start"  # the setting, and in a run's folder what it starts from
START_RANGE = Range(
    default="base",
    choices=("base", "champion"),
    help="weights that a training begins with; champion: it goes on from the version in use, and "
    "is shown what that has not learnt, with some replay",
)


@runtime_checkable
class Task(Protocol):
    """What an artifact of one kind is. Pure: same arguments, same answer.

    The context of something recorded holds its prompt too, under the key `@prompt` (see
    `honewheel.tasks.asked`), for kinds whose verdict depends on what was asked.
    """

    kind: str  # slug, "mermaid-erd"
    version: str  # changes whenever a verdict could change; part of every cache key

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """Validate one output. Never raises on bad output: it reports findings."""

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """What the artifact states, as written (house style counts). Raises ParseError."""

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash that renaming, order and layout leave unchanged. Raises ParseError."""

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """Metrics in [0, 1]: at least score (valid x fact F1), valid, exact, equivalent."""


@runtime_checkable
class Grouped(Protocol):
    """What a task may bring beside `Task`: which questions are one, where text cannot tell.

    Symmetric puzzles have nothing in common as texts and one answer but for the symmetry; two
    that differ in a digit look alike and have nothing in common. Pure, like the task.
    """

    def group_keys(self, prompt: str, context: Mapping[str, str]) -> tuple[str, ...]:
        """Responses that share a key are of one group, hence of one split; () leaves it to the
        text. A response that shares keys with groups of different splits is quarantined.
        """

    def lesson_key(self, prompt: str, context: Mapping[str, str], output: str) -> str:
        """Equal for two rows of a group that teach the same: one of them is enough."""


@runtime_checkable
class HasExactAnswers(Protocol):
    """What a task may bring beside `Task`: its prompts have a right answer that can be counted.

    Of such tasks the gate tells which items were gained and lost, and looks at each difficulty.
    """

    def band(self, prompt: str, context: Mapping[str, str]) -> str | None:
        """The difficulty of a prompt, one of a few words; None when it cannot be told."""


@runtime_checkable
class ChecksRequests(Protocol):
    """What a task may bring besides: what cannot be asked of it, told before it is recorded."""

    def refuse(self, prompt: str, context: Mapping[str, str]) -> str | None:
        """Why nothing can be learnt from this request, in words; None when it is fine."""


@runtime_checkable
class ScoresSets(Protocol):
    """What a task may bring beside `Task`: a score of a whole panel, where the mean of the items'
    scores says little. Of numbers that put things in order, only the order counts.

    `columns` are metrics of `compare` by name, each [n], an item a place.
    """

    set_metrics: tuple[str, ...]  # ("auc", "spearman"), each in [-1, 1], more is better

    def set_metric(self, columns: Mapping[str, Any]) -> str:
        """The one of `set_metrics` that fits what was expected."""

    def set_scores(self, metric: str, columns: Mapping[str, Any], weights: Any) -> Any:
        """[r] the metric under each row of weights [r, n]; nan where it is undefined."""

    def set_gap(self, metric: str, columns: Mapping[str, Any]) -> str | None:
        """Why the metric is undefined on these items, in words; None when it is not."""

    def set_notes(
        self, columns: Mapping[str, Any], tiers: Mapping[str, Mapping[str, float]]
    ) -> Sequence[str]:
        """What a reader of the numbers has to know, a clause each; `tiers` are the named floors
        that were asked for (tier -> metric -> least value).
        """


@runtime_checkable
class KnowsMachine(Protocol):
    """What a family may bring besides: what it can do on this machine, for `honewheel doctor`."""

    def machine(self) -> Sequence[Finding]:
        """One finding a fact (`code` names it); of severity error when training is impossible."""


@runtime_checkable
class NeedsPackages(Protocol):
    """What a family brings whose training takes packages that a light installation lacks."""

    def require(self) -> None:
        """Raise MissingExtra when one of them is not installed. Imports nothing heavy."""


@runtime_checkable
class Preloads(Protocol):
    """What a family brings whose runs may be forks of one process that has loaded its libraries.

    Loading them must compute nothing and start no thread of Python's: a fork has none of them.
    """

    def preload(self) -> str | None:
        """Load what `train` needs; why a fork of this process cannot train, None when it can."""


@runtime_checkable
class WarmStarts(Protocol):
    """What a family brings that can go on from a version: it lists `START_RANGE` as "start".

    `train` then finds a verified copy of the version's folder in `run_dir/start`, there exactly
    when `spec.start_files` names one.
    """

    def check_start(self, spec: Spec, start: Path) -> Sequence[Finding]:
        """Refusals, with the numbers, where `spec` cannot go on from the version in `start`."""


class Model(Protocol):
    """A loaded version. Use as a context manager; it stays loaded until the exit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def predict(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Prediction]:
        """One Prediction per item, in any order, as soon as each is ready."""


@runtime_checkable
class Streaming(Protocol):
    """What a model may bring beside `Model`: answers in pieces, for the gateway."""

    def stream(self, item: Item, decoding: Decoding) -> Generator[str, None, Prediction]:
        """The answer to one item as it comes; the pieces together are what `predict` gives.

        Returns what `predict` gives.
        """


@runtime_checkable
class SharesBase(Protocol):
    """What a family brings that answers for several versions of a base from one copy of it."""

    def open_beside(self, other: Any, version_dir: Path | None) -> Model | None:
        """A version that answers from the weights of `other`, an open version of the same base.

        None when it has weights of its own. Versions that share are asked one at a time, and each
        answers as it does alone; the memory is freed when the last of them is closed.
        """


@runtime_checkable
class Embedding(Protocol):
    """What a model may bring beside `Model`: texts as vectors, for an index and the gateway."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def limit(self) -> int:
        """Tokens of a text that are read; what is beyond decides nothing."""

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """[n] tokens of each text, before anything is cut."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[n, dimension] vectors of length one: their scalar product is the cosine."""


class ModelFamily(Protocol):
    """One kind of model: how it is checked, trained and opened."""

    name: str
    methods: tuple[str, ...]

    def ranges(self, method: str) -> Mapping[str, Range]:
        """Every hyperparameter of `method`. Raises ConfigError on an unknown method.

        Where one of them is called `objective`, the others may depend on it: it is then taken as
        a second argument, and left out it is the default.
        """

    def resolve(self, base: str) -> tuple[Path, str]:
        """Folder of a base and the hash of what decides its weights. Raises NotFound,
        UnsafeModel, MissingExtra.
        """

    def check(self, spec: Spec, dataset: Dataset) -> Sequence[Finding]:
        """Refusals (severity error) and warnings before anything heavy loads."""

    def estimate(self, spec: Spec, dataset: Dataset) -> Estimate:
        """Bytes by part and rough seconds."""

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        """Train into `run_dir/final`, resuming from what is complete in `run_dir`.

        Never prints, never touches the store. `run_dir/final` is a complete, manifested folder
        when the iterator ends. Raises TrainingFailed, NotEnoughMemory.
        """

    def open(self, base: str, version_dir: Path | None) -> Model:
        """A version ready to predict; `version_dir` None is the bare base."""
