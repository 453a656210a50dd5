"""MLflow's tracking server as the other side: a trace and an assessment for each piece of feedback.

It lives in an environment of its own, since it wants other versions than we do; MLFLOW_PYTHON names
that environment's Python:

    python -m venv .venv-mlflow && .venv-mlflow/bin/pip install mlflow==3.17.2
    MLFLOW_PYTHON=.venv-mlflow/bin/python make bench-service
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import http_load

VERSION = "3.17.2"
CONNECTIONS = 4  # of 16 it answers some with an error
_WAIT_SECONDS = 180


def python() -> str | None:
    """The Python that has MLflow, if one is named."""
    return os.environ.get("MLFLOW_PYTHON")


@contextmanager
def server(folder: Path, port: int) -> Iterator[tuple[int, int]]:
    """(port, pid) of a tracking server with one worker over a SQLite database.

    The pid is that of the process that answers: what runs MLflow's own jobs beside it is switched
    off, and so not counted against it.
    """
    words = f"-m mlflow server --host 127.0.0.1 --port {port} --workers 1"
    store = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    process = subprocess.Popen(
        [str(python()), *words.split(), *store, "--default-artifact-root", str(folder / "files")],
        env={
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(port)
        yield port, _answering(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait(port: int) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(_WAIT_SECONDS):
        try:
            with opener.open(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise RuntimeError(f"MLflow did not answer within {_WAIT_SECONDS} s.")


def _answering(pid: int) -> int:
    """The process below (or at) `pid` that runs uvicorn."""
    words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
    if b"uvicorn" in words:
        return pid
    below = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
    found = [one for child in below if (one := _answering(int(child)))]
    return found[0] if found else 0


def measure(
    port: int, pid: int, row: Callable[[int], Mapping[str, Any]], first: int, rows: int
) -> tuple[float, float, int]:
    """(CPU seconds, wall seconds, rows answered in full) of `rows` rows from number `first`."""
    cpu, wall, answered = 0.0, 0.0, rows
    for make in (traces(port, row), assessments(port)):

        def numbered(at: int, make: Callable[[int], bytes] = make) -> bytes:
            return make(first + at)

        load = http_load.run(port, pid, numbered, connections=CONNECTIONS, requests=rows)
        cpu, wall = cpu + load.cpu, wall + load.wall
        answered = min(answered, rows - load.failed)  # without its trace an assessment fails too
    return cpu, wall, answered


def _name(number: int) -> str:
    return f"tr-{number:032x}"


def traces(port: int, row: Callable[[int], Mapping[str, Any]]) -> Callable[[int], bytes]:
    """What was asked and answered, as a trace."""

    def make(number: int) -> bytes:
        said = row(number)
        info = {
            "trace_id": _name(number),
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": "0"},
            },
            "request_time": "2026-03-02T09:00:00Z",
            "execution_duration": "0.100s",
            "state": "OK",
            "request_preview": said["prompt"],
            "response_preview": said["output"],
            "trace_metadata": {"mlflow.trace_schema.version": "3"},
            "tags": {"task": said["task"]},
        }
        body = json.dumps({"trace": {"trace_info": info}}).encode()
        return http_load.request(port, "/api/3.0/mlflow/traces", body)

    return make


def assessments(port: int) -> Callable[[int], bytes]:
    """What was said of it, as an assessment of its trace."""

    def make(number: int) -> bytes:
        now = "2026-03-02T09:00:00Z"
        said = {
            "assessment_name": "thumb",
            "trace_id": _name(number),
            "source": {"source_type": "HUMAN", "source_id": "bench"},
            "create_time": now,
            "last_update_time": now,
            "feedback": {"value": True},
            "valid": True,
        }
        path = f"/api/3.0/mlflow/traces/{_name(number)}/assessments"
        return http_load.request(port, path, json.dumps({"assessment": said}).encode())

    return make
