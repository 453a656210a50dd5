"""What `/metrics` tells, in the Prometheus text format. Labels are names of ours, never texts."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

_COMMIT_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.written = 0  # rows so far
        self.requests = Counter(
            "honewheel_http_requests", "Requests", ("route", "status"), registry=self.registry
        )
        self.rows = Counter("honewheel_rows", "Rows written to the log", registry=self.registry)
        self.commit_rows = Histogram(
            "honewheel_commit_rows",
            "Rows a commit",
            buckets=_COMMIT_ROWS,
            registry=self.registry,
        )
        self.commit_seconds = Histogram(
            "honewheel_commit_seconds", "Seconds a commit", registry=self.registry
        )
        self.waiting = Gauge(
            "honewheel_waiting_rows", "Rows that wait for a commit", registry=self.registry
        )
        self.answers = Histogram(
            "honewheel_answer_seconds",
            "Seconds until the gateway's answer was complete",
            ("model",),
            registry=self.registry,
        )
        self.unrecorded = Counter(
            "honewheel_unrecorded_answers",
            "Answers of the gateway that could not be recorded",
            registry=self.registry,
        )
        self.champion = Gauge(
            "honewheel_champion_version",
            "Number of the version that is champion",
            ("model",),
            registry=self.registry,
        )

    def committed(self, rows: int, seconds: float) -> None:
        """One commit of the writer."""
        self.written += rows
        self.rows.inc(rows)
        self.commit_rows.observe(rows)
        self.commit_seconds.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
