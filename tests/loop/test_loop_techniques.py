"""Every switch of [curate] does something, and one cycle turns with all of them on.

Each case writes honewheel.toml with a technique on and with it off, builds both datasets of one
log, and compares them: a switch that nobody reads makes no difference and fails here.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import busy_team
import wheels
from honewheel import config, plugins
from honewheel.cli.app import DONE, call
from honewheel.curate.build import Built
from honewheel.errors import NotEnoughData
from honewheel.loop import material, techniques
from honewheel.loop.synthesize import Order
from honewheel.records import Event, Example, Progress
from honewheel.settings import Curate
from honewheel.train import inputs

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
PLUGIN = Path(__file__).parents[1] / "plugin"
MADE_UP = 20


def listen(_: Progress) -> None:
    """Listens to nothing."""


@dataclass
class Team:
    """The busy team's log, taken in once, and the datasets that settings make of it."""

    folder: Path
    wheel: Any
    settings: Path
    built: dict[str, Built] = field(default_factory=dict)

    def __post_init__(self) -> None:
        last = self.wheel.store.log.last_seq()
        self.material = material.gather(
            self.wheel.store, self.wheel.config, "artifacts", None, last, AS_OF, listen
        )
        self.events: dict[str, Event] = {event.id: event for event in self.material.events}

    def make(self, curate: str) -> Built:
        """The dataset under these lines of [curate], as honewheel.toml has them."""
        if curate not in self.built:
            file = wheels.project(self.settings, curate=curate) / config.FILE
            if "min_examples" in curate:
                file.write_text(file.read_text().replace("min_examples = 5\n", "", 1))
            found = config.load(file, environment={})
            self.built[curate] = material.make(self.material, found, AS_OF)
        return self.built[curate]

    def event(self, row: Example) -> Event:
        return self.events[row.events[0]]

    def writer(self, row: Example) -> str:
        """Who wrote the target of a corrected row."""
        correction = self.event(row).correction
        assert correction is not None
        return correction.source


@pytest.fixture(scope="module", autouse=True)
def memo_for_the_module() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PLUGIN))
        plugins._load.cache_clear()
        yield
    plugins._load.cache_clear()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = wheels.project(tmp_path_factory.mktemp("team"))
    with wheels.open_wheel(folder) as wheel:
        imported = wheel.import_file(
            wheels.write_jsonl(folder / "feedback.jsonl", busy_team.feedback())
        )
        assert imported.refused == 0
        wheel.synthesize(Order(task="erd", origin="templates", count=MADE_UP))
        for task, rows in wheels.suites(4).items():
            wheel.suite_import(wheels.write_jsonl(folder / f"{task}.jsonl", rows), task=task)
        yield Team(folder, wheel, tmp_path_factory.mktemp("settings"))


# --- what each switch must change ---------------------------------------------------------------


def new(built: Built, task: str | None = None) -> list[Example]:
    """New rows that somebody wrote: neither copies nor replayed."""
    rows = [row for row in built.dataset.train if row.role == "new" and not row.variant]
    return [row for row in rows if task in (None, row.task)]


def picked(built: Built) -> set[tuple[str, ...]]:
    return {row.events for row in new(built)}


def replayed(built: Built) -> set[tuple[str, ...]]:
    rows = built.dataset.train
    return {row.events for row in rows if row.role == "replay" and not row.variant}


def reasons(built: Built) -> Counter[str]:
    return Counter(item.reason for item in built.dataset.dropped)


def ageing(team: Team, built: Built) -> float:
    """How many times as much as the oldest corrected diagram of people the newest weighs."""
    rows = [row for row in new(built, "erd") if not row.simulated]
    rows.sort(key=lambda row: team.event(row).response.created_at)
    return rows[-1].weight / rows[0].weight


def share(rows: list[Example], of: Callable[[Example], bool]) -> float:
    """Mean weight of the rows that are so, over that of those that are not."""
    return fmean(row.weight for row in rows if of(row)) / fmean(
        row.weight for row in rows if not of(row)
    )


def mass(built: Built) -> float:
    """Weight of diagrams over that of tables."""
    sums: Counter[str] = Counter()
    for row in built.dataset.train:
        sums[row.task] += row.weight  # type: ignore[assignment]
    return sums["erd"] / sums["ddl"]


def values(built: Built) -> dict[tuple[str, ...], float]:
    return {row.events: row.value for row in built.dataset.train}


def waits(built: Built) -> set[float]:
    return {row.since for row in built.dataset.train}


def made_up(built: Built) -> float:
    """Share of the new rows that nobody gave."""
    return fmean(row.simulated for row in new(built))


def half_decays(team: Team, on: Built, off: Built) -> bool:
    return ageing(team, on) > 2 * ageing(team, off)


def refits(team: Team, on: Built, off: Built) -> bool:
    mine, theirs = values(on), values(off)
    both = mine.keys() & theirs.keys()
    return len(both) > 50 and sum(mine[row] != theirs[row] for row in both) > 20


def weighs_up_what_is_seldom_judged(team: Team, on: Built, off: Built) -> bool:
    def long(row: Example) -> bool:
        return row.target.count("CREATE TABLE") > 2

    mine, theirs = ([row for row in side.dataset.train if row.task == "ddl"] for side in (on, off))
    return share(mine, long) > 1.2 * share(theirs, long)


def evens_tasks(team: Team, on: Built, off: Built) -> bool:
    return mass(on) == pytest.approx(mass(off) ** 0.5, rel=1e-3) and mass(off) > 1.2


def weighs_up_what_succeeds_sometimes(team: Team, on: Built, off: Built) -> bool:
    def even(row: Example) -> bool:
        return row.difficulty == 0.5

    mine, theirs = (new(side, "erd") for side in (on, off))
    return share(mine, even) > 1.05 * share(theirs, even)


def takes_others(team: Team, on: Built, off: Built) -> bool:
    return len(picked(on)) == len(picked(off)) and picked(on) != picked(off)


def replays_others(team: Team, on: Built, off: Built) -> bool:
    return len(replayed(on)) == len(replayed(off)) and replayed(on) != replayed(off)


def replays(team: Team, on: Built, off: Built) -> bool:
    known, fresh = len(replayed(on)), len(picked(on))
    return known / (known + fresh) == pytest.approx(0.25, abs=0.01) and not replayed(off)


def waits_by_rank(team: Team, on: Built, off: Built) -> bool:
    return len(waits(on)) > 20 and max(waits(on)) == 0.4 and waits(off) == {0.0}


def copies_rows(team: Team, on: Built, off: Built) -> bool:
    copied = Counter(row.task for row in on.dataset.train if row.variant)
    plain = {row.events for row in on.dataset.train if not row.variant}
    known = [row.events for row in off.dataset.train]
    return min(copied["erd"], copied["ddl"]) > 5 and plain == {*known} and len(known) == len(plain)


def pairs_and_rates(team: Team, on: Built, off: Built) -> bool:
    origins = {pair.origin for pair in on.dataset.pairs}
    labels = {row.desirable for row in on.dataset.rated}
    found = origins == {"correction", "comparison"} and labels == {True, False}
    return found and not off.dataset.pairs and not off.dataset.rated


def mutates(team: Team, on: Built, off: Built) -> bool:
    return {pair.origin for pair in on.dataset.pairs} == {"mutation"} and not off.dataset.pairs


def makes_up(team: Team, on: Built, off: Built) -> bool:
    return 0 < made_up(on) <= 0.1 and made_up(off) == 0


def asks_more(team: Team, on: Built, off: Built) -> bool:
    return min(values(on).values()) > 0.9 > min(values(off).values())


def cuts(team: Team, on: Built, off: Built) -> bool:
    return len(picked(on)) == 30 < len(picked(off)) and reasons(on)["not selected"] > 0


def caps_sources(team: Team, on: Built, off: Built) -> bool:
    def most(built: Built) -> float:
        count = Counter(map(team.writer, new(built)))
        return count.most_common(1)[0][1] / count.total()

    return most(on) <= 0.4 < most(off)


def caps_days(team: Team, on: Built, off: Built) -> bool:
    def theirs(built: Built) -> int:
        return sum(team.writer(row) == "eve" for row in new(built))

    return theirs(on) == 4 < theirs(off)


def trusts_less(team: Team, on: Built, off: Built) -> bool:
    def bens(row: Example) -> bool:
        return team.writer(row) == "ben"

    mine, theirs = (new(side, "ddl") for side in (on, off))
    return share(mine, bens) < 0.9 * share(theirs, bens)


def hears_nothing(team: Team, on: Built, off: Built) -> bool:
    def heard(built: Built) -> bool:
        return any(team.writer(row) == "eve" for row in new(built))

    return heard(off) and not heard(on)


def holds_planted(team: Team, on: Built, off: Built) -> bool:
    held = [row.event for row in on.dataset.dropped if row.reason == "held (poison scan)"]
    return len(held) > 9 and hears_nothing(team, on, off)


def holds_unfinished(team: Team, on: Built, off: Built) -> bool:
    def todo(built: Built) -> bool:
        return any("TODO" in row.target for row in new(built))

    return reasons(on)["held (generic scan)"] > 1 and todo(off) and not todo(on)


def tells(scan: str) -> Callable[[Team, Built, Built], bool]:
    """A flag is told of and changes no row."""

    def differs(team: Team, on: Built, off: Built) -> bool:
        told = any(note.startswith(scan) for note in on.notes)
        silent = not any(note.startswith(scan) for note in off.notes)
        return told and silent and on.dataset == off.dataset

    return differs


def shuffles(team: Team, on: Built, off: Built) -> bool:
    return [row.id for row in on.dataset.train] != [row.id for row in off.dataset.train]


@dataclass(frozen=True)
class Case:
    on: str
    off: str
    differs: Callable[[Team, Built, Built], bool]
    beside: str = ""  # lines of [curate] that both sides have


CASES = {
    "half_life_days": Case("half_life_days = 20", "half_life_days = 36500", half_decays),
    "half_life_days auto": Case('half_life_days = "auto"', "half_life_days = 180", half_decays),
    "calibrate": Case("calibrate = true", "calibrate = false", refits),
    "propensity": Case("propensity = true", "propensity = false", weighs_up_what_is_seldom_judged),
    "task_balance": Case(
        "task_balance = 0.5", "task_balance = 1.0", evens_tasks, "replay_share = 0.0"
    ),
    "learnability": Case(
        "learnability = true", "learnability = false", weighs_up_what_succeeds_sometimes
    ),
    "selection": Case(
        'selection = "coverage"', 'selection = "random"', takes_others, "max_examples = 30"
    ),
    "replay": Case('replay = "coverage"', 'replay = "reservoir"', replays_others),
    "replay_share": Case("replay_share = 0.25", "replay_share = 0.0", replays),
    "curriculum": Case('curriculum = "competence"', 'curriculum = "off"', waits_by_rank),
    "augment": Case("augment = 1", "augment = 0", copies_rows),
    "preferences": Case("preferences = true", "preferences = false", pairs_and_rates),
    "hard_negatives": Case("hard_negatives = 0.2", "hard_negatives = 0.0", mutates),
    "synthetic_share": Case("synthetic_share = 0.1", "synthetic_share = 0.0", makes_up),
    "min_value": Case("min_value = 0.92", "min_value = 0.5", asks_more),
    "max_examples": Case("max_examples = 30", "", cuts),
    "source_cap": Case("source_cap = 0.4", "", caps_sources, "synthetic_share = 0.0"),
    "source_day_cap": Case("source_day_cap = 4", "", caps_days),
    "trust": Case("trust = { ben = 0.5 }", "", trusts_less),
    "exclude_sources": Case('exclude_sources = ["eve"]', "", hears_nothing),
    "poison": Case('poison = "hold"', 'poison = "off"', holds_planted),
    "poison flag": Case('poison = "flag"', 'poison = "off"', tells("source phrase")),
    "generic": Case('generic = "hold"', 'generic = "off"', holds_unfinished),
    "generic flag": Case('generic = "flag"', 'generic = "off"', tells("placeholder")),
    "seed": Case("seed = 1", "seed = 0", shuffles),
}
ELSEWHERE = {"min_examples"}  # makes a dataset or none: see the last test


@pytest.mark.parametrize("name", CASES)
def test_a_switch_makes_the_difference_that_it_promises(team: Team, name: str) -> None:
    case = CASES[name]
    on, off = (team.make(f"{side}\n{case.beside}") for side in (case.on, case.off))
    assert case.differs(team, on, off)
    assert not case.differs(team, off, off)  # or it would say so of anything
    assert not case.differs(team, on, on)


def test_no_setting_and_no_technique_is_forgotten_here() -> None:
    known = {name.split()[0] for name in CASES}
    assert known | ELSEWHERE == set(Curate.model_fields)
    assert {one.key for one in techniques.TECHNIQUES.values()} <= known


# --- a cycle with everything on -----------------------------------------------------------------

EVERYTHING = """
half_life_days = "auto"
calibrate = true
propensity = true
task_balance = 0.5
learnability = true
selection = "coverage"
max_examples = 60
replay = "coverage"
curriculum = "{curriculum}"
augment = 1
preferences = true
hard_negatives = 0.2
source_cap = 0.7
source_day_cap = 8
synthetic_share = 0.1
trust = {{ eve = 0.8 }}
poison = "hold"
generic = "hold"
"""


def everything(team: Team, folder: Path, curriculum: str) -> Path:
    """A copy of the team's project in which every technique is on."""
    shutil.copytree(team.folder, folder)
    return wheels.project(folder, curate=EVERYTHING.format(curriculum=curriculum))


def sealed(wheel: Any) -> Any:
    """The newest dataset, and that the child was handed every row of it as it was sealed."""
    cycle = wheel.cycles()[0]
    dataset = wheel.store.datasets.load(wheel.store.cycles.step(cycle.id, "build")[1]["dataset"])
    handed = inputs.read(wheel.config.state / "runs" / cycle.id).dataset
    assert (handed.hash, handed.train, handed.val) == (dataset.hash, dataset.train, dataset.val)
    return dataset


def holds_everything(dataset: Any) -> None:
    train = dataset.train
    plain = [row for row in train if not row.variant]
    assert Counter(row.variant for row in train)["renamed"] > 0.5 * len(plain)
    assert sum(row.role == "new" for row in plain) == 60
    assert sum(row.role == "replay" for row in plain) == 26
    assert len({row.difficulty for row in train}) > 1
    assert len({row.since for row in train}) > 1
    assert {pair.origin for pair in dataset.pairs} == {"correction", "comparison", "mutation"}
    assert {row.desirable for row in dataset.rated} == {True, False}
    assert fmean(row.weight for row in train) == pytest.approx(1, abs=1e-4)


def puts_the_unlearnt_first(wheel: Any, dataset: Any) -> None:
    """A version that learnt this dataset would next be shown what was not selected for it."""
    now, last = wheel.clock(), wheel.store.log.last_seq()
    version = wheel.versions()[-1]
    found = material.gather(wheel.store, wheel.config, "artifacts", version, last, now, listen)
    assert found.learnt >= {row.events[0] for row in dataset.train}
    dropped = wheel.store.datasets.dropped(dataset.hash)
    left = {item.event for item in dropped if item.reason == "not selected"}
    again = techniques.switched(wheel.config, augment=0, preferences=False)
    assert left
    assert left <= {row.events[0] for row in new(material.make(found, again, now))}


def test_a_cycle_turns_with_every_technique_on(
    team: Team, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = everything(team, tmp_path / "all", "competence")
    notes: list[str] = []
    with wheels.open_wheel(folder) as wheel:
        wheel.cycle(on_progress=lambda step: notes.append(step.message))
        dataset = sealed(wheel)
        puts_the_unlearnt_first(wheel, dataset)
    holds_everything(dataset)
    for told in ("Value is refitted on", "Half-life: ", " preference pairs; ", "source phrase"):
        assert any(told in note for note in notes), told
    assert not any("not used" in note for note in notes if note.startswith("Inverse"))
    assert call(["-C", str(folder), "dataset", "show", "newest", "--json"]) == DONE
    shown = json.loads(capsys.readouterr().out)
    assert shown["hash"] == dataset.hash
    assert (shown["pairs"], shown["rated"]) == (len(dataset.pairs), len(dataset.rated))
    rows = {(row["part"], row["task"], row["role"], row["variant"]) for row in shown["rows"]}
    assert {("train", "erd", "new", "renamed"), ("train", "ddl", "replay", "")} <= rows
    assert {
        ("pairs/train", "erd", "mutation", ""),
        ("rated/train", "erd", "undesirable", ""),
    } <= rows
    assert call(["-C", str(folder), "dataset", "show", "newest"]) == DONE
    assert "renamed" in capsys.readouterr().out


@pytest.mark.slow
def test_a_language_model_is_trained_with_every_technique_on(team: Team, tmp_path: Path) -> None:
    folder = everything(team, tmp_path / "tiny", "stages")
    file = folder / config.FILE
    text = file.read_text().replace('"memo"', '"causal-lm"').replace("memo/echo", "honewheel/tiny")
    file.write_text(text)
    flags = ["updates=3", "batch_size=2", "eval_every=1.0", "warmup_share=0.0"]
    flags = [f"models.artifacts.train.{flag}" for flag in flags]
    with wheels.open_wheel(
        folder, *flags, "evaluate.max_new_tokens=2", "evaluate.panel_size=2"
    ) as wheel:
        wheel.cycle()
        dataset = sealed(wheel)
        final = wheel.config.state / "runs" / wheel.cycles()[0].id / "final"
        report = json.loads((final / "training.json").read_text())
    holds_everything(dataset)
    assert {row.since for row in dataset.train} == {0.0, 0.2, 0.4}
    assert (report["planned_updates"], report["updates"]) == (3, 3)
    assert report["examples"] == len(dataset.train)
    assert [stage["rows"] for stage in report["stages"]] == [
        count for _, count in sorted(Counter(row.since for row in dataset.train).items())
    ]


def test_copies_are_no_examples(team: Team) -> None:
    """Thirty rows and a copy of each are thirty things to learn."""
    few = "max_examples = 30\nmin_examples = 30\naugment = 1"
    built = team.make(few)
    assert len(new(built)) == 30 < sum(row.role == "new" for row in built.dataset.train)
    with pytest.raises(NotEnoughData, match="at least 150"):
        team.make("min_examples = 150\naugment = 1")
