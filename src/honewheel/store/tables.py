"""Every table, as the rooms of the store see it; `migrations/` holds how a database gets there."""

from __future__ import annotations

from sqlalchemy import BigInteger as Big
from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from honewheel.store.columns import JsonText, Moment, Sequence64

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, *, null: bool = False, key: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null, primary_key=key)


# --- the log ----------------------------------------------------------------------------------

counter = Table("counter", metadata, _text("name", key=True), Column("value", Big, nullable=False))

total = Table(
    "total",
    metadata,
    _text("kind", key=True),
    _text("task", key=True),
    Column("value", Big, nullable=False),
)

response = Table(
    "response",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=False),
    _text("id"),
    _text("task"),
    _text("prompt"),
    _text("output"),
    Column("created_at", Moment, nullable=False),
    Column("context", JsonText, nullable=False),
    _text("version", null=True),
    Column("decoding", JsonText, nullable=False),
    UniqueConstraint("id"),
    Index(None, "task", "seq"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=False),
    _text("id"),
    Column("response_id", ForeignKey("response.id"), nullable=False),
    _text("kind"),
    _text("source"),
    _text("source_kind"),
    Column("created_at", Moment, nullable=False),
    Column("value", Float),
    _text("text", null=True),
    UniqueConstraint("id"),
    Index(None, "response_id", "seq"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Sequence64, primary_key=True),
    _text("key"),
    Column("origin", JsonText, nullable=False),
    Column("row", Big, nullable=False),
    Column("reason", JsonText, nullable=False),
    Column("raw", JsonText, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("key"),
    Index(None, "at"),
)

# --- intake -----------------------------------------------------------------------------------

unplaced = Table(
    "unplaced",
    metadata,
    Column("seq", Sequence64, ForeignKey("response.seq"), primary_key=True, autoincrement=False),
)

placement = Table(
    "placement",
    metadata,
    Column("seq", Sequence64, ForeignKey("response.seq"), primary_key=True, autoincrement=False),
    _text("response_id"),
    _text("task"),
    _text("group"),
    _text("split"),
    _text("exact"),
    _text("judge"),
    Column("check", JsonText, nullable=False),
    _text("twin", null=True),
    Column("similarity", Float),
    _text("quarantined", null=True),
    Column("signature", LargeBinary),
    UniqueConstraint("response_id"),
    Index(None, "task", "exact"),
    Index(None, "group"),
)

band = Table(
    "band",
    metadata,
    _text("task", key=True),
    Column("band", Big, primary_key=True, autoincrement=False),
    Column("seq", Big, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

Index(
    "ix_placement_bridging",
    placement.c.seq,
    sqlite_where=text("quarantined IS NOT NULL"),
    postgresql_where=text("quarantined IS NOT NULL"),
)

ruling = Table(
    "ruling",
    metadata,
    Column("id", Sequence64, primary_key=True),
    Column("event", ForeignKey("response.id"), nullable=False),
    _text("verdict"),
    Column("reason", JsonText, nullable=False),
    Column("who", JsonText, nullable=False),
    Column("at", Moment, nullable=False),
    Index(None, "event"),
)

# --- datasets ---------------------------------------------------------------------------------

dataset = Table(
    "dataset",
    metadata,
    _text("hash", key=True),
    _text("cycle"),
    Column("as_of_seq", Big, nullable=False),
    _text("files"),
    Column("train", Integer, nullable=False),
    Column("val", Integer, nullable=False),
    Column("dropped", Integer, nullable=False),
    Column("tasks", JsonText, nullable=False),
    Column("number", Big, nullable=False),  # order of sealing
    Column("model", Text, nullable=False, server_default=""),  # whose fates speak of it
    Column("left_out", JsonText, nullable=False, server_default="{}"),  # see fates.summary
)

lineage = Table(
    "lineage",
    metadata,
    Column("dataset", ForeignKey("dataset.hash"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _text("event", key=True),
    _text("example"),
    _text("role"),
    Column("weight", Float, nullable=False),
    _text("split"),
    Index(None, "event"),
)

fate = Table(
    "fate",
    metadata,
    _text("model", key=True),
    _text("event", key=True),
    Column("number", Big, primary_key=True, autoincrement=False),  # of the dataset it holds from
    _text("reason"),
    _text("detail"),
    sqlite_with_rowid=False,
)

# --- versions, what they answered and what was decided ------------------------------------------

version = Table(
    "version",
    metadata,
    _text("model", key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("base"),
    _text("base_hash"),
    Column("created_at", Moment, nullable=False),
    _text("files", null=True),
    _text("dataset", null=True),
    _text("run", null=True),
    _text("cycle", null=True),
    Column("parent", Integer),
    Column("started_from", Integer),
    UniqueConstraint("cycle"),
    Index(None, "dataset"),
)

alias_move = Table(
    "alias_move",
    metadata,
    _text("model", key=True),
    _text("alias", key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("previous", Integer),
    _text("reason"),
    Column("at", Moment, nullable=False),
    _text("cycle", null=True),
    Column("forced", Boolean, nullable=False),
    Column("evidence", JsonText, nullable=False),
    ForeignKeyConstraint(["model", "version"], ["version.model", "version.number"]),
)

prediction = Table(
    "prediction",
    metadata,
    _text("version_key", key=True),
    _text("decoding_hash", key=True),
    _text("item_hash", key=True),
    Column("output", JsonText, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("stopped", Boolean, nullable=False),
    Column("seconds", Float),
)

eval_row = Table(
    "eval_row",
    metadata,
    _text("cycle", key=True),
    _text("version", key=True),
    _text("suite", key=True),
    _text("item", key=True),
    _text("task"),
    _text("group"),
    Column("metrics", JsonText, nullable=False),
    Column("output", JsonText, nullable=False),
    Index(None, "version"),
)

decision = Table(
    "decision",
    metadata,
    _text("cycle", key=True),
    Column("decision", JsonText, nullable=False),
)

# --- suites and cycles --------------------------------------------------------------------------

suite = Table(
    "suite",
    metadata,
    _text("name", key=True),
    _text("task"),
    _text("role"),
    _text("hash"),
    Column("items", Integer, nullable=False),
    Column("imported_at", Moment, nullable=False),
    Index(None, "task"),
)

suite_item = Table(
    "suite_item",
    metadata,
    Column("suite", ForeignKey("suite.name"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _text("id"),
    _text("task"),
    _text("prompt"),
    _text("reference"),
    _text("group"),
    Column("context", JsonText, nullable=False),
    UniqueConstraint("suite", "id"),
)

cycle = Table(
    "cycle",
    metadata,
    _text("id", key=True),
    _text("model"),
    Column("number", Integer, nullable=False),
    _text("state"),
    Column("as_of", Moment, nullable=False),
    Column("as_of_seq", Big, nullable=False),
    Column("config", JsonText, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    _text("verdict", null=True),
    _text("error", null=True),
    _text("schedule", null=True),
    UniqueConstraint("model", "number"),
)
Index(
    "uq_cycle_running",
    cycle.c.model,
    unique=True,
    sqlite_where=text("state = 'running'"),
    postgresql_where=text("state = 'running'"),
)

step = Table(
    "step",
    metadata,
    Column("cycle", ForeignKey("cycle.id"), primary_key=True),
    _text("name", key=True),
    _text("key"),
    Column("output", JsonText, nullable=False),
    Column("at", Moment, nullable=False),
)

# --- work and watch ---------------------------------------------------------------------------

job = Table(
    "job",
    metadata,
    Column("id", Sequence64, primary_key=True),
    _text("kind"),
    _text("model"),
    Column("asked", JsonText, nullable=False),  # what the kind of job needs to know
    Column("reason", JsonText, nullable=False),
    _text("state"),
    Column("queued_at", Moment, nullable=False),
    Column("run_after", Moment, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("worker", JsonText, nullable=False),
    Column("lease_until", Moment),
    Column("cancel", JsonText, nullable=False),
    Column("ended_at", Moment),
    Column("result", JsonText, nullable=False),
    Index(None, "state", "run_after"),
)
# One job of a kind is open for a model: asking twice is asking once.
Index(
    "uq_job_open",
    job.c.kind,
    job.c.model,
    unique=True,
    sqlite_where=text("state IN ('queued', 'running')"),
    postgresql_where=text("state IN ('queued', 'running')"),
)

deployment = Table(
    "deployment",
    metadata,
    Column("id", Sequence64, primary_key=True),
    _text("model"),
    Column("version", Integer, nullable=False),
    Column("baseline", Integer, nullable=False),
    _text("stage"),
    Column("policy", JsonText, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("since_seq", Big, nullable=False),
    Column("cursor", Big, nullable=False),
    Column("trial", JsonText, nullable=False),
    _text("ended", null=True),
    Column("reason", JsonText, nullable=False),
    Column("ended_at", Moment),
    ForeignKeyConstraint(["model", "version"], ["version.model", "version.number"]),
)
Index(
    "uq_deployment_open",
    deployment.c.model,
    unique=True,
    sqlite_where=text("ended IS NULL"),
    postgresql_where=text("ended IS NULL"),
)

forgotten = Table(
    "forgotten",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=False),
    _text("event"),
    Column("who", JsonText, nullable=False),
    Column("reason", JsonText, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("event"),
    Index(None, "at"),
)

# --- access -----------------------------------------------------------------------------------

api_key = Table(
    "api_key",
    metadata,
    _text("id", key=True),
    _text("name"),
    _text("role"),
    _text("hash"),
    Column("rate", Float),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    UniqueConstraint("name"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Sequence64, primary_key=True),
    Column("at", Moment, nullable=False),
    _text("actor"),
    _text("action"),
    _text("outcome"),
    Column("detail", JsonText, nullable=False),
)

# --- what the outside is told -------------------------------------------------------------------

outlet = Table(
    "outlet",
    metadata,
    _text("name", key=True),
    Column("since", Moment, nullable=False),
)

notice = Table(
    "notice",
    metadata,
    Column("id", Sequence64, primary_key=True),
    _text("outlet"),
    _text("key"),
    _text("event"),
    Column("told", JsonText, nullable=False),
    _text("state"),
    Column("made_at", Moment, nullable=False),
    Column("run_after", Moment, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("error", JsonText, nullable=False),
    Column("ended_at", Moment),
    UniqueConstraint("outlet", "key"),
    Index(None, "state", "run_after"),
)
