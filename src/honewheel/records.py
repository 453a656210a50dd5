"""The nouns of the house: frozen records that travel from room to room.

A record holds data and small derived properties, nothing that reads a clock, a file or a
network. Scores are stored in [0, 1] and shown as points (x 100). Times are aware UTC datetimes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, TypeAlias

Json: TypeAlias = str | int | float | bool | Mapping[str, "Json"] | Sequence["Json"] | None
Fact: TypeAlias = tuple[str, ...]

Split = Literal["train", "val", "test"]
FeedbackKind = Literal["rating", "thumb", "correction", "finding", "signal", "comment", "preferred"]
SourceKind = Literal["person", "validator", "signal", "simulated"]
Verdict = Literal["promote", "reject", "undecided"]
Role = Literal["new", "replay"]
SuiteRole = Literal["panel", "guard"]
GuardState = Literal["better", "not worse", "unclear", "worse"]
KeyRole = Literal["writer", "reviewer", "operator", "admin"]  # each may do what those before it may


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Json) -> str:
    """sha256 (hex) of the canonical JSON of `value`: sorted keys, no spaces, UTF-8.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()


def utc(when: datetime) -> datetime:
    """`when` in UTC; a naive time is taken as UTC already."""
    if when.tzinfo is UTC:
        return when
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def as_dict(record: Any) -> dict[str, Any]:
    """A record as plain JSON-ready data (datetimes as ISO text), for tables and `--json`."""
    kind: type = type(record)
    return {name: _plain(getattr(record, name)) for name in _names(kind)}


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [_plain(item) for item in value]
    return as_dict(value) if is_dataclass(value) else value


# --- what people said -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a model produced, as it was produced. `id` is the event id (`evt_...`) users see."""

    id: str
    task: str
    prompt: str
    output: str
    created_at: datetime
    context: Mapping[str, str] = field(default_factory=dict)  # retrieved passages, schema, notes
    version: str | None = None  # "artifacts@3"; None when the caller did not say
    decoding: Mapping[str, Json] = field(default_factory=dict)

    @property
    def demonstration(self) -> bool:
        """Whether somebody wrote `output` to show what is right: no model answered."""
        return self.decoding.get("origin") == "demonstration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a source said of one Response. `value` is in [0, 1]; `text` a correction or comment.

    Of kind "preferred", `text` is the id of a response to the same prompt that this one beats.
    """

    id: str
    response_id: str
    kind: FeedbackKind
    source: str
    created_at: datetime
    source_kind: SourceKind = "person"
    value: float | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a check found. Errors make an artifact invalid, warnings only lower its score."""

    code: str
    message: str
    severity: Literal["error", "warning"] = "error"
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Verdict of a task's validator on one output. `score` in [0, 1]; 1 means nothing found."""

    score: float
    findings: tuple[Finding, ...] = ()

    @property
    def valid(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One Response with all Feedback known for it up to some `as_of`, and what intake found."""

    seq: int
    response: Response
    feedback: tuple[Feedback, ...] = ()
    placement: Placement | None = None

    @property
    def id(self) -> str:
        return self.response.id

    @property
    def correction(self) -> Feedback | None:
        """The newest correction, if any."""
        found = [item for item in self.feedback if item.kind == "correction"]
        if len(found) < 2:  # of nearly every event, of which a build asks several times
            return found[0] if found else None
        return max(found, key=lambda item: (item.created_at, item.id))

    @property
    def simulated(self) -> bool:
        return any(item.source_kind == "simulated" for item in self.feedback)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where intake put a response: judged, fingerprinted, linked into a group, given a split.

    `split` is recorded at first sight and never moves. `twin` is the earlier response it was
    linked to and `similarity` their signature agreement in [0, 1]. A response that would bridge
    two groups of different splits is `quarantined` instead (it trains on neither side).
    """

    response_id: str
    task: str
    group: str
    split: Split
    exact: str  # hash of canonical prompt and context
    judge: str  # kind and version of the check, "sql/1"
    check: Check
    twin: str | None = None
    similarity: float | None = None
    quarantined: str | None = None  # the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A row that could not be accepted, kept with its reason so that nothing vanishes."""

    origin: str  # file name or "api"
    row: int
    reason: str
    raw: str
    at: datetime


# --- what is worth learning -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row to learn from: the target a model should write for a prompt.

    `value` = P(a user would accept the target) in [0, 1]; `weight` > 0, mean 1 over the dataset;
    `events` are the ids it was made of. `difficulty` in [0, 1] is the smoothed share of failures
    in its group; `since` in [0, 1) the share of the training before which it is not shown.
    `variant` names the rewriting that made it of another row ("" for what was said or written).
    """

    id: str
    task: str
    prompt: str
    target: str
    group: str
    split: Split
    context: Mapping[str, str] = field(default_factory=dict)
    value: float = 1.0
    weight: float = 1.0
    role: Role = "new"
    events: tuple[str, ...] = ()
    simulated: bool = False
    difficulty: float = 0.5
    since: float = 0.0
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two outputs for one prompt, of which users would take `chosen`; for DPO and its kin.

    `origin` tells how it is known: "correction", "comparison" (a person compared), "sampled"
    (several outputs, checked and ranked) or "mutation" (a certified fault). `weight` > 0.
    """

    id: str
    task: str
    prompt: str
    chosen: str
    rejected: str
    group: str
    split: Split
    origin: str
    context: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """One output that was found good or bad by itself, without a rival; for KTO."""

    id: str
    task: str
    prompt: str
    output: str
    desirable: bool
    group: str
    split: Split
    context: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Why an event is not in a dataset: `reason` is a short code, `detail` names the numbers."""

    event: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A sealed, immutable set of examples. `hash` is that of its canonical rows, in order.

    `pairs` and `rated` are what preference methods learn from; fine-tuning on targets
    does not read them.
    """

    hash: str
    train: tuple[Example, ...]
    val: tuple[Example, ...]
    dropped: tuple[Dropped, ...] = ()
    pairs: tuple[Pair, ...] = ()
    rated: tuple[Rated, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks with something new to learn (replayed rows only keep what is known)."""
        return tuple(sorted({row.task for row in self.train if row.role == "new"}))


def dataset_hash(
    train: Sequence[Example],
    val: Sequence[Example],
    pairs: Sequence[Pair] = (),
    rated: Sequence[Rated] = (),
    *,
    lacking: Collection[str] = (),
) -> str:
    """The identity of a dataset: the digest of its canonical rows, in order, train before val.

    Pairs and rated rows follow as one last entry, `{"pairs": [...], "rated": [...]}`, in which
    a kind that has no rows is left out; without either there is no such entry. `lacking` names
    fields of an example that the release which sealed the dataset did not know.
    """
    rows: list[Json] = [
        {key: value for key, value in as_dict(row).items() if key not in lacking}
        for row in (*train, *val)
    ]
    kinds = (("pairs", pairs), ("rated", rated))
    more: Json = {name: [as_dict(row) for row in found] for name, found in kinds if found}
    return digest([*rows, more] if more else rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One held-out prompt with the output that a user would accept."""

    id: str
    task: str
    prompt: str
    reference: str
    group: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A named set of held-out items of one task; a frozen suite is imported and never trains."""

    name: str
    task: str
    role: SuiteRole
    items: tuple[Item, ...]

    @property
    def hash(self) -> str:
        return digest([self.name, self.task, [as_dict(item) for item in self.items]])


# --- learning ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything that decides the weights besides the dataset; frozen into the run it starts."""

    family: str
    base: str  # as configured: "honewheel/tiny", a folder or a Hub name
    base_hash: str
    method: str  # "lora" | "full"
    settings: Mapping[str, Json]  # every hyperparameter, resolved
    seed: int = 0

    @property
    def hash(self) -> str:
        return digest(as_dict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step of long work, for whoever listens (rich bar, log file, test).

    `seconds_left` is a projection; `memory_bytes` the most the working process has taken so far.
    """

    stage: str
    step: int
    total: int
    loss: float | None = None
    val_loss: float | None = None
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    memory_bytes: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run will need: bytes by part, rough seconds (None when there is no basis).

    `low` and `high` say how far the peak may lie from the sum of the parts, as shares of it.
    """

    bytes_by_part: Mapping[str, int]
    seconds: float | None = None
    low: float = 1.0
    high: float = 1.0

    @property
    def total_bytes(self) -> int:
        return sum(self.bytes_by_part.values())

    @property
    def low_bytes(self) -> int:
        return round(self.low * self.total_bytes)

    @property
    def high_bytes(self) -> int:
        return round(self.high * self.total_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How a model is asked to answer. temperature 0 is greedy."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One model's output for one item; `stopped` is False when it ran into max_new_tokens.

    `seconds` is its share of the wall time, where that was measured.
    """

    item: str
    output: str
    tokens: int
    stopped: bool = True
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One immutable state of a registered model: base plus adapter (or full weights).

    `files` is the digest of its folder in the file store; None for version 0, the bare base.
    """

    model: str
    number: int
    base: str
    base_hash: str
    created_at: datetime
    files: str | None = None
    dataset: str | None = None
    run: str | None = None
    cycle: str | None = None
    parent: int | None = None

    @property
    def name(self) -> str:
        return f"{self.model}@{self.number}"


# --- measuring and deciding -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRow:
    """Scores of one version on one item: the unit that every comparison pairs."""

    version: str
    suite: str
    task: str
    item: str
    group: str
    metrics: Mapping[str, float]  # each in [0, 1]; always has "score", "valid", "exact"
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Challenger minus champion on the same items, in [-1, 1]; interval by cluster bootstrap.

    `low` and `high` bound the two-sided 95 % interval shown to people; `bound` is the one-sided
    lower bound at `level` on which the gate decides.
    """

    name: str  # "erd", "suite:legacy", "erd/valid"
    metric: str
    items: int
    groups: int
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    bound: float
    level: float
    spread: float  # standard deviation of the group means of the difference
    base: float | None = None  # the untuned base on the same items


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardResult:
    """One guard's comparison with its margin (in [0, 1]) and what follows from it."""

    comparison: Comparison
    margin: float
    state: GuardState


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The gate's answer with the numbers it rests on. Only `promote` moves an alias.

    `slices` are parts of the tasks' panels looked at apart (the newest items): nothing rests on
    them.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    challenger: str
    champion: str
    primary: Comparison | None = None
    tasks: tuple[Comparison, ...] = ()
    guards: tuple[GuardResult, ...] = ()
    next_steps: tuple[str, ...] = ()
    slices: tuple[Comparison, ...] = ()

    @property
    def gain(self) -> float | None:
        """Gain on the primary endpoint in points."""
        return None if self.primary is None else 100 * self.primary.difference

    @property
    def interval(self) -> tuple[float, float] | None:
        """Two-sided 95 % interval of the gain in points."""
        return None if self.primary is None else (100 * self.primary.low, 100 * self.primary.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One entry of an alias's history: which version it pointed to from then on, and why."""

    model: str
    alias: str
    revision: int
    version: int
    previous: int | None
    reason: str
    at: datetime
    cycle: str | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One turn of one registered model, journaled so that a crash means: run again."""

    id: str
    model: str
    number: int
    state: Literal["running", "done", "failed"]
    as_of: datetime
    as_of_seq: int
    config: Mapping[str, Json]
    started_at: datetime
    finished_at: datetime | None = None
    verdict: Verdict | None = None
    error: str | None = None


# --- access -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Who may call the server, and as what. Of the secret only its sha256 is known.

    `rate` is how many requests (rows, for feedback) a second it may make; None: the server's own.
    """

    id: str
    name: str
    role: KeyRole
    hash: str
    created_at: datetime
    rate: float | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One line of the audit log: who (the name of a key, "local" or "cli:USER") did what."""

    at: datetime
    actor: str
    action: str  # "POST /v1/models/{name}/promote", "keys create"
    outcome: str  # the status of the answer, or "done"
    detail: Mapping[str, Json] = field(default_factory=dict)
