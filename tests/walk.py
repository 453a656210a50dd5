"""The whole loop from outside: three acts, driven through HTTP alone. Start at `walk`.

A driver stands for an application and its users: it asks through the OpenAI SDK, and sends what is
said of the answers through `honewheel.Client` and its spool. Server and worker are processes; any
number of times they are killed at random moments and started again.

1. good: the team corrects the base's answers; a version is promoted, and users take to it.
2. degraded: more corrections, a better version by the held-out prompts; in live traffic users stop
   taking its answers, and it is taken back.
3. poisoned: a broken integration corrects everything to the same diagram; the gate refuses.
"""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import openai

import honewheel as hw
import walk_team as team
from honewheel.demo.facts import Requirement
from honewheel.errors import NotFound, Unreachable
from walk_service import Kill, Killer, Service, cpu_seconds, until
from walk_team import MODEL, Sizes

Answered = tuple[Requirement, str, str]  # a request, the id of its answer, and the answer
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was, and what server and worker had worked until then, in seconds."""

    at: float
    cpu: float

    def since(self, before: Moment, what: str) -> dict[str, float]:
        """Seconds since a moment before. Those of CPU tell nothing where somebody was killed."""
        return {
            f"seconds_to_{what}": self.at - before.at,
            f"cpu_seconds_to_{what}": self.cpu - before.cpu,
        }


@dataclass
class Driver:
    """An application and its users. Whatever does not answer is asked again."""

    service: Service
    killer: Killer
    spool: Path
    tell: Say
    spoken: list[str] = field(default_factory=list)  # responses that something was said of
    asked: int = 0
    repeated: int = 0  # requests that had to be sent again

    def __post_init__(self) -> None:
        self.client = hw.Client(self.service.url, spool=self.spool, timeout=30)
        self.sdk = openai.OpenAI(
            base_url=f"{self.service.url}/v1", api_key="none", max_retries=0, timeout=60
        )

    def now(self) -> Moment:
        return Moment(time.monotonic(), self.service.cpu())

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        self.killer.begin(what)
        self.tell(f"{self.killer.act}: {what}")
        yield

    # --- what an application does ---------------------------------------------------------------

    def ask(self, request: Requirement, user: str) -> tuple[str, str, str]:
        """(id, text, name of the version) of a recorded answer."""
        found: list[tuple[str, str, str]] = []

        def answered() -> bool:
            try:
                raw = self.sdk.chat.completions.with_raw_response.create(
                    model=MODEL, messages=[{"role": "user", "content": request.prompt}], user=user
                )
                told = raw.parse()
            except (openai.APIConnectionError, openai.InternalServerError):
                self.repeated += 1
                return False
            if raw.headers["x-honewheel-recorded"] != "true":  # the store was busy
                self.repeated += 1
                return False
            found.append((told.id, told.choices[0].message.content or "", told.model))
            return True

        until(answered, f"an answer to {user}")
        self.asked += 1
        return found[0]

    def ask_all(self, what: team.Asked, count: int, seed: int) -> list[Answered]:
        with self.doing("asking"):
            answers = []
            for number, request in enumerate(team.asked(what, count, seed)):
                name, output, _ = self.ask(request, f"{self.killer.act}-{number}")
                answers.append((request, name, output))
            return answers

    def say(self, rows: Sequence[dict[str, Any]]) -> None:
        """Send what was said; what waits in the spool goes with the next call, or `settle`."""
        self.spoken += [row["response_id"] for row in rows]
        if len(rows) == 1:
            self.client.feedback(**rows[0])
        else:
            assert self.client.feedback_many(rows).refused == ()

    def settle(self) -> None:
        """Wait until the server has acknowledged everything."""
        with self.doing("sending"):
            until(lambda: self.client.flush().waiting == 0, "the spool is empty")

    # --- what it is told ------------------------------------------------------------------------

    def read(self, question: Callable[[], Any]) -> Any:
        """The answer of a verb of the client, asked until the server gives one."""
        found: list[Any] = []

        def told() -> bool:
            try:
                found.append(question())
            except Unreachable:
                return False
            return True

        until(told, "the server answers")
        return found[0]

    def standing(self) -> dict[str, Any]:
        found: dict[str, Any] = self.read(self.client.status)["models"][MODEL]
        return found

    def trials(self) -> list[dict[str, Any]]:
        """Trials, the newest first."""
        found: list[dict[str, Any]] = self.read(lambda: self.client.watch(MODEL))
        return found

    def get(self, path: str) -> dict[str, Any]:
        """What a route tells that is no verb of the client."""
        with urllib.request.urlopen(f"{self.service.url}{path}", timeout=60) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def decided(self, number: int) -> dict[str, Any]:
        """Version `number`, once a cycle has ended with a verdict on it."""
        with self.doing("learning"):
            until(lambda: self._ended() >= number, f"cycle {number} has ended")
        versions = self.read(lambda: self.client.versions(MODEL))
        return next(one for one in versions if one["number"] == number)

    def _ended(self) -> int:
        verdicts = self.standing()["by_verdict"]
        return sum(count for name, count in verdicts.items() if name != "running")

    # --- live traffic ---------------------------------------------------------------------------

    def live(
        self, seed: int, patience: int, thumb: Callable[[int, Requirement, str, str], bool]
    ) -> tuple[dict[str, Any], list[Moment]]:
        """Requests with a thumb each until the trial has ended: how, and when each was sent."""
        sent: list[Moment] = []
        with self.doing("live"):
            for number, request in enumerate(team.asked("early", patience, seed)):
                sent.append(self.now())
                name, output, version = self.ask(request, f"{self.killer.act}-live-{number}")
                up = thumb(number, request, output, version)
                self.say([{"response_id": name, "source": "users", "thumb": int(up)}])
                trial = self.trials()[0]
                if trial["ended"] or trial["stage"] == "champion":
                    sent.append(self.now())
                    return trial, sent
        raise AssertionError(f"after {patience} rated requests the trial is still open: {trial}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What came of a walk. `figures` are counts and seconds by name."""

    figures: dict[str, float]
    versions: list[dict[str, Any]]
    trials: list[dict[str, Any]]
    moves: list[dict[str, Any]]
    deeds: list[dict[str, Any]]  # of the watch, from the audit log, the newest first
    standing: dict[str, Any]
    spoken: list[str]
    lost: list[str]  # acknowledged and not found by GET
    doubled: list[str]  # found with more or less than the one thing that was said
    acts: dict[str, list[str]]  # responses that each act's feedback for training speaks of
    kills: list[Kill]


def walk(
    folder: Path,
    sizes: Sizes,
    *,
    kills: Sequence[int] = (0, 0, 0),
    longest: float = 8.0,
    seed: int = 0,
    tell: Say = lambda _: None,
) -> Walked:
    """The three acts in a new `folder`, with so many kills in each.

    Raises AssertionError when an act ends otherwise than it must, TimeoutError when it does not.
    """
    team.project_folder(folder, sizes)
    service = Service(folder)
    service.command("suite", "import", str(folder / "suite.jsonl"), "--task", team.TASK)
    killer = Killer(service, random.Random(f"kills {seed}"), longest)
    driver = Driver(service, killer, folder / "feedback.spool", tell)
    figures: dict[str, float] = {}
    acts: dict[str, list[str]] = {}
    started = cpu_seconds()
    with service.running(), driver.sdk:
        for act, count in zip((_good, _degraded, _poisoned), kills, strict=True):
            name = act.__name__.strip("_")
            phases = ("asking", "learning") if act is _poisoned else ("asking", "learning", "live")
            with killer.during(name, phases, count):
                acts[name] = act(driver, sizes, figures)
        walked = _looked_at(driver, figures, acts)
    figures["cpu_seconds"] = cpu_seconds() - started
    return walked


def _good(driver: Driver, sizes: Sizes, figures: dict[str, float]) -> list[str]:
    """Corrections of the base's answers make a version that users take to."""
    before, asked = driver.now(), driver.asked
    rows = team.corrections(driver.ask_all("early", sizes.good, 0))
    driver.say(rows)
    driver.settle()
    version = driver.decided(1)
    assert version["verdict"] == "promote", version
    figures |= driver.now().since(before, "gate")
    trial, _ = driver.live(
        1, sizes.patience, lambda _, request, output, __: team.liked(request, output)
    )
    driver.settle()
    assert (trial["version"], trial["ended"]) == (f"{MODEL}@1", "kept"), trial
    assert driver.standing()["champion"] == f"{MODEL}@1"
    figures |= driver.now().since(before, "champion")
    figures["requests_to_champion"] = driver.asked - asked
    figures["corrections_to_champion"] = len(rows)
    figures["outcomes_to_champion"] = sum(trial["outcomes"].values())
    return [row["response_id"] for row in rows]


def _degraded(driver: Driver, sizes: Sizes, figures: dict[str, float]) -> list[str]:
    """A version that the held-out prompts call better is taken back when users stop taking it."""
    rows = team.corrections(driver.ask_all("late", sizes.better, 2))
    driver.say(rows)
    driver.settle()
    version = driver.decided(2)
    assert version["verdict"] == "promote", version
    rng = random.Random("cured")
    coins = [rng.random() < team.CURED for _ in range(sizes.patience)]

    def thumb(number: int, request: Requirement, output: str, version: str) -> bool:
        if version == f"{MODEL}@2" and number >= sizes.healthy:
            return coins[number]
        return team.liked(request, output)

    trial, sent = driver.live(3, sizes.patience, thumb)
    driver.settle()
    assert (trial["version"], trial["ended"]) == (f"{MODEL}@2", "rolled back"), trial
    assert driver.standing()["champion"] == f"{MODEL}@1"
    figures |= sent[-1].since(sent[sizes.healthy], "rollback")
    figures["requests_to_rollback"] = len(sent) - 1 - sizes.healthy
    figures["outcomes_to_rollback"] = trial["outcomes"]["version"]
    return [row["response_id"] for row in rows]


def _poisoned(driver: Driver, sizes: Sizes, figures: dict[str, float]) -> list[str]:
    """The same diagram as the correction of everything is learnt, and refused."""
    before = driver.now()
    rows = team.poison(driver.ask_all("early", sizes.poisoned, 4))
    driver.say(rows)
    driver.settle()
    version = driver.decided(3)
    assert version["verdict"] in ("reject", "undecided"), version
    assert driver.standing()["champion"] == f"{MODEL}@1"
    figures |= driver.now().since(before, "refusal")
    figures["poisoned_corrections"] = len(rows)
    return [row["response_id"] for row in rows]


def _looked_at(driver: Driver, figures: dict[str, float], acts: dict[str, list[str]]) -> Walked:
    """Everything that was acknowledged is asked for again, one by one."""
    lost, doubled = [], []
    with driver.doing("looking back"):
        for name in driver.spoken:
            try:
                found = driver.read(partial(driver.client.event, name))
            except NotFound:
                lost.append(name)
                continue
            if len(found["feedback"]) != 1:
                doubled.append(name)
    figures |= {
        "requests": driver.asked,
        "requests_sent_again": driver.repeated,
        "events_acknowledged": len(driver.spoken),
        "events_lost": len(lost),
        "events_doubled": len(doubled),
        "kills": len(driver.killer.kills),
    }
    return Walked(
        figures=figures,
        versions=driver.read(lambda: driver.client.versions(MODEL)),
        trials=driver.trials(),
        moves=driver.get(f"/v1/models/{MODEL}/versions")["moves"],
        deeds=driver.get("/v1/audit?actor=honewheel:watch")["audit"],
        standing=driver.standing(),
        spoken=driver.spoken,
        lost=lost,
        doubled=doubled,
        acts=acts,
        kills=driver.killer.kills,
    )


def in_store(folder: Path, walked: Walked) -> dict[str, float]:
    """What the project's store says after the walk, counted: see the names.

    `foreign` are events that a version learnt as new though another act's feedback brought them.
    """
    with hw.open(folder, environment={}) as wheel:
        versions = wheel.versions(MODEL)[1:]
        learnt = [
            [
                name
                for row in wheel.store.datasets.load(str(one.dataset)).train
                if row.role == "new"
                for name in row.events
            ]
            for one in versions
        ]
        counted = Counter(name for names in learnt for name in names)
        acts = [set(names) for names in walked.acts.values()]
        events = Counter(one.id for one in wheel.store.log.events(None, wheel.store.log.last_seq()))
        return {
            "datasets": len(wheel.store.datasets.list()),
            "versions": len(versions),
            "cycles": len(wheel.cycles(MODEL, 1_000)),
            "events_trained": len(counted),
            "events_trained_twice": sum(count > 1 for count in counted.values()),
            "events_foreign": sum(
                name not in act for names, act in zip(learnt, acts, strict=True) for name in names
            ),
            "events_stored_twice": sum(count > 1 for count in events.values()),
            "answers_without_a_word": len(events.keys() - set(walked.spoken)),
        }
