"""An embedding model through the whole wheel: feedback, cycle, promotion, index, gateway."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest

import honewheel as hw
import wheels
from families import embedding_builders as builders
from honewheel.cli.app import call
from honewheel.errors import ConfigError, InputError, NotFound
from server.conftest import running

TOML = """\
[project]
name = "desk"

[models.tickets]
family = "embedding"
base = "{base}"
tasks = ["same_intent"]

[models.tickets.train]
learning_rate = 0.03
updates = 60

[models.tickets.gate]
min_items = 15

[tasks.same_intent]
kind = "similarity"

[models.artifacts]
family = "causal-lm"
base = "honewheel/tiny"
tasks = ["erd"]

[tasks.erd]
kind = "mermaid-erd"

[curate]
min_examples = 5
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose people said of 600 pairs whether they are of one intent, after a cycle."""
    folder = tmp_path_factory.mktemp("desk")
    base = builders.make_base(folder / "base")
    (folder / "honewheel.toml").write_text(TOML.format(base=base))
    draw = random.Random(3)
    with hw.open(folder) as wheel:
        made = (builders.example(number, draw, "train") for number in range(600))
        said = {"task": "same_intent", "output": "0.5", "source": "ana", "version": "tickets@0"}
        rows = [said | {"prompt": row.prompt, "correction": row.target} for row in made]
        wheel.import_file(wheels.write_jsonl(folder / "pairs.jsonl", rows))
        decision = wheel.cycle("tickets")
        assert decision.verdict == "promote", decision.reasons
    sentences = [builders.sentence(draw.choice(sorted(builders.INTENTS)), draw) for _ in range(50)]
    (folder / "texts.txt").write_text("\n".join(sentences))
    return folder


@pytest.fixture
def wheel(desk: Path) -> Iterator[hw.Wheel]:
    with wheels.open_wheel(desk) as found:
        yield found


def test_a_head_learnt_from_feedback_is_promoted_and_reported(wheel: hw.Wheel) -> None:
    told = wheel.show("tickets")
    assert told["version"]["name"] == "tickets@1"
    assert told["champion"]
    assert told["training"]["realised"]["loss"] == "mse"
    assert told["training"]["history"][0]["val_loss"] is not None
    assert wheel.report().is_file()


def test_an_index_follows_the_champion(
    wheel: hw.Wheel, desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, texts = tmp_path / "index", desk / "texts.txt"
    assert wheel.embed("tickets@0", texts, folder).index.version == "tickets@0"
    moved = wheel.reindex(folder)
    assert (moved.index.version, moved.embedded) == ("tickets@1", 50)
    assert wheel.reindex(folder).kept == 50
    first = texts.read_text().splitlines()[0]
    found = wheel.search_similar(first, folder, most=3)
    assert (found[0].id, found[0].text) == ("1", first)
    assert found[0].score == pytest.approx(1.0, abs=1e-5)
    with wheel.vectors("tickets") as model:
        assert np.linalg.norm(model.embed([first])) == pytest.approx(1.0, abs=1e-5)
    for bad, error in (
        (lambda: wheel.search_similar(" ", folder), InputError),
        (lambda: wheel.embed("tickets", desk / "none", folder), InputError),
        (lambda: wheel.reindex(tmp_path / "nothing"), NotFound),
        (lambda: wheel.embed("tickets@7", texts, folder), NotFound),
    ):
        with pytest.raises(error):
            bad()
    with pytest.raises(ConfigError, match="artifacts is of the family causal-lm, which makes no"):
        wheel.embed("artifacts", texts, tmp_path / "other")
    wheel.close()
    project = ["--project", str(desk)]
    assert call([*project, "embed", "tickets", str(texts), "--out", str(folder)]) == 0
    assert "0 embedded, 50 kept as they were" in capsys.readouterr().err
    assert call([*project, "reindex", str(folder), "--version", "tickets@0", "--json"]) == 0
    assert '"embedded": 50' in capsys.readouterr().out
    assert call([*project, "search-similar", first, "--index", str(folder), "-k", "2"]) == 0
    assert first in capsys.readouterr().out


def test_the_gateway_embeds_in_process(wheel: hw.Wheel) -> None:
    texts = ["card lost wallet", "exchange rate euro"]
    with wheel.vectors("tickets") as model:
        expected = model.embed(texts)
    with running(wheel) as live:
        sdk = openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0)
        for coding in ("base64", "float"):
            found = sdk.embeddings.create(model="tickets", input=texts, encoding_format=coding)
            got = np.array([one.embedding for one in found.data]) if coding == "float" else None
            if got is not None:
                assert got == pytest.approx(expected, abs=1e-5)
            assert found.model == "tickets@1"
            assert found.usage.prompt_tokens == 10
        plain = sdk.embeddings.create(model="same_intent", input=texts[0])
        assert np.array(plain.data[0].embedding) == pytest.approx(expected[0], abs=1e-5)
        for bad in (
            {"input": [[1, 2]]},
            {"input": []},
            {"input": ["a", " "]},
            {"input": ["a"] * 2049},
        ):
            with pytest.raises(openai.BadRequestError):
                sdk.embeddings.create(model="tickets", **bad)
        with pytest.raises(openai.BadRequestError, match="dimensions is not supported"):
            sdk.embeddings.create(model="tickets", input="a", dimensions=8)
        with pytest.raises(openai.BadRequestError, match="encoding_format"):
            sdk.embeddings.create(model="tickets", input="a", encoding_format="int8")
        sdk.close()


def test_neighbours_over_http(wheel: hw.Wheel, desk: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("card lost wallet\nexchange rate euro\ncard stolen bag\n")
    folder = tmp_path / "index"
    wheel.embed("tickets", texts, folder)
    expected = wheel.search_similar("card lost", folder, most=2)
    with hw.open(desk, set=[f"models.tickets.index={folder}"]) as named, running(named) as live:
        client = hw.Client(live.url)
        found = client.neighbours("tickets", "card lost", most=2)
        assert [(one["id"], one["text"]) for one in found] == [
            (one.id, one.text) for one in expected
        ]
        assert found[0]["score"] == pytest.approx(expected[0].score, abs=1e-5)
        wheel.reindex(folder, "tickets@0")  # exchanged under a running server
        assert len(client.neighbours("tickets", "card lost")) == 3
        path = "/v1/models/tickets/neighbours"
        for bad in ({}, {"text": ""}, {"text": "a", "most": 0}, {"text": "a", "folder": "/"}):
            assert live.post(path, bad).status == 422
        assert live.post(path, {"text": " "}).status == 422
        assert live.post("/v1/models/none/neighbours", {"text": "a"}).status == 404
        told = live.post("/v1/models/artifacts/neighbours", {"text": "a"})
        assert told.status == 404
        assert "models.artifacts.index" in told.json["error"]["message"]
        assert live.as_("writer").post(path, {"text": "card"}).status == 200
        assert live.post(path, {"text": "card"}).status == 401  # there is a key now
        (folder / "index.json").unlink()
        with pytest.raises(NotFound, match="no index in"):
            hw.Client(live.url, key=live.as_("writer").key).neighbours("tickets", "card")


def test_pairs_mine_writes_what_the_version_takes_for_the_same(
    wheel: hw.Wheel, desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel.close()
    draw = random.Random(8)
    rows = [
        {"text": builders.sentence(name, draw), "label": name}
        for name in sorted(builders.INTENTS)
        for _ in range(4)
    ]
    file, out = wheels.write_jsonl(tmp_path / "texts.jsonl", rows), tmp_path / "pairs.jsonl"
    asked = ["--project", str(desk), "pairs", "mine", str(file), "--out", str(out)]
    assert call([*asked, "--task", "same_intent", "--margin", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    mined = [json.loads(line) for line in out.read_text().splitlines()]
    assert told["found"] == len(mined) > 0
    labels = {row["text"]: row["label"] for row in rows}
    for row in mined:
        assert labels[row["text_a"]] != labels[row["text_b"]]
        assert row["same"] is False
    with hw.open(desk) as again:
        assert again.import_file(out).stored == len(mined)


def test_a_light_cycle_goes_on_from_the_champion(desk: Path, tmp_path: Path) -> None:
    folder, draw = shutil.copytree(desk, tmp_path / "desk"), random.Random(11)
    light = "models.tickets.schedules.light.train.updates=20"
    with wheels.open_wheel(folder, light) as wheel:
        for number in range(120):
            row = builders.example(number, draw, "train")
            said = {"prompt": row.prompt, "output": "0.5", "correction": row.target}
            wheel.record(task="same_intent", source="ben", **said)
        wheel.cycle("tickets", schedule="light")
        newest = wheel.versions("tickets")[-1]
        assert (newest.number, newest.started_from) == (2, 1)
        spec = wheel.show("tickets@2")["training"]["spec"]
        assert spec["settings"]["start"] == "champion"
        assert spec["start_files"] == wheel.version("tickets@1").files
        rows = {row["check"]: row["found"] for row in wheel.doctor()}
        assert "head up to " in rows["embedding: can train"]
