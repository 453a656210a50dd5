"""The verbs of work that runs by itself: worker, jobs, watch, diff, forget."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import wheels
from honewheel.cli.app import DONE, FAILED, USAGE

TABLE = "CREATE TABLE undset_larch_lane (b int);"


def test_a_queued_cycle_is_run_by_a_worker_that_tells_each_step_as_json(
    run: Any, tmp_path: Path
) -> None:
    rows = wheels.write_jsonl(tmp_path / "feedback.jsonl", wheels.feedback(60))
    assert run("import", str(rows))[0] == DONE
    for task, items in wheels.suites(40).items():
        file = wheels.write_jsonl(tmp_path / f"{task}.jsonl", items)
        assert run("suite", "import", str(file), "--task", task)[0] == DONE
    code, _, err = run("cycle", "--queue")
    assert (code, err) == (DONE, "job 1: queued a cycle of artifacts (asked for)\n")
    code, _, err = run("worker", "--once", "--json")
    assert code == DONE
    told = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert [one["event"] for one in told][:2] == ["worker started", "job started"]
    done = next(one for one in told if one["event"] == "job done")
    assert (done["job"], done["cycle"], done["verdict"]) == (1, "artifacts-0001", "promote")
    assert len({one["worker"] for one in told}) == 1
    (job,) = json.loads(run("jobs", "list", "--json")[1])
    assert job["state"] == "done"
    assert "artifacts  done" in run("jobs", "list")[1]
    code, out, _ = run("diff", "artifacts@0", "@1", "--outputs", "1")
    assert code == DONE
    assert "erd score" in out
    assert "--- artifacts@1" in out
    shown = json.loads(run("diff", "artifacts@0", "@1", "--json")[1])
    assert shown["versions"] == ["artifacts@0", "artifacts@1"]
    assert "No version was ever on trial" in run("watch")[2]


def test_a_job_is_cancelled_by_its_number(run: Any) -> None:
    assert run("cycle", "--queue")[0] == DONE
    assert run("jobs", "cancel", "1", "--reason", "not now")[2] == "job 1 is cancelled\n"
    assert run("jobs", "cancel", "1")[0] == USAGE
    assert run("jobs", "cancel", "9")[0] == USAGE


def test_forget_ends_with_0_when_nothing_is_left_and_with_1_when_something_is(run: Any) -> None:
    words = ("--task", "ddl", "--prompt", f"Draw {TABLE}", "--output", "x", "--thumb", "up")
    one = run("record", *words, "--source", "ana")[1].strip()
    two = run("record", *words, "--source", "ben")[1].strip()
    code, _, err = run("forget", "--event", one, "--reason", "asked")
    assert code == FAILED
    assert "remains" in err
    assert "response.prompt (1 row)" in err
    code, out, _ = run("forget", "--event", two, "--reason", "asked", "--json")
    assert code == DONE
    assert json.loads(out)["remains"] == []
    assert run("forget", "--source", "ana", "--reason", "why")[0] == USAGE


def test_a_worker_ends_on_sigterm(folder: Path) -> None:
    words = [sys.executable, "-m", "honewheel", "-C", str(folder), "worker", "--json"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        assert json.loads(process.stderr.readline())["event"] == "worker started"
        process.send_signal(signal.SIGTERM)
        assert json.loads(process.stderr.readlines()[-1])["event"] == "worker stopped"
        assert process.wait() == DONE


def test_watch_shows_a_version_on_trial(run: Any, folder: Path, tmp_path: Path) -> None:
    with (folder / "honewheel.toml").open("a") as file:
        file.write('\n[models.artifacts.watch]\nmode = "canary"\n')
    with wheels.open_wheel(folder) as opened:
        wheels.fill(opened, tmp_path)
        opened.cycle()
    out = run("watch")[1]
    assert "artifacts@1  artifacts@0  canary  10 %" in out
    (shown,) = json.loads(run("watch", "--json")[1])
    assert (shown["stage"], shown["threshold"], shown["ended"]) == ("canary", 100.0, None)
    assert "on trial" in run("versions")[1]
    assert "canary" in run("rollback", "--json")[1]
    assert [one["trial"] for one in json.loads(run("versions", "--json")[1])] == [
        None,
        "rolled back",
    ]
