"""A finished cycle as a run of MLflow: its settings, its numbers, its verdict, its dataset's hash.

What enters is a cycle as the store remembers it; what leaves is one finished run with the tag
`honewheel.cycle`, however often it is asked for. Numbers are in points where the reports have
points. MLflow's usage telemetry is switched off, and its client gives up soon: the outbox tries
again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from honewheel.config import Config
from honewheel.errors import MissingExtra, Unreachable
from honewheel.records import Comparison, Cycle, Decision
from honewheel.store import Store

TAG = "honewheel.cycle"
LONGEST = 500  # characters of a parameter, which older servers allow
_BATCH = 90  # parameters a request; servers take 100
_DIGEST = 36  # characters that MLflow keeps of a dataset's digest
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def keep(store: Store, config: Config, cycle: str) -> str:
    """The id of the run that holds a cycle, made if there is none yet.

    Raises:
        MissingExtra: mlflow is not installed.
        Unreachable: the tracking server or database did not take it.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as error:
        raise MissingExtra("The MLflow sink", "mlflow-skinny", "mlflow") from error
    address = tracking(config)
    try:
        return _kept(MlflowClient(tracking_uri=address), store, config, store.cycles.get(cycle))
    except (MlflowException, OSError) as error:
        line = str(error).strip().partition("\n")[0]
        raise Unreachable(f"MLflow at {address} did not take {cycle}: {line}") from error


def tracking(config: Config) -> str:
    """mlflow.tracking_uri, with a relative SQLite path made absolute below the project."""
    found, prefix = config.settings.mlflow.tracking_uri, "sqlite:///"
    if not found.startswith(prefix):
        return found
    return prefix + str((config.root / Path(found.removeprefix(prefix))).resolve())


def _kept(client: Any, store: Store, config: Config, cycle: Cycle) -> str:
    experiment = _experiment(client, config.settings.mlflow.experiment)
    for run in client.search_runs([experiment], f"tags.`{TAG}` = '{cycle.id}'"):
        if run.info.status in ("FINISHED", "FAILED"):
            return str(run.info.run_id)
        client.delete_run(run.info.run_id)  # a sender died while it wrote it
    return _written(client, experiment, store, config, cycle)


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _written(client: Any, experiment: str, store: Store, config: Config, cycle: Cycle) -> str:
    from mlflow.entities import Dataset, DatasetInput, Metric, Param

    decision = store.versions.decision(cycle.id) if cycle.verdict else None
    steps = {name: store.cycles.step(cycle.id, name) for name in ("build", "train", "evaluate")}
    told: Mapping[str, Any] = {name: found[1] if found else {} for name, found in steps.items()}
    began, ended = _millis(cycle.started_at), _millis(cycle.finished_at or cycle.started_at)
    tags = _tags(config, cycle, decision, told)
    run = client.create_run(experiment, began, tags, cycle.id).info.run_id
    params = [Param(name, str(value)[:LONGEST]) for name, value in _params(cycle, told["build"])]
    for start in range(0, len(params), _BATCH):
        client.log_batch(run, params=params[start : start + _BATCH])
    metrics = [
        Metric(name, float(value), ended, step) for name, value, step in _metrics(decision, told)
    ]
    for start in range(0, len(metrics), 10 * _BATCH):
        client.log_batch(run, metrics=metrics[start : start + 10 * _BATCH])
    if hashed := told["build"].get("dataset"):
        data = Dataset(cycle.model, hashed[:_DIGEST], "honewheel", f"honewheel dataset {hashed}")
        client.log_inputs(run, [DatasetInput(data)])
    client.set_terminated(run, "FAILED" if cycle.state == "failed" else "FINISHED", ended)
    return str(run)


def _tags(
    config: Config, cycle: Cycle, decision: Decision | None, told: Mapping[str, Any]
) -> dict[str, str]:
    found = {
        TAG: cycle.id,
        "honewheel.project": config.settings.project.name,
        "honewheel.model": cycle.model,
        "honewheel.schedule": cycle.schedule or "",
        "honewheel.verdict": cycle.verdict or cycle.state,
        "honewheel.dataset": str(told["build"].get("dataset", "")),
        "honewheel.version": decision.challenger if decision else "",
        "honewheel.champion": decision.champion if decision else "",
        "mlflow.note.content": "\n".join(decision.reasons) if decision else cycle.error or "",
    }
    return {name: text for name, text in found.items() if text}


def _params(cycle: Cycle, built: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings that the cycle ran with: those of its model and of what all models share."""
    settings: Any = dict(cycle.config)
    own = settings.pop("models", {}).get(cycle.model, {})
    yield from _flat(own | {"curate": settings["curate"], "evaluate": settings["evaluate"]}, "")
    if "dataset" in built:
        yield "dataset", built["dataset"]


def _flat(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, node


def _metrics(
    decision: Decision | None, told: Mapping[str, Any]
) -> Iterator[tuple[str, float, int]]:
    """(name, value, step): the losses by step, counts, seconds, and what the gate decided on."""
    for point in told["train"].get("history", ()):
        for name in ("loss", "val_loss"):
            if point.get(name) is not None:
                yield name, point[name], int(point["step"])
    for name in ("new", "replay", "val", "events"):
        if name in told["build"]:
            yield f"examples_{name}" if name != "events" else name, told["build"][name], 0
    for step in ("train", "evaluate"):
        if "seconds" in told[step]:
            yield f"{step}_seconds", told[step]["seconds"], 0
    if decision is None:
        return
    if decision.gain is not None and decision.interval is not None:
        yield "gain", decision.gain, 0
        yield "gain_low", decision.interval[0], 0
        yield "gain_high", decision.interval[1], 0
    for one in (*decision.tasks, *(guard.comparison for guard in decision.guards)):
        yield from _compared(one)


def _compared(one: Comparison) -> Iterator[tuple[str, float, int]]:
    name = one.name.replace(":", "/")  # MLflow's names hold no colon
    yield f"{name}/champion", 100 * one.champion, 0
    yield f"{name}/challenger", 100 * one.challenger, 0
    yield f"{name}/difference", 100 * one.difference, 0


def _millis(when: Any) -> int:
    return int(when.timestamp() * 1000)
