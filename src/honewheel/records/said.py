"""What people said: responses, feedback on them, and where intake put them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from honewheel.records.plain import Json

Fact: TypeAlias = tuple[str, ...]
Split: TypeAlias = Literal["train", "val", "test"]
FeedbackKind: TypeAlias = Literal[
    "rating", "thumb", "correction", "finding", "signal", "comment", "preferred"
]
SourceKind: TypeAlias = Literal["person", "validator", "signal", "simulated"]

# Key of Response.decoding: the response users saw while this one answered unseen. Trials rest on
# it, so of what comes over HTTP only an operator's rows may bring it.
SHADOW_OF: Final = "shadow_of"


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
