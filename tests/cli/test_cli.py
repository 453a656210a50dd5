"""Commands as a person and as a script would use them: output, exit codes, and every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import DONE, FAILED, REFUSED, USAGE, call

VERBS = (
    "init record import suite cycle status versions show trace explain promote rollback report "
    "gc config doctor demo"
).split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return wheels.project(tmp_path / "acme")


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run one command line in the project; returns (exit code, stdout, stderr)."""

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = call(["--project", str(folder), *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


@pytest.fixture
def filled(run: Any, tmp_path: Path) -> Any:
    rows = wheels.write_jsonl(tmp_path / "feedback.jsonl", wheels.feedback(60))
    assert run("import", str(rows))[0] == DONE
    for task, items in wheels.suites(40).items():
        path = wheels.write_jsonl(tmp_path / f"{task}.jsonl", items)
        assert run("suite", "import", str(path), "--task", task)[0] == DONE
    return run


def data(found: tuple[int, str, str]) -> Any:
    return json.loads(found[1])


def test_help_lists_every_verb_and_loads_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['honewheel', '--help']\n"
    code += "from honewheel.cli.app import call\ncall()\n"
    code += "heavy = {'torch', 'transformers', 'sqlalchemy', 'pydantic', 'rich', 'numpy'}\n"
    code += "print('HEAVY', sorted(heavy & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    for verb in VERBS:
        assert f"\n  {verb} " in done.stdout


def test_every_verb_takes_json() -> None:
    from honewheel.cli import app, cycle, feedback, project, versions

    assert all((cycle, feedback, project, versions))
    names = set()
    for command in (*app.app.registered_commands, *feedback.suite.registered_commands):
        assert command.callback is not None
        names.add(command.name or command.callback.__name__)
        assert "as_json" in command.callback.__annotations__, command.callback
    assert names >= set(VERBS) - {"suite"}


def test_a_mistyped_project_does_not_open_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["--project", str(folder / "typo"), "status"]) == USAGE
    assert "There is no" in capsys.readouterr().err


def test_init_then_config_then_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["init"]) == DONE
    assert call(["init"]) == USAGE
    assert "exists already" in capsys.readouterr().err
    assert call(["config"]) == DONE
    told = capsys.readouterr().out
    assert "models.artifacts.train.learning_rate" in told
    assert "honewheel.toml line" in told
    assert call(["status", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["log"]["events"] == 0


def test_record_prints_an_id_that_show_knows(run: Any, tmp_path: Path) -> None:
    text = tmp_path / "out.mmd"
    text.write_text("erDiagram")
    words = ["record", "--task", "erd", "--prompt", "p", "--output", f"@{text}", "--thumb", "up"]
    code, out, _ = run(*words, "--context", "notes=short")
    assert code == DONE
    shown = data(run("show", out.strip(), "--json"))["event"]
    assert shown["response"]["output"] == "erDiagram"
    assert shown["response"]["context"] == {"notes": "short"}
    assert [item["kind"] for item in shown["feedback"]] == ["thumb"]
    more = run("record", "--response", out.strip(), "--correction", "erDiagram\n a", "--json")
    assert data(more)["event"] == out.strip()
    assert len(data(run("show", out.strip(), "--json"))["event"]["feedback"]) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["record", "--task", "edr", "--prompt", "p", "--output", "o"], "Did you mean erd?"),
        (["record", "--task", "erd", "--prompt", "p", "--output", "o", "--score", "7"], "score"),
        (["record", "--task", "erd", "--prompt", "@/nope", "--output", "o"], "cannot be read"),
        (["record", "--task", "erd", "--prompt", "p", "--output", "o", "--context", "x"], "KEY="),
        (["import", "/nope.jsonl"], "cannot be read"),
        (["explain", "evt_nope"], "No event"),
        (["show", "artifacts@9"], "There is no"),
        (["trace", "artifacts@9"], "no artifacts@9"),
        (["promote", "artifacts@9"], "no artifacts@9"),
        (["rollback"], "no champion yet"),
        (["report"], "no cycle yet"),
        (["cycle", "artefacts"], "Did you mean artifacts?"),
        (["--set", "curate.halflife=3", "status"], "half_life_days"),
        (["--set", "models.artifacts.train.steps=900", "status"], "outside 1 .. 50"),
        (["nonsense"], "No such command"),
        (["status", "--jsn"], "No such option"),
    ],
)
def test_a_mistake_is_told_and_ends_with_3(run: Any, words: list[str], told: str) -> None:
    code, out, err = run(*words)
    assert code == USAGE
    assert told in err
    assert out == ""


def test_import_keeps_good_rows_and_quarantines_bad_ones(run: Any, tmp_path: Path) -> None:
    good = wheels.feedback(3)
    lines = [json.dumps(row) for row in good]
    lines[1:1] = ["{broken", json.dumps(good[0] | {"id": "x", "score": 3}), "", '{"task": "no"}']
    lines.append(json.dumps(good[0] | {"prompt": "other words"}))
    path = tmp_path / "mixed.jsonl"
    path.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    code, out, err = run("import", str(path), "--json")
    assert code == DONE
    found = json.loads(out)[0]
    assert (found["rows"], found["stored"]) == (11, 6)
    reasons = {row["row"]: row["reason"] for row in found["quarantined"]}
    assert "not valid JSON" in reasons[2]
    assert "score" in reasons[3]
    assert "prompt is missing" in reasons[5]
    assert "already recorded with other content" in reasons[11]
    assert "row 2: not valid JSON" in err
    again = json.loads(run("import", str(path), "--json")[1])[0]
    assert again["stored"] == 6
    assert data(run("status", "--json"))["log"]["events"] == 6
    assert data(run("status", "--json"))["log"]["quarantined"] == 5


def test_a_touched_file_imports_as_the_same_rows(run: Any, tmp_path: Path) -> None:
    rows = [{**row, "created_at": None} for row in wheels.feedback(3)]
    path = wheels.write_jsonl(tmp_path / "undated.jsonl", rows)
    assert run("import", str(path))[0] == DONE
    os.utime(path, (1_600_000_000, 1_600_000_000))
    found = data(run("import", str(path), "--json"))[0]
    assert (found["stored"], found["quarantined"]) == (6, [])
    assert data(run("status", "--json"))["log"]["events"] == 6


def test_import_of_nothing_good_fails(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("{\n")
    assert run("import", str(path))[0] == FAILED


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no rows"),
        ('{"prompt": "a"}\n', "reference"),
        ('{"prompt": "a", "reference": "b", "answer": 1}\n', "answer"),
        ('{"id": "1", "prompt": "a", "reference": "b"}\n' * 2, "same item"),
        ("{\n", "not valid JSON"),
    ],
)
def test_a_bad_suite_is_refused_whole(run: Any, tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text(text)
    code, _, err = run("suite", "import", str(path), "--task", "erd")
    assert (code, told in err) == (USAGE, True)
    assert data(run("suite", "list", "--json")) == []


def test_a_cycle_promotes_reports_and_can_be_taken_back(filled: Any, folder: Path) -> None:
    code, out, err = filled("cycle", "--json")
    assert code == DONE
    found = json.loads(out)
    assert found["decision"]["verdict"] == "promote"
    assert Path(found["report"]).is_file()
    for stage in ("1 build", "2 train", "3 evaluate", "4 gate", "5 promote", "report"):
        assert stage in err
    assert list((folder / ".honewheel" / "logs").glob("*-cycle.log"))
    assert "champion" in filled("versions")[1]
    event = data(filled("trace", "artifacts@1", "--json"))["events"][0]["event"]
    assert data(filled("trace", event, "--json"))["versions"][0]["version"] == "artifacts@1"
    assert "trained on" in filled("explain", event)[1] or "validated" in filled("explain", event)[1]
    assert filled("rollback")[0] == DONE
    assert filled("promote", "artifacts@1")[0] == DONE
    assert Path(filled("report")[1].strip()).is_file()
    assert data(filled("show", "artifacts-0001", "--json"))["decision"]["verdict"] == "promote"
    assert data(filled("gc", "--dry-run", "--json"))["dry_run"] is True
    code, _, err = filled("cycle")
    assert (code, "Nothing to do" in err) == (DONE, True)


def test_a_refused_cycle_ends_with_2_and_says_what_to_do(filled: Any) -> None:
    code, out, err = filled("--set", "curate.replay_share=0", "cycle")
    assert code == REFUSED
    assert out == ""
    assert "reject" in err
    assert "Next: " in err


def test_a_failed_training_ends_with_1_and_leaves_a_report(filled: Any, folder: Path) -> None:
    code, _, err = filled("--set", "models.artifacts.train.fail_at=1", "cycle")
    assert (code, "loss is nan at step 1" in err) == (FAILED, True)
    assert "loss is nan" in next((folder / ".honewheel" / "reports").rglob("*.html")).read_text()


def test_doctor_says_what_is_wrong(run: Any) -> None:
    code, out, _ = run("doctor", "--json")
    checks = {row["check"]: row for row in json.loads(out)}
    assert code == DONE
    assert checks["base of artifacts"]["ok"]
    code, out, err = run("--set", "models.artifacts.base=memo/none", "doctor")
    assert code == FAILED
    assert "TROUBLE" in out
    assert "There is no base" in err
