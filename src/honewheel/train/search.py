"""Which hyperparameters to try next: an Optuna study over a family's `Range` objects.

What is tried, when a try is given up and what is remembered stands here; training and scoring
come in as a function. The study lies in an SQLite file, so a search that was killed goes on: what
was running is tried again first. optuna is imported here and nowhere else.

Sampling: tree-structured Parzen estimator over all settings at once (Bergstra et al. 2011,
"Algorithms for hyper-parameter optimization"; multivariate as in Falkner et al. 2018). Giving up:
Student's paired test on the scores of the same items in this try and the best one so far.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from honewheel.errors import (
    InputError,
    MissingExtra,
    NotEnoughMemory,
    TrainingFailed,
    TrainingStopped,
)
from honewheel.plugins import suggest
from honewheel.protocols import Range
from honewheel.records import Json

VERSION = 1
# A try is given up when it is worse than the best one at this one-sided level, on at least so many
# items. The level is low because it is asked again and again.
GIVE_UP_LEVEL, GIVE_UP_ITEMS = 0.01, 8
_AT_RANDOM = 5  # tries after which the sampler trusts what it has seen

_STATES: Mapping[str, Literal["done", "given up", "failed"]] = {
    "COMPLETE": "done",
    "PRUNED": "given up",
    "FAIL": "failed",
}

Settings = Mapping[str, Json]
Report = Callable[[int, float], bool]  # (item, its score) -> whether to give up
Score = Callable[[Settings, Report], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One try. `score` in [0, 1] is None where it was not scored on every item."""

    number: int
    settings: Settings
    state: Literal["done", "given up", "failed"]
    score: float | None
    seconds: float
    why: str = ""


def space(
    ranges: Mapping[str, Range], now: Settings, only: Sequence[str] = ()
) -> dict[str, tuple[Json, ...]]:
    """What to draw each searched setting from: (low, high), or the words it may be.

    Without `only`, the settings for which the family names the part worth searching. The present
    value is always inside.

    Raises:
        InputError: a name in `only` that is no setting, or one that has no bounds.
    """
    names = list(only) or [name for name, rule in ranges.items() if rule.search]
    return {name: _bounds(name, ranges, now) for name in dict.fromkeys(names)}


def _bounds(name: str, ranges: Mapping[str, Range], now: Settings) -> tuple[Json, ...]:
    if name not in ranges:
        raise InputError(f"No hyperparameter {name!r}. {suggest(name, list(ranges))}")
    rule = ranges[name]
    if rule.choices:
        return rule.choices
    if isinstance(rule.default, bool):
        return (False, True)
    low, high = rule.search or (rule.low, rule.high)
    if (isinstance(rule.default, str) and not rule.words) or low is None or high is None:
        raise InputError(f"{name} has no bounds to search in. Choose another with --only.")
    value = now[name]
    if value in rule.words:
        return low, high
    assert isinstance(value, int | float)  # the settings passed their Range
    return min(low, value), max(high, value)


class Search:
    """A study: what was tried on one objective, and what to try next."""

    def __init__(
        self,
        file: Path | None,
        name: str,
        ranges: Mapping[str, Range],
        space: Mapping[str, Sequence[Json]],
        first: Settings,
        *,
        seed: int,
    ) -> None:
        """Open the study `name` in `file` (None: in memory), or begin it with `first`.

        Raises MissingExtra without optuna, InputError when there is nothing to search.
        """
        if find_spec("optuna") is None:
            raise MissingExtra("Searching hyperparameters", "optuna", "search")
        if not space:
            raise InputError("There is nothing to search: name hyperparameters with --only.")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        with _calm():
            self.study = optuna.create_study(
                storage=None if file is None else f"sqlite:///{file}",
                study_name=name,
                direction="maximize",
                load_if_exists=True,
            )
            self.study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=_AT_RANDOM,
                multivariate=True,
                # Another seed each time it is opened, or a resumed search draws the same again.
                seed=seed + len(self.study.get_trials(deepcopy=False)),
            )
        self.ranges = ranges
        self.drawn = {key: _distribution(ranges[key], found) for key, found in space.items()}
        self._take_up(first)

    def trials(self) -> tuple[Trial, ...]:
        """What was tried to an end, in order; what was killed and taken up again is left out."""
        found = [self._trial(one) for one in self.study.trials if one.state.is_finished()]
        return tuple(one for one in found if one.state != "failed" or one.why)

    def best(self) -> Trial | None:
        """The try with the highest score on all items."""
        done = [one for one in self.trials() if one.score is not None and one.state == "done"]
        return max(done, key=lambda one: (one.score, -one.number), default=None)

    def step(self, score: Score) -> Trial:
        """One more try. A training that diverges or does not fit fails this try, not the search.

        Raises what `score` raises besides; the try is then taken up again next time.
        """
        import optuna

        states = optuna.trial.TrialState
        with _calm():
            asked = self.study.ask(self.drawn)
            settings = {key: self._as_set(key, value) for key, value in asked.params.items()}
            bar, seen = self._best_items(), dict[int, float]()

            def report(item: int, value: float) -> bool:
                seen[item] = value
                return clearly_worse([seen[key] - bar[key] for key in seen if key in bar])

            try:
                told = score(settings, report)
            except GivenUp:
                self.study.tell(asked, state=states.PRUNED)
            except TrainingStopped:
                raise
            except (TrainingFailed, NotEnoughMemory) as error:
                asked.set_user_attr("why", str(error).split("\n")[0])
                self.study.tell(asked, state=states.FAIL)
            else:
                asked.set_user_attr("items", sorted(seen.items()))
                self.study.tell(asked, told)
        return self._trial(self.study.trials[asked.number])

    def _best_items(self) -> dict[int, float]:
        """Score of each item in the best try so far; empty before there is one."""
        best = self.best()
        if best is None:
            return {}
        return dict(self.study.trials[best.number].user_attrs["items"])

    def _trial(self, one: Any) -> Trial:
        took = one.duration
        return Trial(
            number=one.number,
            settings={key: self._as_set(key, value) for key, value in one.params.items()},
            state=_STATES[one.state.name],
            score=one.value if one.state.name == "COMPLETE" else None,
            seconds=took.total_seconds() if took else 0.0,
            why=str(one.user_attrs.get("why", "")),
        )

    def _as_set(self, key: str, value: Any) -> Json:
        """A drawn value as honewheel.toml would hold it: whole numbers whole, rates short."""
        rule = self.ranges[key]
        if isinstance(value, float) and not isinstance(rule.default, int):
            short = float(f"{value:.3g}")
            return short if rule.problem(short) is None else value
        found: Json = value
        return found

    def _take_up(self, first: Settings) -> None:
        """Try again what was running when a search was killed; begin a new one with `first`."""
        import optuna

        states = optuna.trial.TrialState
        if not self.study.trials:
            set_to = {key: first[key] for key in self.drawn}
            # A word is no point of the space: the sampler chooses that number.
            words = {key for key, value in set_to.items() if value in self.ranges[key].words}
            self.study.enqueue_trial({key: set_to[key] for key in set_to.keys() - words})
        for one in self.study.get_trials(states=(states.RUNNING,)):
            self.study.enqueue_trial(one.params)
            self.study.tell(one.number, state=states.FAIL)


class GivenUp(Exception):
    """Raised by a score function once `report` has said so."""


def clearly_worse(differences: Sequence[float]) -> bool:
    """Whether paired differences (this try minus the best) show that a try is worse."""
    count = len(differences)
    if count < GIVE_UP_ITEMS:
        return False
    error = stdev(differences) / math.sqrt(count)
    return fmean(differences) < -_quantile(count - 1) * error


@cache
def _quantile(freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(1 - GIVE_UP_LEVEL, freedom))


def _distribution(rule: Range, found: Sequence[Json]) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if rule.choices or isinstance(rule.default, bool):
        return CategoricalDistribution(tuple(found))  # type: ignore[arg-type]
    low, high = found
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if isinstance(rule.default, int):
        return IntDistribution(int(low), int(high), log=rule.log and low > 0)
    return FloatDistribution(float(low), float(high), log=rule.log and low > 0)


@contextmanager
def _calm() -> Iterator[None]:
    """Without optuna's notes that a feature of it may change."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental.*")
        yield


def described(settings: Settings) -> str:
    """`learning_rate=0.002, rank=16`."""
    return ", ".join(f"{key}={json.dumps(value)}" for key, value in sorted(settings.items()))
