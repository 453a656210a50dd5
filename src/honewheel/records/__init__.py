"""The nouns of the house: frozen records that travel from room to room.

A record holds data and small derived properties, nothing that reads a clock, a file or a
network. Scores are stored in [0, 1] and shown as points (x 100). Times are aware UTC datetimes.
"""

from honewheel.records.access import ApiKey, Deed, KeyRole
from honewheel.records.deciding import (
    AliasMove,
    Comparison,
    Cycle,
    Decision,
    EvalRow,
    GuardResult,
    GuardState,
    Verdict,
)
from honewheel.records.examples import (
    Dataset,
    Dropped,
    Example,
    Item,
    Pair,
    Rated,
    Role,
    Suite,
    SuiteRole,
    dataset_hash,
)
from honewheel.records.learning import Decoding, Estimate, Prediction, Progress, Spec, Version
from honewheel.records.plain import Json, as_dict, count, digest, utc
from honewheel.records.said import (
    SHADOW_OF,
    Check,
    Event,
    Fact,
    Feedback,
    FeedbackKind,
    Finding,
    Placement,
    Quarantined,
    Response,
    SourceKind,
    Split,
)

__all__ = [
    "SHADOW_OF",
    "AliasMove",
    "ApiKey",
    "Check",
    "Comparison",
    "Cycle",
    "Dataset",
    "Decision",
    "Decoding",
    "Deed",
    "Dropped",
    "Estimate",
    "EvalRow",
    "Event",
    "Example",
    "Fact",
    "Feedback",
    "FeedbackKind",
    "Finding",
    "GuardResult",
    "GuardState",
    "Item",
    "Json",
    "KeyRole",
    "Pair",
    "Placement",
    "Prediction",
    "Progress",
    "Quarantined",
    "Rated",
    "Response",
    "Role",
    "SourceKind",
    "Spec",
    "Split",
    "Suite",
    "SuiteRole",
    "Verdict",
    "Version",
    "as_dict",
    "count",
    "dataset_hash",
    "digest",
    "utc",
]
