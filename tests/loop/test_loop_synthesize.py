"""Examples that nobody gave: checked, marked, new, and only ever trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import DONE, FAILED, USAGE, call
from honewheel.curate import rows, synthetic
from honewheel.errors import HonewheelError, InputError
from honewheel.events.teacher import Endpoint
from honewheel.loop import intake, synthesize
from honewheel.loop.synthesize import Order
from teachers import Server, said

PAGE = """\
# Orders

An order belongs to one customer, and its table says so:

```sql
CREATE TABLE customer (id INTEGER PRIMARY KEY);
```

The same table again, but broken in the middle of it:

```sql
CREATE TABEL customer (id INTEGER PRIMARY KEY);
```
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Iterator[Any]:
    with wheels.open_wheel(wheels.project(tmp_path / "acme")) as found:
        yield found


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server((200, said("```mermaid\nerDiagram\n  shop {\n    int id PK\n  }\n```")))
    yield found
    found.close()


def events(wheel: Any) -> list[Any]:
    intake.run(wheel.store, wheel.config, listen=lambda _: None)
    return list(wheel.store.log.events(None, wheel.store.log.last_seq()))


def prompts(path: Path, *texts: str) -> Path:
    return wheels.write_jsonl(path, [{"prompt": text} for text in texts])


def test_templates_give_marked_examples_that_only_train(wheel: Any) -> None:
    found = wheel.synthesize(Order(task="erd", origin="templates", count=60))
    assert (found.made, found.stored) == (60, 60)
    made = events(wheel)
    assert len(made) == 60
    assert {event.placement.split for event in made} == {"train"}
    for event in made:
        assert event.placement.quarantined is None
        assert event.simulated
        assert event.response.demonstration
        assert event.response.decoding["synthesize"] == "templates"
        assert {item.source for item in event.feedback} == {"synthesize:templates"}


def test_real_events_still_go_to_every_split(wheel: Any, tmp_path: Path) -> None:
    wheels.fill(wheel, tmp_path)
    assert {event.placement.split for event in events(wheel)} == {"train", "val", "test"}


def test_they_are_new_to_learn(wheel: Any) -> None:
    wheel.synthesize(Order(task="erd", origin="templates", count=5))
    offered, dropped = rows.gather(
        events(wheel),
        checks=intake.checker(wheel.config),
        min_value=0.5,
        used=frozenset(),
    )
    assert dropped == []
    assert [row.example.role for row in offered] == ["new"] * 5
    assert all(row.example.simulated for row in offered)
    assert all(row.source.startswith(synthetic.SOURCE) for row in offered)
    kept, over = synthetic.cap(offered, 0.5)
    assert (kept, len(over)) == ([], 5)  # nothing real stands beside them


def test_again_makes_others_and_nothing_twice(wheel: Any) -> None:
    order = Order(task="erd", origin="templates", count=20)
    first, second = wheel.synthesize(order), wheel.synthesize(order)
    assert second.left_out["asked in the log already"] >= 20
    texts = {row["prompt"] for row in (*first.rows, *second.rows)}
    assert len(texts) == 40
    assert not any(event.placement.quarantined for event in events(wheel))


def test_a_preview_stores_nothing(wheel: Any) -> None:
    found = wheel.synthesize(Order(task="ddl", origin="templates", count=3), keep=False)
    assert (found.made, found.stored, len(found.rows)) == (3, 0, 3)
    assert events(wheel) == []


def test_documents_give_what_their_task_accepts(wheel: Any, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "orders.md").write_text(PAGE)
    (folder / "LICENSE.md").write_text(PAGE)
    found = wheel.synthesize(Order(task="ddl", origin="documents", folder=folder))
    assert (found.drafts, found.stored) == (2, 1)
    assert list(found.left_out) == ["invalid: sql-error"]
    assert found.skipped == {"scaffolding": 1}
    (event,) = events(wheel)
    assert event.response.decoding["file"] == "orders.md"
    assert event.response.prompt.startswith("Orders\n\nAn order belongs")


def test_what_resembles_the_test_set_or_a_real_question_is_kept_out(
    wheel: Any, tmp_path: Path
) -> None:
    wheels.fill(wheel, tmp_path)
    real = [event for event in events(wheel) if event.response.task == "erd"]
    held = next(event for event in real if event.placement.split == "test").response.prompt
    known = next(event for event in real if event.placement.split == "train").response.prompt
    like = held.replace("erDiagram", "erDiagram\n ", 1) + "\n%% once more"
    file = prompts(tmp_path / "asked.jsonl", like, known)
    found = wheel.synthesize(Order(task="erd", origin="teacher", base="memo/echo", prompts=file))
    assert (found.stored, found.left_out) == (1, {"asked in the log already": 1})
    made = [event for event in events(wheel) if synthetic.is_synthetic(event.response)]
    assert [event.placement.split for event in made] == ["test"]
    assert "held out (test)" in made[0].placement.quarantined


def test_a_made_up_answer_never_overrules_a_real_question(wheel: Any, tmp_path: Path) -> None:
    """Recorded before intake saw the real one, so only intake can tell."""
    row = wheels.feedback(1)[0]
    file = prompts(tmp_path / "asked.jsonl", row["prompt"])
    # Its id decides its split: with a drawn one, one run in ten would hold it out.
    wheel.record(**{key: row[key] for key in ("id", "task", "prompt", "output", "correction")})
    wheel.synthesize(Order(task="erd", origin="teacher", base="memo/echo", prompts=file))
    made = [event for event in events(wheel) if synthetic.is_synthetic(event.response)]
    assert "already holds its question" in made[0].placement.quarantined


def test_a_teacher_is_asked_only_what_is_new(wheel: Any, server: Server, tmp_path: Path) -> None:
    file = prompts(tmp_path / "asked.jsonl", "Draw a shop", "draw  a shop", "Draw two ships")
    order = Order(
        task="erd",
        origin="teacher",
        endpoint=Endpoint(url=server.url, model="wise"),
        prompts=file,
    )
    found = wheel.synthesize(order)
    assert (found.stored, found.left_out) == (2, {"drafted twice": 1})
    assert len(server.asked) == 2
    assert found.rows[0]["demonstration"].startswith("erDiagram")
    assert found.rows[0]["decoding"]["teacher"] == "wise"
    assert wheel.synthesize(order).stored == 0


def test_what_a_teacher_wrote_before_it_failed_is_kept(
    wheel: Any, server: Server, tmp_path: Path
) -> None:
    server.steps = [server.steps[0], (500, "gone")]
    file = prompts(tmp_path / "asked.jsonl", "Draw a shop", "Draw two ships")
    endpoint = Endpoint(url=server.url, model="wise", attempts=2)
    order = Order(task="erd", origin="teacher", endpoint=endpoint, prompts=file)
    with pytest.raises(HonewheelError, match="gave no answer in 2 attempts"):
        synthesize.run(wheel.store, wheel.config, order, now=wheel.clock(), sleep=lambda _: None)
    assert len(events(wheel)) == 1


def test_templates_ask_the_teacher_when_no_prompts_are_given(wheel: Any) -> None:
    order = Order(task="erd", origin="teacher", base="memo/echo", count=3)
    found = wheel.synthesize(order)  # an echo of a sentence is no diagram
    assert (found.made, found.left_out) == (0, {"invalid: not-a-diagram": 9})


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"origin": "documents"}, "Give a folder"),
        ({"origin": "teacher"}, "Which teacher?"),
        ({"origin": "templates", "count": 0}, "at least 1"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Order(task="erd", **order)


# --- as a command -----------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    folder = wheels.project(tmp_path / "acme")

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = call(["--project", str(folder), "synthesize", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def test_a_preview_prints_rows_that_import_would_take(run: Any) -> None:
    code, out, err = run("--task", "erd", "--from", "templates", "--preview", "2")
    assert code == DONE
    shown = [json.loads(line) for line in out.splitlines()]
    assert [row["source"] for row in shown] == ["synthesize:templates"] * 2
    assert "2 examples made of 2 drafts; nothing is stored" in err


def test_a_key_comes_from_the_environment_and_stays_there(
    run: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sesame")
    file = str(prompts(tmp_path / "asked.jsonl", "Draw a shop"))
    words = ["--task", "erd", "--from", "teacher", server.url, "--model", "wise"]
    code, out, err = run(*words, "--prompts", file, "--key-env", "MY_KEY", "--json")
    assert (code, json.loads(out)["stored"]) == (DONE, 1)
    assert server.headers[0]["Authorization"] == "Bearer sesame"
    assert "sesame" not in out + err
    logs = (tmp_path / "acme" / ".honewheel" / "logs").glob("*-synthesize.log")
    assert all("sesame" not in log.read_text() for log in logs)
    assert run(*words, "--key-env", "NOT_SET")[0] == USAGE
    assert run(*words, "--prompts", file)[0] == FAILED  # nothing new


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "templates"], "Which task?"),
        (["--task", "edr"], "Did you mean erd?"),
        (["--task", "erd", "--from", "documents"], "Give a folder"),
        (["--task", "erd", "--from", "documents", "/nope"], "is no folder"),
        (["--task", "erd", "--from", "teacher"], "Which teacher?"),
        (["--task", "erd", "--from", "teacher", "http://localhost/v1"], "Give --model NAME"),
        (["--task", "erd", "--from", "teacher", "here", "--model", "m"], "no address of a teacher"),
        (["--task", "erd", "--from", "dreams"], "dreams"),
    ],
)
def test_wrong_usage_is_told(words: list[str], told: str, run: Any) -> None:
    code, _, err = run(*words)
    assert (code, told in err) == (USAGE, True), err
