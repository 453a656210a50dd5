"""The embedding family on tiny random models: what is learnt, kept, told, refused."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import embedding_builders as builders
import numpy as np
import pytest
import torch

from honewheel import atomic
from honewheel.errors import ConfigError, Damaged, MissingExtra, NotFound, UnsafeModel
from honewheel.families.embedding import base as bases
from honewheel.families.embedding import learner, losses, pairs, step
from honewheel.families.embedding.encoder import Encoder
from honewheel.families.embedding.family import Embedding
from honewheel.records import Dataset, Decoding, Json, Progress, Spec, dataset_hash
from honewheel.tasks.similarity import as_prompt
from honewheel.testing import killed

FAMILY = Embedding()


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builders.make_base(tmp_path_factory.mktemp("embedding") / "bert")


def trained(given: Spec, run_dir: Path, data: Dataset | None = None) -> list[Progress]:
    run_dir.mkdir(parents=True, exist_ok=True)
    return list(FAMILY.train(given, data or builders.dataset(), run_dir))


def report(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "final" / "training.json").read_text())
    return found


def answers(base: Path, version: Path | None) -> list[float]:
    with FAMILY.open(str(base), version) as model:
        found = {one.item: one.output for one in model.predict(builders.items(), Decoding())}
    return [float(found[item.id]) for item in builders.items()]


# --- learning -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "gain", "changes"),
    [
        ("head", 0.2, {"learning_rate": 0.03}),
        pytest.param(
            *(
                "lora",
                0.02,
                {"learning_rate": 3e-3, "epochs": 15, "patience": 50},
            ),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("full", 0.3, {"learning_rate": 2e-3, "epochs": 15, "batch_size": 32}),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_each_rung_learns_intents_and_answers_held_out_pairs_better(
    bert: Path, tmp_path: Path, method: str, gain: float, changes: dict[str, Json]
) -> None:
    trained(builders.spec(bert, method, **changes), tmp_path, builders.dataset(240, 80))
    labels = np.array([float(item.reference) for item in builders.items()])
    before, after = (np.array(answers(bert, version)) for version in (None, tmp_path / "final"))
    gap = [found[labels == 1].mean() - found[labels == 0].mean() for found in (before, after)]
    assert gap[1] > gap[0]
    scores = report(tmp_path)["scores"]
    assert max(score["spearman"] for _, score in scores) > scores[0][1]["spearman"] + gain


@pytest.mark.parametrize("loss", ["cosent", "mse", "mnrl", "cached-mnrl", "angle"])
def test_every_loss_lifts_a_head(bert: Path, tmp_path: Path, loss: str) -> None:
    given = builders.spec(bert, loss=loss, learning_rate=0.03, updates=150, patience=50)
    trained(given, tmp_path, builders.dataset(240, 80))
    found = report(tmp_path)
    assert found["realised"]["loss"] == loss
    scores = [score["spearman"] for _, score in found["scores"]]
    assert max(scores) > scores[0] + 0.1


def test_auto_takes_the_rate_that_is_best_on_validation_pairs(bert: Path, tmp_path: Path) -> None:
    trained(builders.spec(bert, updates=30), tmp_path)
    found = report(tmp_path)
    tried = {float(rate): score["spearman"] for rate, score in found["ladder"].items()}
    assert list(tried) == [1e-3, 3e-3, 1e-2]
    noise = 0.515 * (1 - max(tried.values()) ** 2) / 37**0.5
    near = [rate for rate, score in tried.items() if score >= max(tried.values()) - noise]
    assert found["rate"] == min(near)
    assert found["realised"]["learning_rate"] == found["rate"]


def test_auto_without_validation_takes_a_told_rate_and_the_last_state(
    bert: Path, tmp_path: Path
) -> None:
    data = builders.dataset(40, 0)
    given = builders.spec(bert, updates=10)
    (finding,) = FAMILY.check(given, data)
    assert finding.severity == "warning"
    assert "no validation pair, so the last state is kept and the rate is 0.001" in finding.message
    said = [one.message for one in trained(given, tmp_path, data)]
    assert any("no validation pair to choose a rate by: 0.001 is taken" in line for line in said)
    assert report(tmp_path)["best_update"] == report(tmp_path)["updates"] == 10


def test_the_start_is_kept_where_training_only_makes_it_worse(bert: Path, tmp_path: Path) -> None:
    flip = {"1": "0", "0": "1"}
    data = builders.dataset(240, 80)
    upside_down = tuple(replace(row, target=flip[row.target]) for row in data.train)
    wrong = Dataset(hash=dataset_hash(upside_down, data.val), train=upside_down, val=data.val)
    given = builders.spec(bert, learning_rate=0.01, updates=40, eval_every=1.0, patience=2)
    said = trained(given, tmp_path, wrong)
    assert "no improvement in 2 looks: stopped" in said[-1].message
    found = report(tmp_path)
    assert found["best_update"] == 0
    assert found["updates"] < 40
    bare, tuned = answers(bert, None), answers(bert, tmp_path / "final")
    assert tuned == pytest.approx(bare, abs=0.01)  # the head's vectors may be of bfloat16
    last = builders.spec(bert, learning_rate=0.01, updates=40, patience=50, keep="last")
    trained(last, tmp_path / "last", wrong)
    assert report(tmp_path / "last")["best_update"] == 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 16},
        {"scale": 5.0},
        {"schedule": "constant"},
        {"warmup_share": 0.5},
        {"weight_decay": 5.0},
        {"max_grad_norm": 0.05},
        {"epochs": 9},
        {"updates": 12},
        {"encoder_dropout": 0.0},
        {"rank": 4},
        {"alpha": 4},
        {"rslora": True},
        {"dropout": 0.3},
        {"target_modules": "query"},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_every_setting_changes_what_comes_out(
    bert: Path, tmp_path_factory: pytest.TempPathFactory, change: dict[str, Json]
) -> None:
    plain = _losses(bert, tmp_path_factory, {})
    assert _losses(bert, tmp_path_factory, change) != plain


def _losses(
    bert: Path, folders: pytest.TempPathFactory, change: dict[str, Json]
) -> list[tuple[int, float]]:
    settings: dict[str, Json] = {"learning_rate": 5e-3, "epochs": 3, "batch_size": 32}
    given = builders.spec(bert, "lora", **settings | change)
    folder = folders.mktemp("run")
    trained(given, folder, builders.dataset(64, 0))
    return [(at, loss) for at, loss in report(folder)["losses"]]


def test_settings_of_looking_and_saving_are_kept_to(bert: Path, tmp_path: Path) -> None:
    given = builders.spec(
        bert, learning_rate=1e-3, updates=60, eval_every=5.0, checkpoint_every=7, patience=50
    )
    halfway = FAMILY.train(given, builders.dataset(), tmp_path)
    assert isinstance(halfway, Iterator)
    (tmp_path).mkdir(exist_ok=True)
    next(one for one in halfway if one.step == 15 and one.loss is not None)
    halfway.close()  # type: ignore[attr-defined]
    kept = [path.name for path in (tmp_path / "course" / "checkpoints").iterdir()]
    assert "step-00000014" in kept
    said = trained(given, tmp_path)
    assert any(line.message.startswith("resumed after update 1") for line in said)
    assert [at for at, _ in report(tmp_path)["scores"]] == [0, 10, 20, 30, 40, 50, 60]


def test_rows_wait_for_their_time_and_weights_count(bert: Path, tmp_path: Path) -> None:
    data = builders.dataset(64, 0)
    late = tuple(replace(row, since=0.5 if at % 2 else 0.0) for at, row in enumerate(data.train))
    heavy = tuple(replace(row, weight=3.0 if at % 2 else 0.5) for at, row in enumerate(data.train))
    found = []
    for name, rows, more in (
        ("plain", data.train, {}),
        ("late", late, {}),
        ("stages", late, {"curriculum": "stages"}),
        ("heavy", heavy, {}),
    ):
        given = builders.spec(bert, learning_rate=0.01, updates=16, batch_size=16)
        given = replace(given, settings={**given.settings, **more})
        changed = Dataset(hash=dataset_hash(rows, ()), train=rows, val=())
        trained(given, tmp_path / name, changed)
        found.append([loss for _, loss in report(tmp_path / name)["losses"]])
    assert all(one != found[0] for one in found[1:])
    stages = report(tmp_path / "stages")["stages"]
    assert [stage["rows"] for stage in stages] == [32, 32]


# --- classes, cached gradients ------------------------------------------------------------------


def test_texts_joined_by_positive_pairs_or_labels_are_of_one_class() -> None:
    draw = random.Random(0)
    row = builders.example(0, draw, "train")

    def made(a: str, b: str, target: str, **context: str) -> Any:
        return replace(row, prompt=as_prompt(a, b), target=target, context=context)

    work = pairs.read(
        [
            made("a", "b", "1"),
            made("b", "c", "0.8"),
            made("c", "d", "0.7"),
            made("e", "f", "0", label_a="x", label_b="y"),
            made("g", "h", "0", label_a="y", label_b="z"),
        ],
        [],
        0.75,
    )
    of = dict(zip(work.texts, work.classes.tolist(), strict=True))
    assert of["a"] == of["b"] == of["c"] != of["d"]
    assert of["f"] == of["g"]
    assert len({of[text] for text in "adefh"}) == 5
    assert len(work.texts) == 8  # a text of several pairs is one text


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_cached_gradients_are_the_gradients(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dropout: float
) -> None:
    monkeypatch.setattr(step, "CACHED_TEXTS", 7)
    data = builders.dataset(24, 0)
    work = pairs.read(data.train, data.val, 0.75)
    given = builders.spec(bert, "full", precision="float32", encoder_dropout=dropout)
    found = []
    for cached in (True, False):
        taught = learner.make(given, bert, work.texts, tmp_path, lambda *_: None)
        taught.module.train()
        if not cached:
            taught = _InBlocks(taught)  # dropout draws pass by pass, so the passes must be alike
        torch.manual_seed(0)
        done = step.backward(taught, work, np.arange(24), losses.Mnrl(20.0, 0.75), cached=cached)
        gradient = torch.cat(
            [w.grad.flatten() for w in taught.module.parameters() if w.grad is not None]
        )
        found.append((done.loss, gradient))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)


class _InBlocks:
    def __init__(self, inner: Any) -> None:
        self.inner, self.module = inner, inner.module

    def embed(self, texts: Any) -> torch.Tensor:
        return torch.cat([self.inner.embed(texts[at : at + 7]) for at in range(0, len(texts), 7)])


# --- going on -----------------------------------------------------------------------------------


def test_a_killed_head_goes_on_and_ends_with_the_same_bytes(bert: Path, tmp_path: Path) -> None:
    """One real child, SIGKILL; the contract's slow test does so for every rung."""
    given = builders.spec(bert, updates=40, checkpoint_every=7)
    data, threads = builders.dataset(64, 24), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trained(given, tmp_path / "whole", data)
        killed(FAMILY.name, given, data, tmp_path / "killed", at_step=60)
        assert (tmp_path / "killed" / "rates" / "0.001" / "checkpoints").is_dir()
        trained(given, tmp_path / "killed", data)
    finally:
        torch.set_num_threads(threads)
    digests = {atomic.folder_digest(tmp_path / run / "final") for run in ("whole", "killed")}
    assert len(digests) == 1


def test_a_loss_that_is_no_number_goes_back_with_half_the_rate(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = losses.Mse.__call__, []

    def broken(self: losses.Mse, batch: losses.Batch) -> torch.Tensor:
        calls.append(1)
        return real(self, batch) * (float("nan") if len(calls) == 9 else 1.0)

    monkeypatch.setattr(losses.Mse, "__call__", broken)
    given = builders.spec(bert, learning_rate=2e-3, updates=12, checkpoint_every=4)
    said = [one.message for one in trained(given, tmp_path, builders.dataset(64, 0))]
    assert any(
        "the loss became nan" in line and "back to update 8 with half" in line for line in said
    )
    found = report(tmp_path)
    assert found["retreat"]["back_to"] == 8
    assert found["realised"]["learning_rate"] == pytest.approx(1e-3)


# --- what is told -------------------------------------------------------------------------------


def test_long_texts_are_counted_and_a_collapse_is_named(bert: Path, tmp_path: Path) -> None:
    data = builders.dataset(40, 24)
    long = replace(data.train[0], prompt=as_prompt("card " * 40, "lost wallet"))
    data = Dataset(hash="long", train=(long, *data.train[1:]), val=data.val)
    given = builders.spec(bert, updates=5, learning_rate=1e-3)
    (finding,) = FAMILY.check(given, data)
    assert finding.code == "too-long"
    assert "1 of 128 texts are longer than the 16 tokens that are read (longest 42)" in (
        finding.message
    )
    said = [one.message for one in trained(given, tmp_path, data)]
    assert any("1 of 128 texts are longer than 16 tokens" in line for line in said)
    assert report(tmp_path)["texts_cut"] == 1
    same = {**given.settings, "loss": "mse", "learning_rate": 0.1, "updates": 60}
    ones = tuple(replace(row, target="1") for row in data.train[1:])
    all_alike = Dataset(hash="alike", train=ones, val=data.val)
    said = [
        one.message for one in trained(replace(given, settings=same), tmp_path / "alike", all_alike)
    ]
    assert any("COLLAPSED" in line for line in said)


@pytest.mark.parametrize(
    ("target", "loss", "message"),
    [
        ("maybe", "mse", "1 of 40 examples are no labelled pairs (first train-0: 'maybe'"),
        ("2", "mse", "2 is outside 0 .. 1"),
    ],
)
def test_labels_that_are_none_are_refused(bert: Path, target: str, loss: str, message: str) -> None:
    data = builders.dataset(40, 0)
    bad = (replace(data.train[0], target=target), *data.train[1:])
    (finding,) = FAMILY.check(builders.spec(bert, loss=loss), Dataset(hash="", train=bad, val=()))
    assert finding.severity == "error"
    assert message in finding.message


def test_pairs_that_teach_nothing_are_refused_or_warned_of(bert: Path) -> None:
    data = builders.dataset(40, 24)

    def told(rows: Any, **changes: Json) -> list[tuple[str, str]]:
        found = FAMILY.check(
            builders.spec(bert, **changes), Dataset(hash="", train=tuple(rows), val=data.val)
        )
        return [(one.code, one.severity) for one in found]

    ones = [replace(row, target="1") for row in data.train]
    zeros = [replace(row, target="0") for row in data.train]
    assert told(ones, loss="cosent") == [("labels", "error")]
    assert told(zeros, loss="mnrl") == [("labels", "error")]
    assert told(ones, loss="mnrl") == told(ones, loss="mse") == []
    twice = [replace(data.train[0], prompt=as_prompt("card", " card ")), *data.train[1:]]
    assert told(twice) == [("same-text", "warning")]
    assert told([]) == [("pair", "error")]


# --- bases and versions -------------------------------------------------------------------------


def test_vectors_are_those_of_sentence_transformers(bert: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["card lost", "how is the exchange rate today again my help", "pin", "x y z"]
    expected = SentenceTransformer(str(bert), device="cpu").encode(texts)
    with FAMILY.open(str(bert), None) as model:
        found = model.embed(texts)
        assert model.embed([]).shape == (0, 32)
    assert found == pytest.approx(expected, abs=1e-5)
    passes = list(Encoder(bert).passes(np.array([3, 30, 4, 5, 12])))
    assert [rows.tolist() for rows in passes] == [[0, 2, 3], [4, 1]]


def test_minilm_is_the_published_model_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = bases.resolve("minilm")
    assert len(found) == 64
    copy = Path(shutil.copytree(folder, tmp_path / "model"))
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x00")
    monkeypatch.setattr(bases, "locate", lambda _: copy)
    with pytest.raises(Damaged, match="is not all-MiniLM-L6-v2 as published"):
        bases.resolve("minilm")
    monkeypatch.undo()
    monkeypatch.setattr(bases, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'honewheel\[minilm\]'"):
        bases.resolve("minilm")


def test_code_pickles_and_what_is_no_model_are_refused(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no folder /nowhere/at/all"):
        bases.resolve("/nowhere/at/all")
    copy = Path(shutil.copytree(bert, tmp_path / "base"))
    (copy / "1_Pooling" / "weights.bin").write_bytes(b"x")
    with pytest.raises(UnsafeModel, match=r"weights\.bin"):
        bases.resolve(str(copy))
    (copy / "1_Pooling" / "weights.bin").unlink()
    modules = (copy / "modules.json").read_text()
    (copy / "modules.json").write_text(modules.replace("sentence_transformers.", "evil."))
    with pytest.raises(UnsafeModel, match="names the module 'evil"):
        bases.resolve(str(copy))
    (copy / "modules.json").unlink()
    with pytest.raises(NotFound, match=r"has no modules\.json"):
        bases.resolve(str(copy))


def test_a_weight_that_is_missing_is_not_made_up(bert: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    copy = Path(shutil.copytree(bert, tmp_path / "base"))
    tensors = load_file(copy / "model.safetensors")
    tensors.pop(next(name for name in tensors if name.endswith("query.weight")))
    save_file(tensors, copy / "model.safetensors")
    with pytest.raises(Damaged, match=r"1 tensors are missing, first .*query\.weight"):
        FAMILY.open(str(copy), None)


def test_a_version_belongs_to_the_base_it_was_trained_on(bert: Path, tmp_path: Path) -> None:
    trained(builders.spec(bert, updates=5, learning_rate=1e-3), tmp_path / "run")
    other = builders.make_base(tmp_path / "other", hidden=16)
    with pytest.raises(ConfigError, match=r"was trained on .* Its vectors would mean nothing"):
        FAMILY.open(str(other), tmp_path / "run" / "final")
    names = {path.name for path in (tmp_path / "run" / "final").iterdir()}
    assert names == {
        "embedding.json", "head.safetensors", "manifest.json", "tokenizer.json",
        "tokenizer_config.json", "training.json",
    }  # fmt: skip
    atomic.verify(tmp_path / "run" / "final")


def test_an_estimate_tells_what_grows_with_what(bert: Path) -> None:
    data = builders.dataset()
    head, lora, full = (
        FAMILY.estimate(builders.spec(bert, method), data) for method in FAMILY.methods
    )
    assert set(head.bytes_by_part) == {"weights", "vectors", "trained", "libraries"}
    assert lora.bytes_by_part["gradients and optimizer"] > 0
    assert full.bytes_by_part["gradients and optimizer"] == 3 * full.bytes_by_part["weights"]
    longer = FAMILY.estimate(builders.spec(bert, "full", epochs=8), data)
    assert full.seconds is not None
    assert longer.seconds is not None
    assert longer.seconds > 2 * full.seconds


def test_a_course_that_was_finished_with_other_inputs_is_not_taken(
    bert: Path, tmp_path: Path
) -> None:
    given = builders.spec(bert, updates=6)
    halfway = FAMILY.train(given, builders.dataset(), tmp_path)
    next(one for one in halfway if one.step > 7 and one.loss is not None)
    halfway.close()  # type: ignore[attr-defined]
    assert (tmp_path / "rates" / "0.001" / "done.json").is_file()
    with pytest.raises(ConfigError, match="seed was 0, now 1"):
        trained(replace(given, seed=1), tmp_path)
