"""What a piece of feedback costs the server, beside a plain FastAPI endpoint in the same run.

make bench-service                      a few minutes
python benchmarks/service.py --quick    within 50 seconds, same metrics, not written

Rows are 1 KB of JSON, 64 connections, SQLite with synchronous=FULL on both sides, one process each;
ours checks a key. CPU time of the server's process is the figure to carry to another machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import http_load
import results_file
import service_mlflow
import service_postgres
from results_file import metric

import honewheel as hw

CONNECTIONS = 64
BATCH = 100
WARM = 200  # requests before anything is measured
SIZE = 1_024  # bytes of a row


def row(number: int, size: int = SIZE) -> dict[str, Any]:
    """A row of `size` bytes."""
    found = {
        "task": "erd",
        "prompt": f"request {number}: a museum has rooms, and rooms have paintings",
        "output": "",
        "thumb": 1,
        "source": "bench",
    }
    found["output"] = "x" * (size - len(json.dumps(found)))
    return found


@contextmanager
def ours(folder: Path, *flags: str) -> Iterator[tuple[int, int, str]]:
    """(port, pid, key) of a server of ours on a fresh project."""
    hw.init(folder)
    base = [sys.executable, "-m", "honewheel", "--project", str(folder), *flags]
    made = subprocess.run(
        [*base, "keys", "create", "bench", "--json"], check=True, capture_output=True
    )
    process = subprocess.Popen(
        [*base, "serve", "--port", "0", "--no-worker"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stderr is not None
        found = re.search(r"http://127.0.0.1:(\d+)", process.stderr.readline())
        assert found is not None
        yield int(found[1]), process.pid, json.loads(made.stdout)["key"]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def plain(app: str, port: int, **environment: str) -> Iterator[tuple[int, int, str]]:
    """(port, pid, "") of an application of this folder under uvicorn."""
    words = f"-m uvicorn {app} --port {port} --log-level warning --no-access-log --lifespan off"
    process = subprocess.Popen(
        [sys.executable, *words.split()],
        cwd=Path(__file__).parent,
        env={**os.environ, **environment},
    )
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port, process.pid, ""
    finally:
        process.terminate()
        process.wait()


def singles(port: int, key: str) -> Callable[[int], bytes]:
    return lambda number: http_load.request(
        port, "/v1/feedback", json.dumps(row(number)).encode(), key
    )


def batches(port: int, key: str, requests: int) -> Callable[[int], bytes]:
    made = [
        http_load.request(
            port,
            "/v1/feedback",
            json.dumps([row(number * BATCH + one) for one in range(BATCH)]).encode(),
            key,
        )
        for number in range(requests)
    ]
    return made.__getitem__


def asked(port: int, path: str, body: bytes, key: str) -> Callable[[int], bytes]:
    """The same request each time."""
    made = http_load.request(port, path, body, key)
    return lambda _: made


def spread(values: list[float], unit: str) -> Any:
    return metric(statistics.median(values), unit, min(values), max(values))


def measure(folder: Path, rounds: int, requests: int) -> dict[str, Any]:
    """Rounds of ours, rival, batches and redaction, one after the other."""
    found: dict[str, list[float]] = {}

    def note(**figures: float) -> None:
        for name, value in figures.items():
            found.setdefault(name, []).append(value)

    with (
        ours(folder / "plain") as (port, pid, key),
        ours(folder / "redacted", "--set", "events.redact=true") as (port2, pid2, key2),
        plain("service_rival:app", 18_431, RIVAL_DB=str(folder / "rival.db")) as (port3, pid3, _),
    ):
        many = max(4, requests // 40)
        for one, process, secret in ((port, pid, key), (port2, pid2, key2), (port3, pid3, "")):
            checked(one, process, singles(one, secret), WARM)
        for _ in range(rounds):
            load = checked(port, pid, singles(port, key), requests)
            note(
                ingest_cpu_us=1e6 * load.cpu / requests,
                ingest_events_per_s=requests / load.wall,
                ingest_ms_p50=load.percentile(0.5),
                ingest_ms_p99=load.percentile(0.99),
            )
            few = requests // 8
            load = checked(port3, pid3, singles(port3, ""), few)
            note(
                fastapi_cpu_us=1e6 * load.cpu / few,
                fastapi_events_per_s=few / load.wall,
                fastapi_ms_p50=load.percentile(0.5),
                fastapi_ms_p99=load.percentile(0.99),
            )
            note(ingest_ratio_vs_fastapi=found["fastapi_cpu_us"][-1] / found["ingest_cpu_us"][-1])
            load = checked(port2, pid2, singles(port2, key2), requests)
            note(ingest_redacted_cpu_us=1e6 * load.cpu / requests)
            load = checked(port, pid, batches(port, key, many), many, connections=4)
            rows = many * BATCH
            note(
                ingest_batch_events_per_s=rows / load.wall,
                ingest_batch_cpu_us=1e6 * load.cpu / rows,
                ingest_batch_events_per_cpu_s=rows / load.cpu,
            )
    gateway(folder, rounds, max(200, requests // 10), note)
    if service_postgres.installed():
        postgres(folder, rounds, requests, note)
    if service_mlflow.python():
        mlflow(folder, rounds, requests, note)
    units = {
        "us": "us",
        "p50": "ms",
        "p99": "ms",
        "fastapi": "x",
        "mlflow": "x",
        "failed": "rows",
    }
    return {
        name: spread(values, units.get(name.rpartition("_")[2], "events/s"))
        for name, values in sorted(found.items())
    }


def postgres(folder: Path, rounds: int, requests: int, note: Callable[..., None]) -> None:
    """The same rows with the log in PostgreSQL; what its own processes take is told apart."""
    with (
        service_postgres.cluster() as (url, cluster_pid),
        ours(folder / "postgres", "--set", f"store.url={url}") as (port, pid, key),
    ):
        checked(port, pid, singles(port, key), WARM)
        many = max(4, requests // 40)
        for _ in range(rounds):
            before = http_load.cpu_seconds(cluster_pid)
            load = checked(port, pid, singles(port, key), requests)
            its_own = http_load.cpu_seconds(cluster_pid) - before
            note(
                postgres_ingest_cpu_us=1e6 * load.cpu / requests,
                postgres_database_cpu_us=1e6 * its_own / requests,
                postgres_ingest_events_per_s=requests / load.wall,
                postgres_ingest_ms_p50=load.percentile(0.5),
                postgres_ingest_ms_p99=load.percentile(0.99),
            )
            load = checked(port, pid, batches(port, key, many), many, connections=4)
            note(postgres_batch_events_per_s=many * BATCH / load.wall)


def mlflow(folder: Path, rounds: int, requests: int, note: Callable[..., None]) -> None:
    """Ours beside MLflow's tracking server, a trace and an assessment for each row of ours.

    What MLflow fails is counted, and its cost is that of a row which it answered.
    """
    few = requests // 20
    with (
        ours(folder / "beside") as (port, pid, key),
        service_mlflow.server(folder, 18_434) as (port2, pid2),
    ):
        for number in range(rounds + 1):  # the first one warms both up
            load = checked(port, pid, singles(port, key), requests)
            mine = 1e6 * load.cpu / requests
            cpu, wall, answered = service_mlflow.measure(port2, pid2, row, number * few, few)
            theirs = 1e6 * cpu / answered
            if number:
                note(
                    mlflow_cpu_us=theirs,
                    mlflow_events_per_s=answered / wall,
                    mlflow_failed=few - answered,
                    ingest_ratio_vs_mlflow=theirs / mine,
                )


def gateway(folder: Path, rounds: int, requests: int, note: Callable[..., None]) -> None:
    """What the gateway adds to a bare proxy before the same upstream, recording included."""
    body = json.dumps(
        {"model": "erd", "messages": [{"role": "user", "content": "a museum has rooms " * 20}]}
    ).encode()
    path = "/v1/chat/completions"
    stub = "http://127.0.0.1:18432"
    flags = (
        "models.artifacts.upstream.url=" + stub + "/v1",
        "models.artifacts.upstream.model=stub",
    )
    with (
        plain("service_stubs:upstream", 18_432),
        plain("service_stubs:proxy", 18_433, UPSTREAM=stub) as (bare, bare_pid, _),
        ours(folder / "gateway", *(word for flag in flags for word in ("--set", flag))) as (
            port,
            pid,
            key,
        ),
    ):
        for one, process, secret in ((bare, bare_pid, ""), (port, pid, key)):
            checked(one, process, asked(one, path, body, secret), WARM)
        for _ in range(rounds):
            for connections in (1, 16, 64):
                few = requests // 4 if connections == 1 else requests
                loads = [
                    checked(one, process, asked(one, path, body, key), few, connections)
                    for one, process, key in ((bare, bare_pid, ""), (port, pid, key))
                ]
                for share, name in ((0.5, "p50"), (0.99, "p99")):
                    added = loads[1].percentile(share) - loads[0].percentile(share)
                    note(**{f"gateway_added_ms_{connections}_{name}": added})
                    if connections == 1:
                        note(**{f"gateway_added_ms_{name}": added})
                if connections == 1:
                    note(gateway_first_token_added_ms_p50=first_token(bare, port, key, few))
                if connections == 64:
                    note(
                        gateway_cpu_us=1e6 * loads[1].cpu / few,
                        proxy_cpu_us=1e6 * loads[0].cpu / few,
                    )


def first_token(bare: int, port: int, key: str, requests: int) -> float:
    """Milliseconds that the gateway adds until the first piece of a streamed answer, the median."""
    body = {"model": "erd", "messages": [{"role": "user", "content": "a museum"}], "stream": True}
    path, own = "/v1/chat/completions", os.getpid()
    loads = [
        http_load.first_bytes(
            one, own, asked(one, path, json.dumps(body).encode(), secret), requests
        )
        for one, secret in ((bare, ""), (port, key))
    ]
    assert not any(load.failed for load in loads)
    return loads[1].percentile(0.5) - loads[0].percentile(0.5)


def checked(
    port: int, pid: int, make: Callable[[int], bytes], requests: int, connections: int = CONNECTIONS
) -> http_load.Load:
    load = http_load.run(port, pid, make, connections=connections, requests=requests)
    assert load.failed == 0, f"{load.failed} of {requests} requests failed"
    return load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rounds, requests = (1, 1_000) if quick else (5, 3_000)
    with tempfile.TemporaryDirectory(prefix="honewheel-bench-") as root:
        metrics = measure(Path(root), rounds, requests)
    print(json.dumps({name: one["value"] for name, one in metrics.items()}, indent=2))
    notes = [
        f"medians of {rounds} rounds, with the least and the most; {SIZE}-byte rows with one thumb,"
        f" {CONNECTIONS} connections, SQLite with synchronous=FULL, one server process, one key",
        f"batches of {BATCH} on 4 connections; the load generator runs on the same cores",
        "gateway_added_ms: over a bare proxy with the same client library, to the same upstream; "
        "p50 and p99 without a number are with 1 connection; an answer is on disk before it is "
        "given, so a disk flush is part of it",
        "gateway_first_token: until the first piece of a streamed answer reaches the client",
        "postgres: fsync and synchronous_commit on; the database's processes are told apart",
        f"mlflow: tracking server with one worker over SQLite, {service_mlflow.CONNECTIONS} "
        "connections; a trace and an assessment for each row of ours, with previews in place of "
        "spans; CPU for each row it answered, mlflow_failed is of a round"
        if service_mlflow.python()
        else "mlflow: not measured, MLFLOW_PYTHON names no Python (see service_mlflow.py)",
        "fastapi: validation and one commit a row, no key check, no log of responses and feedback",
    ]
    if trouble := results_file.busy():
        notes.append(f"taken on a busy machine ({trouble}): CPU figures hold, wall figures do not")
    metrics |= results_file.repeated("watch", "false_rollback_rate", "requests_to_rollback_10pt")
    notes.append("false_rollback_rate, requests_to_rollback_10pt: of watch.json, repeated here")
    if not quick:
        print(results_file.write("service", metrics, [0], notes))


if __name__ == "__main__":
    main()
