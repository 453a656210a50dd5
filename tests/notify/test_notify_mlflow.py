"""Cycles as runs of MLflow: in a local database, once each, and never in a cycle's way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.errors import MissingExtra, TrainingFailed
from honewheel.notify import mlflow as sink
from notify.conftest import MLFLOW

pytest.importorskip("mlflow")

QUIET = 'webhooks.chat.events=["undecided"]'
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables: making them takes a second."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def wheel(folder: Path, database: Path) -> Iterator[Any]:
    (folder / "mlflow.db").write_bytes(database.read_bytes())
    with wheels.open_wheel(folder, MLFLOW, QUIET) as opened:
        yield opened


def runs(wheel: Any) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=sink.tracking(wheel.config))
    experiment = client.get_experiment_by_name("honewheel")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def test_a_cycle_is_a_run_with_its_settings_numbers_and_dataset(wheel: Any) -> None:
    decision = wheel.store.versions.decision("artifacts-0001")
    assert wheel.send_notices() == {"sent": 1, "missed": 0}
    (run,) = runs(wheel)
    dataset = wheel.show("artifacts-0001")["steps"]["build"]["dataset"]
    assert run.info.status == "FINISHED"
    assert run.data.params["family"] == "memo"
    assert run.data.params["curate.min_examples"] == "5"
    assert run.data.params["dataset"] == dataset
    assert run.inputs.dataset_inputs[0].dataset.digest == dataset[:36]
    assert run.data.metrics["gain"] == pytest.approx(decision.gain)
    assert run.data.metrics["erd/difference"] > 0
    assert run.data.metrics["examples_new"] > 0
    assert run.data.tags["honewheel.verdict"] == "promote"
    assert run.data.tags["honewheel.version"] == "artifacts@1"
    assert decision.reasons[0] in run.data.tags["mlflow.note.content"]


def test_a_cycle_is_one_run_however_often_it_is_tried(wheel: Any) -> None:
    from mlflow import MlflowClient

    first = sink.keep(wheel.store, wheel.config, "artifacts-0001")
    assert sink.keep(wheel.store, wheel.config, "artifacts-0001") == first
    client = MlflowClient(tracking_uri=sink.tracking(wheel.config))
    client.update_run(first, status="RUNNING")  # a sender died while it wrote
    assert sink.keep(wheel.store, wheel.config, "artifacts-0001") != first
    assert len(runs(wheel)) == 1


def test_a_failed_cycle_is_a_failed_run(wheel: Any) -> None:
    fails = "models.artifacts.train.fail_at=1"
    with wheels.open_wheel(wheel.config.root, fails) as failing, pytest.raises(TrainingFailed):
        failing.cycle()
    sink.keep(wheel.store, wheel.config, "artifacts-0002")
    (run,) = runs(wheel)
    assert run.info.status == "FAILED"
    assert "nan" in run.data.tags["mlflow.note.content"]


def test_a_tracking_server_that_is_away_stops_nothing_and_is_told(folder: Path) -> None:
    away = "mlflow.tracking_uri=sqlite:////proc/no/mlflow.db"
    with wheels.open_wheel(folder, away, QUIET) as wheel:
        heard: list[tuple[str, dict[str, Any]]] = []
        assert wheel.work(once=True, tell=lambda *one: heard.append(one)) == 0
        missed = [fields for event, fields in heard if event == "notice not taken"]
        assert "MLflow at sqlite:////proc/no/mlflow.db did not take" in missed[0]["why"]
        (one,) = [one for one in wheel.outlets() if one["outlet"] == "mlflow"]
        assert one["waiting"] == 1


def test_without_the_extra_it_says_what_to_install(
    wheel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"honewheel\[mlflow\]"):
        sink.keep(wheel.store, wheel.config, "artifacts-0001")
