"""Whole files: what they are read as, what is refused, and what an import leaves behind."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from honewheel.cli.app import DONE, FAILED, USAGE, call
from honewheel.errors import InputError
from honewheel.events import files, formats, importers
from honewheel.events.importers import Options, Preview

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KINDS = {"erd": "mermaid-erd", "ddl": "sql", "same": "similarity"}
ALPACA = {"instruction": "Draw it", "input": "", "output": "erDiagram\n  shop {\n    int id\n  }"}
CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}

PROJECT = """\
[models.artifacts]
tasks = ["erd", "ddl"]

[tasks.erd]
kind = "mermaid-erd"

[tasks.ddl]
kind = "sql"
"""

SAMPLES: dict[str, dict[str, Any]] = {
    "honewheel": {"prompt": "p", "output": "o", "thumb": 1},
    "chat": CHAT,
    "alpaca": ALPACA,
    "sharegpt": {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    "completion": {"prompt": "p", "completion": "c"},
    "sequences": {"input_sequence": "p", "target_sequence": "c"},
    "dpo": {"prompt": "p", "chosen": "a", "rejected": "b"},
    "kto": {"prompt": "p", "completion": "c", "label": True},
    "triplets": {"anchor": "a", "positive": "b", "negative": "c"},
    "clicks": {"query": "a", "results": ["b", "c"], "clicked": 1},
    "pairs": {"sentence1": "a", "sentence2": "b", "score": 0.5},
    "openai": {"request": CHAT, "response": {"choices": [{"message": CHAT["messages"][1]}]}},
    "langfuse": {"id": "t", "input": "p", "output": "o", "scores": []},
    "label-studio": {"data": {"prompt": "p", "output": "o"}, "annotations": []},
    "open-webui": {
        "data": {"rating": 1},
        "meta": {"message_id": "a"},
        "snapshot": {
            "chat": {
                "history": {
                    "messages": {
                        "u": {"role": "user", "content": "p", "childrenIds": ["a"]},
                        "a": {"role": "assistant", "content": "o", "parentId": "u"},
                    }
                }
            }
        },
    },
}


def jsonl(path: Path, rows: Sequence[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if "tsv" in path.name else ",")
        writer.writeheader()
        writer.writerows(rows)
    return path


def parquet(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=2)
    return path


def read(path: Path, **options: Any) -> Preview:
    return importers.preview(path, Options(**options), kinds=KINDS, now=NOW)


@pytest.mark.parametrize("name", formats.NAMES)
def test_every_format_is_known_by_its_keys(name: str, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [SAMPLES[name]] * 3)
    task = "same" if name in ("triplets", "pairs", "clicks") else "erd"
    found = read(path, task=task)
    assert (found.format, found.good, found.bad) == (name, 3, {})
    assert found.mapping.split(";")[0]
    assert read(path, task=task, format=name) == found


def test_every_sample_stands_in_the_docs() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "import-your-data.md"
    told = page.read_text(encoding="utf-8")
    for name in formats.NAMES:
        assert f"| `{name}` |" in told


def test_a_few_strange_rows_do_not_change_the_format(tmp_path: Path) -> None:
    rows = [{"strange": 1}, ALPACA, "{broken", ALPACA | {"output": ""}, [1], ALPACA]
    found = read(jsonl(tmp_path / "mixed.jsonl", rows), task="erd")
    assert (found.format, found.rows, found.good) == ("alpaca", 6, 2)
    reasons = {bad.row: bad.reason for bad in found.quarantined}
    assert reasons[1] == "instruction is missing"
    assert "not valid JSON" in reasons[3]
    assert reasons[4] == "output is empty"
    assert "this is a list" in reasons[5]


def test_an_unknown_format_names_the_keys_and_the_way_out(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "odd.jsonl", [{"question": "p", "reply": "o"}])
    with pytest.raises(
        InputError, match=r"question, reply.*--format .*alpaca.*--map prompt=COLUMN"
    ):
        read(path, task="erd")
    columns = {"prompt": "question", "output": "reply"}
    assert read(path, task="erd", columns=columns).first == (
        {"prompt": "p", "output": "o", "task": "erd"},
    )
    with pytest.raises(InputError, match=r"no format 'alpace'\. Known: .*alpaca"):
        read(path, format="alpace")


def test_a_column_may_lie_inside_another(tmp_path: Path) -> None:
    record = {"data": {"text": "p", "draft": "o"}, "annotations": []}
    path = jsonl(tmp_path / "ls.json", [record])
    columns = {"prompt": "data.text", "output": "data.draft"}
    found = read(path, task="erd", columns=columns)
    assert (found.first[0]["prompt"], found.first[0]["output"]) == ("p", "o")


def test_rows_without_a_task_ask_for_one_and_name_the_choices(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [ALPACA])
    with pytest.raises(InputError, match="--task NAME; defined: ddl, erd, same"):
        read(path)
    with pytest.raises(InputError, match="task 'edr' is not defined; defined: ddl"):
        read(path, task="edr")
    assert read(jsonl(path, [ALPACA | {"task": "ddl"}])).first[0]["task"] == "ddl"


def test_pairs_need_a_task_of_their_kind(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "p.jsonl", [SAMPLES["pairs"]])
    with pytest.raises(InputError, match=r"'erd' is not of kind similarity.*: same"):
        read(path, task="erd")
    with pytest.raises(InputError, match="defined of kind similarity: same"):
        read(path)
    with pytest.raises(InputError, match=r"none: add a .tasks.NAME. section of kind similarity"):
        importers.preview(path, Options(), kinds={"erd": "mermaid-erd"}, now=NOW)


@pytest.mark.parametrize("write", [table, parquet])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_tables_read_like_jsonl(write: Callable[..., Path], suffix: str, tmp_path: Path) -> None:
    rows = [
        {"task": "erd", "prompt": "a, b\nc", "output": "o;1", "score": 0.5, "note": "x"},
        {"task": "erd", "prompt": "[p", "output": "o2", "score": None, "note": "y"},
        {"task": "erd", "prompt": "p3", "output": "o3", "score": 7.0, "note": "z"},
    ]
    name = f"rows.{suffix}" if write is table else "rows.parquet"
    found = read(write(tmp_path / name, rows))
    assert found.format == "honewheel"
    assert found.mapping.endswith("not read: note")
    assert (found.rows, found.good) == (3, 2)
    assert float(found.first[0].pop("score")) == 0.5
    assert found.first == (
        {"task": "erd", "prompt": "a, b\nc", "output": "o;1"},
        {"task": "erd", "prompt": "[p", "output": "o2"},
    )
    assert "less than or equal to 1" in found.quarantined[0].reason


def test_a_table_may_be_in_any_format_and_carry_json(tmp_path: Path) -> None:
    found = read(table(tmp_path / "a.csv", [ALPACA, ALPACA]), task="erd")
    assert (found.format, found.good) == ("alpaca", 2)
    rows = [{"prompt": "p", "output": "o", "thumb": "up", "context": '{"notes": "short"}'}]
    found = read(table(tmp_path / "b.csv", rows), task="erd")
    assert found.first[0]["context"] == {"notes": "short"}
    messages = parquet(tmp_path / "c.parquet", [CHAT, CHAT])
    assert (read(messages, task="erd").format, read(messages, task="erd").good) == ("chat", 2)


def test_stars_of_a_table_go_by_the_scale(tmp_path: Path) -> None:
    rows = [{"question": "p", "reply": "o", "stars": stars} for stars in ("4", "", "6")]
    columns = {"prompt": "question", "output": "reply", "score": "stars"}
    found = read(table(tmp_path / "s.csv", rows), task="erd", columns=columns, scale=5)
    assert [row.get("score") for row in found.first] == [0.8, None]
    assert found.quarantined[0].reason.startswith("score is 6, outside 0 to 5")


def test_a_ragged_or_oversized_row_of_a_table_spares_its_neighbours(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    big = "x" * (1 << 20)
    path.write_text(f"task,prompt,output\nerd,p,o\nerd,p,o,extra\nerd,{big},o\n\nerd,p2,o\n")
    found = read(path)
    assert (found.rows, found.good) == (4, 2)
    assert [bad.reason for bad in found.quarantined] == [
        "the row has 4 cells, the header 3",
        "the row is larger than 1,048,576 bytes",
    ]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_document_is_a_list_of_records(indent: int | None, tmp_path: Path) -> None:
    path = tmp_path / "share.json"
    path.write_text(json.dumps([SAMPLES["sharegpt"], 3, SAMPLES["sharegpt"]], indent=indent))
    found = read(path, task="erd")
    assert (found.format, found.rows, found.good) == ("sharegpt", 3, 2)
    assert found.quarantined[0].row == 2
    path.write_text(json.dumps({"object": "list", "data": [SAMPLES["openai"]]}, indent=indent))
    assert read(path, task="erd").good == 1
    path.write_text(json.dumps(SAMPLES["langfuse"], indent=indent))
    assert read(path, task="erd").format == "langfuse"
    path.write_text(json.dumps(ALPACA) + "\n" + json.dumps(ALPACA))
    assert read(path, task="erd").rows == 2


def test_a_document_over_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "big.json"
    path.write_text(json.dumps([ALPACA] * 2000))
    monkeypatch.setattr(files, "MAX_DOCUMENT", 1 << 16)
    with pytest.raises(InputError, match=r"is read whole, up to 0 MiB\. Write one object a line"):
        read(path, task="erd")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b"[{", "is not valid JSON"),
        ("a.parquet", b"PAR1 and then nothing", "no Parquet file that can be read"),
    ],
)
def test_a_broken_file_is_told(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read(path, task="erd")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.jsonl")


def test_bytes_that_no_store_keeps_are_refused_row_by_row(tmp_path: Path) -> None:
    rows = [ALPACA | {"output": "a\x00b"}, ALPACA | {"output": "a\ud800"}, ALPACA]
    path = jsonl(tmp_path / "b.jsonl", [*rows, '{"instruction": NaN, "output": "x"}'])
    path.write_bytes(path.read_bytes() + b'{"instruction": "\xff", "output": "x"}\n')
    found = read(path, task="erd")
    assert (found.rows, found.good) == (5, 1)
    assert all(bad.raw.encode() and "\x00" not in bad.raw for bad in found.quarantined)


def test_a_file_of_millions_is_streamed(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "long.jsonl", [ALPACA] * 1000)
    lines: Iterator[Any] = files.source(path).lines()
    assert next(lines).number == 1
    path.write_text("")  # what was not read yet is not in memory
    assert sum(1 for _ in lines) < 999


# --- into a store -----------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "honewheel.toml").write_text(PROJECT)

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = call(["--project", str(folder), *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def events(run: Any) -> tuple[int, int]:
    log = json.loads(run("status", "--json")[1])["log"]
    return log["events"], log["quarantined"]


def test_a_dry_run_shows_rows_and_reasons_and_stores_nothing(run: Any, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [ALPACA, ALPACA | {"output": ""}, *[ALPACA] * 8])
    code, out, err = run("import", str(path), "--task", "erd", "--dry-run")
    assert code == DONE
    shown = [json.loads(line) for line in out.splitlines()]
    assert len(shown) == 5
    assert shown[0] == {
        "task": "erd",
        "prompt": "Draw it",
        "demonstration": ALPACA["output"],
    }
    assert "read as alpaca: instruction + input -> prompt, output -> demonstration" in err
    assert "9 of 10 rows good; nothing is stored" in err
    assert "1 bad: output is empty" in err
    assert events(run) == (0, 0)
    told = json.loads(run("import", str(path), "--task", "erd", "--dry-run", "--json")[1])[0]
    assert (told["format"], told["good"], told["bad"]) == ("alpaca", 9, {"output is empty": 1})
    assert run("import", str(jsonl(path, ["{"])), "--dry-run")[0] == FAILED


def test_an_import_is_idempotent_and_says_how_it_read(run: Any, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [ALPACA, ALPACA | {"output": ""}])
    for _ in range(2):
        code, _, err = run("import", str(path), "--task", "erd")
        assert code == DONE
        assert "1 of 2 rows stored" in err
        assert "read as alpaca" in err
        assert "row 2: output is empty (quarantined)" in err
    assert events(run) == (1, 1)


def test_one_file_that_cannot_be_read_does_not_keep_the_others(run: Any, tmp_path: Path) -> None:
    first = jsonl(tmp_path / "a.jsonl", [ALPACA])
    odd = tmp_path / "b.parquet"
    odd.write_bytes(b"PAR1")
    last = jsonl(tmp_path / "c.jsonl", [ALPACA | {"input": "another"}])
    words = [str(first), str(odd), str(last), "--task", "erd"]
    code, out, err = run("import", *words, "--json")
    assert code == FAILED
    assert f"1 of 3 files could not be read: {odd}" in err
    told = json.loads(out)
    assert [row.get("stored") for row in told] == [1, None, 1]
    assert told[1]["error"] in err
    assert events(run) == (2, 0)
    code, out, err = run("import", *words, "--dry-run", "--json")
    assert (code, [row.get("good") for row in json.loads(out)]) == (FAILED, [1, None, 1])
    assert run("import", *words[:1], *words[2:])[0] == DONE


def test_a_mapped_column_that_no_row_has_is_told_at_once(run: Any, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("Question,Answer,Verdict\nDraw it,erDiagram,1\n")
    maps = ["--map", "prompt=Question", "--map", "output=Answer", "--map", "thumb=Verdikt"]
    code, _, err = run("import", str(table), "--task", "erd", *maps)
    assert code == USAGE
    assert "--map thumb=Verdikt: 'Verdikt' is none of the keys of its columns. Did you mean" in err
    rows = [{"ask": "Draw it", "output": "erDiagram", "up": 1}] * 2
    path = jsonl(tmp_path / "a.jsonl", rows)
    code, _, err = run("import", str(path), "--task", "erd", "--map", "prompt=asked")
    assert code == USAGE
    assert "prompt=asked: 'asked' is none of the keys of its first 2 rows. Did you mean ask?" in err
    sparse = ["--map", "prompt=ask", "--map", "correction=fixed", "--map", "thumb=up"]
    assert run("import", str(path), "--task", "erd", *sparse, "--dry-run")[0] == DONE
    assert events(run) == (0, 0)


def test_rows_of_many_parts_are_one_event_with_all_that_was_said(run: Any, tmp_path: Path) -> None:
    scores = [{"name": "up", "dataType": "BOOLEAN", "value": 1}]
    path = jsonl(tmp_path / "t.jsonl", [SAMPLES["langfuse"] | {"scores": scores}])
    for seconds in (0, 9):  # a touched file brings the same rows
        path.touch()
        told = run("import", str(path), "--task", "erd")[2]
        assert "1 of 1 row stored" in told
        assert ("nothing new" in told) == (seconds > 0)
        path.write_text(path.read_text() + "\n" * seconds)
    assert events(run) == (1, 0)
    log = json.loads(run("status", "--json")[1])["log"]
    assert log["feedback"] == 1


def test_a_second_file_completes_the_first(run: Any, tmp_path: Path) -> None:
    body = {"choices": [{"message": CHAT["messages"][1]}]}
    lines = [{"custom_id": f"r{n}", "response": {"body": body}} for n in range(2)]
    answers = jsonl(tmp_path / "output.jsonl", lines)
    asked = jsonl(tmp_path / "input.jsonl", [{"custom_id": "r0", "body": CHAT}])
    words = ["import", str(answers), "--task", "erd", "--with", str(asked)]
    code, _, err = run(*words)
    assert (code, "1 of 2 rows stored" in err) == (DONE, True)
    assert "must hold the custom_id 'r1'" in err
    chat = jsonl(tmp_path / "chat.jsonl", [CHAT])
    code, _, err = run("import", str(chat), "--task", "erd", "--with", str(asked))
    assert (code, "needs no second file" in err) == (USAGE, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--format", "alpace"], "no format 'alpace'"),
        (["--map", "prompt"], "--map takes KEY=COLUMN"),
        (["--scale", "0"], "a number above 0"),
        ([], "its rows name no task. Add --task NAME; defined: ddl, erd"),
    ],
)
def test_wrong_usage_of_import_stores_nothing(
    words: list[str], told: str, run: Any, tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "a.jsonl", [ALPACA])
    code, _, err = run("import", str(path), *words)
    assert (code, told in err) == (USAGE, True), err
    assert events(run) == (0, 0)


def test_a_preference_reaches_the_log(run: Any, tmp_path: Path) -> None:
    rows = [
        {"id": "evt_a", "task": "erd", "prompt": "p", "output": "one"},
        {"id": "evt_b", "task": "erd", "prompt": "p", "output": "two", "preferred_over": "evt_a"},
    ]
    assert run("import", str(jsonl(tmp_path / "ab.jsonl", rows)))[0] == DONE
    shown = json.loads(run("show", "evt_b", "--json")[1])["event"]["feedback"]
    assert [(item["kind"], item["text"]) for item in shown] == [("preferred", "evt_a")]
