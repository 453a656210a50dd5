"""Commands as a person and as a script would use them: output, exit codes, and every mistake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import wheels
from honewheel import plugins
from honewheel.cli import app
from honewheel.cli.app import DONE, FAILED, REFUSED, USAGE, VERBS, call

# Verbs stand below them.
NOUNS = "suite quarantine dataset jobs keys webhooks pairs puzzles testcases".split()


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
    told = re.findall(r"^  ([a-z][a-z-]+) +[A-Z].+$", done.stdout, re.MULTILINE)
    assert told == VERBS
    for title in app.SECTIONS:
        assert f"\n{title}:\n" in done.stdout
    assert "..." not in done.stdout.partition("\nStart:")[2]  # no verb's line is cut


def test_every_command_stands_in_one_section_of_the_help() -> None:
    app.register()
    root: Any = typer.main.get_command(app.app)
    assert sorted(root.commands) == sorted(VERBS)
    assert len(VERBS) == len(set(VERBS))


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_alone_lists_its_verbs(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([noun]) == USAGE
    told = "".join(capsys.readouterr())
    assert "Commands:" in told
    root: Any = typer.main.get_command(app.app)
    for verb in root.commands[noun].commands:
        assert f"\n  {verb} " in told


def test_no_verb_below_a_noun_has_its_line_cut() -> None:
    app.register()
    root: Any = typer.main.get_command(app.app)
    for noun in NOUNS:
        verbs = root.commands[noun].commands
        room = 78 - 6 - max(map(len, verbs))  # as in the list of `honewheel NOUN`, 80 columns wide
        for verb, one in verbs.items():
            assert not one.get_short_help_str(room).endswith("..."), (noun, verb)


def test_every_verb_takes_json() -> None:
    app.register()
    root: Any = typer.main.get_command(app.app)
    for name, command in root.commands.items():
        below = getattr(command, "commands", {})
        assert bool(below) == (name in NOUNS)
        for one in below.values() if below else (command,):
            options = [word for parameter in one.params for word in parameter.opts]
            assert "--json" in options, (name, one.name)


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


def test_config_shows_the_ranges_of_a_model_with_default_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert call(["init"]) == DONE
    capsys.readouterr()
    assert call(["config", "--ranges", "artifacts"]) == DONE
    told = capsys.readouterr().out
    assert "1e-05 .. 0.01" in told
    assert "sft, dpo, kto" in told
    assert "outside it, a LoRA update either does not move" in told.replace("\n", " ")
    given = ["--set", "models.artifacts.train.objective=dpo", "config", "--ranges", "artifacts"]
    assert call([*given, "--json"]) == DONE
    rows = {row["setting"]: row for row in json.loads(capsys.readouterr().out)}
    family = plugins.family("causal-lm")
    assert list(rows) == list(family.ranges("lora", "dpo"))  # type: ignore[call-arg]
    assert (rows["beta"]["value"], rows["beta"]["low"], rows["beta"]["high"]) == (0.1, 0.01, 10.0)
    assert call(["config", "--ranges", "artefacts"]) == USAGE
    assert "Did you mean artifacts?" in capsys.readouterr().err


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
        (["due", "artefacts"], "Did you mean artifacts?"),
        (["ablate", "augmnt"], "Did you mean augment?"),
        (["trend", "edr"], "Did you mean erd?"),
        (["trend", "erd", "--plot", "erd.jpg"], "ends in .png"),
        (["ask", "--task", "edr"], "Did you mean erd?"),
        (["ask", "--size", "0"], "--size"),
        (["failures"], "run honewheel cycle"),
        (["failures", "--task", "edr"], "Did you mean erd?"),
        (["sample", "--task", "edr"], "Did you mean erd?"),
        (["sample", "--outputs", "1"], "outside 2 .. 5"),
        (["dataset", "show"], "Run: honewheel cycle"),
        (["dataset", "export", "newest", "rows.jsonl"], "Run: honewheel cycle"),
        (["dataset", "nonsense"], "No such command"),
        (["quarantine", "release", "evt_nope", "--reason", "r"], "No event"),
        (["quarantine", "release", "evt_nope"], "--reason"),
        (["quarantine", "drop", "evt_nope"], "No event"),
        (["synthesize"], "--task"),
        (["synthesize", "--task", "erd", "--count", "0"], "count is 0"),
        (["synthesize", "--task", "erd", "--from", "documents"], "Which documents?"),
        (["synthesize", "--task", "erd", "--from", "teacher"], "Which teacher?"),
        (["import", "/nope.jsonl", "--dry-run"], "cannot be read"),
        (["import", "/nope.jsonl", "--map", "prompt"], "KEY=COLUMN"),
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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ask"], "Nothing to ask"),
        (["sample"], "none is recorded yet"),
        (["suite", "list"], "honewheel suite import FILE --task TASK"),
        (["dataset", "list"], "honewheel cycle"),
        (["quarantine", "list"], "Nothing is held back"),
        (["trend", "erd"], "honewheel cycle"),
        (["jobs", "list"], "honewheel cycle --queue"),
        (["audit"], "Nothing was changed over HTTP"),
        (["cycle", "--if-due"], "artifacts is not due: the test set is too small"),
    ],
)
def test_where_nothing_is_yet_a_verb_says_so_and_ends_with_0(
    run: Any, words: list[str], told: str
) -> None:
    code, out, err = run(*words)
    assert (code, out) == (DONE, "")
    assert told in err


def test_due_tells_why_not_and_ends_with_2(run: Any) -> None:
    code, out, _ = run("due")
    assert (code, out.splitlines()[0]) == (REFUSED, "not due")
    assert "0 new examples wait" in out
    code, out, _ = run("due", "--json")
    assert (code, json.loads(out)["fire"]) == (REFUSED, False)


def test_an_ablation_without_held_out_prompts_fails_and_says_what_is_missing(run: Any) -> None:
    code, out, err = run("ablate", "augment", "--cost")
    assert (code, out) == (FAILED, "")
    assert "honewheel suite import" in err


def test_a_dry_run_shows_rows_and_stores_none(run: Any, tmp_path: Path) -> None:
    path = wheels.write_jsonl(tmp_path / "rows.jsonl", wheels.feedback(2))
    code, out, err = run("import", str(path), "--dry-run")
    assert code == DONE
    assert [json.loads(line)["task"] for line in out.splitlines()] == ["erd", "ddl"] * 2
    assert "4 of 4 rows good; nothing is stored" in err
    assert data(run("status", "--json"))["log"]["events"] == 0


def test_a_format_that_is_not_there_is_said_to_be_so(run: Any, tmp_path: Path) -> None:
    path = wheels.write_jsonl(tmp_path / "rows.jsonl", wheels.feedback(1))
    code, out, err = run("import", str(path), "--format", "alpca")
    assert (code, out) == (USAGE, "")
    assert "Known: " in err
    assert "alpaca" in err


def test_made_up_examples_are_shown_or_recorded(run: Any) -> None:
    code, out, _ = run("synthesize", "--task", "erd", "--preview", "2")
    assert code == DONE
    assert all(json.loads(line)["source"] == "synthesize:templates" for line in out.splitlines())
    assert data(run("status", "--json"))["log"]["events"] == 0
    assert data(run("synthesize", "--task", "erd", "--count", "3", "--json"))["stored"] == 3
    assert data(run("status", "--json"))["log"]["events"] == 3


def test_a_ruling_is_recorded_and_listed(run: Any, tmp_path: Path) -> None:
    rows = wheels.feedback(3)
    run("import", str(wheels.write_jsonl(tmp_path / "rows.jsonl", rows)))
    code, _, err = run("quarantine", "drop", rows[0]["id"], "--reason", "a customer", "--by", "ana")
    assert code == DONE
    assert f"{rows[0]['id']}: drop by ana (a customer)" in err
    (found,) = data(run("quarantine", "list", "--json"))
    assert (found["state"], found["name"]) == ("dropped", rows[0]["id"])
    code, _, err = run("quarantine", "release", rows[1]["id"], "--reason", "fine")
    assert (code, "nothing to release" in err) == (USAGE, True)


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
    none = data(filled("cycle", "--json"))
    assert (none["cycle"], "Nothing to do" in none["reasons"][0]) == (None, True)
    shown = data(filled("dataset", "show", "artifacts-0001", "--json"))
    assert filled("dataset", "list")[1].splitlines()[1].startswith(shown["hash"][:12])
    rows = folder / "rows.jsonl"
    assert data(filled("dataset", "export", "newest", str(rows), "--json"))["rows"] > 0
    assert set(json.loads(rows.read_text().splitlines()[0])) == {"prompt", "completion"}
    (point,) = data(filled("trend", "erd", "--json"))["points"]
    assert (point["version"], point["verdict"]) == ("artifacts@1", "promote")
    (failing,) = data(filled("failures", "--json"))
    assert (failing["version"], failing["cycle"]) == ("artifacts@1", "artifacts-0001")


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
    assert checks["torch"]["found"].startswith("2.")
    code, out, err = run("--set", "models.artifacts.base=memo/none", "doctor")
    assert code == FAILED
    assert "TROUBLE" in out
    assert "There is no base" in err
