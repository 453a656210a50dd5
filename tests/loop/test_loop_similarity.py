"""A similarity model goes round the wheel: pairs in, AUC decides, the diagnostic watches."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.demo import tickets
from honewheel.errors import ConfigError, InputError, NotEnoughData
from honewheel.loop import diagnosis, intake
from honewheel.tasks import pairs

TOML = """\
[models.tickets]
family = "words"
base = "memo/echo"
tasks = ["same"]

[models.tickets.gate]
min_items = 12

[models.tickets.train]
deaf = {deaf}

[tasks.same]
kind = "similarity"

[tasks.same.gate]
require = [{require}]

[tasks.same.gate.tiers]
production = {{ spearman = 90 }}

[tasks.same.adversarial]
cases = {cases}
typo = "report"                    # one wrong letter is another word to such a model

[curate]
min_examples = 5
"""
CASES = 20
THINGS = "printer laptop badge phone mailbox calendar scanner monitor keyboard license".split()
FILLER = (
    "please again since today my the is not working for me hello thanks urgent somehow always "
    "still broken help need with it here we have a problem can you look at this"
).split()


def _text(thing: str, rng: random.Random) -> str:
    words = [*rng.sample(FILLER, 6), thing]
    rng.shuffle(words)
    return f"{' '.join(words)} {rng.randrange(10_000)}."


def labelled_csv(path: Path, n: int = 25) -> Path:
    """`n` texts about each thing, in many words that say nothing."""
    rng = random.Random(0)
    rows = [f"{_text(thing, rng)},{thing}" for thing in THINGS for _ in range(n)]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


def project(folder: Path, *, deaf: str = "false", cases: int = 0, require: str = "") -> Path:
    folder.mkdir()
    toml = TOML.format(deaf=deaf, cases=cases, require=require)
    (folder / "honewheel.toml").write_text(toml)
    return folder


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A wheel that has turned once, and the decision; tests add to it and change nothing."""
    folder = tmp_path_factory.mktemp("similar")
    with (
        wheels.memo_installed(),
        wheels.open_wheel(project(folder / "acme", cases=CASES)) as found,
    ):
        found.import_labelled(labelled_csv(folder / "tickets.csv"))
        text = labelled_csv(folder / "tickets.csv").read_text().splitlines()[1].split(",")[0]
        row = {"prompt": pairs.as_prompt(text.upper(), "something else"), "reference": "0"}
        suite = wheels.write_jsonl(folder / "frozen.jsonl", [row])
        found.suite_import(suite, task="same")
        yield found, found.cycle()


@pytest.fixture
def wheel(turned: tuple[Any, Any]) -> Any:
    return turned[0]


def test_labelled_texts_become_a_promoted_version_by_auc(turned: tuple[Any, Any]) -> None:
    decision = turned[1]
    assert decision.verdict == "promote", decision.reasons
    assert decision.primary.metric == "auc"
    assert decision.primary.challenger > decision.primary.champion + 0.05
    said = "\n".join(decision.reasons)
    assert "so Spearman cannot exceed" in said
    assert "Tier same production:" in said


def test_no_text_of_a_held_out_pair_is_trained_on(wheel: Any) -> None:
    sides: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for event in wheel.store.log.events(["same"], wheel.store.log.last_seq()):
        if event.placement.quarantined is None:
            for text in pairs.pair(event.response.prompt, event.response.context):
                sides[event.placement.split].add(pairs.normal(text))
    assert all(len(texts) > 10 for texts in sides.values())
    assert not sides["train"] & sides["test"]
    assert not sides["train"] & sides["val"]
    assert not sides["val"] & sides["test"]
    trained = wheel.store.datasets.load(wheel.versions()[-1].dataset).train
    texts = {pairs.normal(one) for row in trained for one in pairs.pair(row.prompt, row.context)}
    assert texts <= sides["train"]


def test_importing_the_same_labels_again_is_nothing_new(wheel: Any, tmp_path: Path) -> None:
    before = wheel.store.log.last_seq()
    wheel.import_labelled(labelled_csv(tmp_path / "again.csv"))
    assert wheel.store.log.last_seq() == before


@pytest.mark.slow
def test_a_required_tier_refuses(tmp_path: Path) -> None:
    folder = project(tmp_path / "acme", require='"production"')
    with wheels.open_wheel(folder) as wheel:
        wheel.import_labelled(labelled_csv(tmp_path / "t.csv"))
        decision = wheel.cycle()
    assert decision.verdict == "reject"
    assert "is below its floor of 90.0" in decision.reasons[0]


def test_a_version_that_breaks_an_adversarial_category_is_refused(
    turned: tuple[Any, Any], tmp_path: Path
) -> None:
    """It gains as much as the other, but upper case is now another text to it."""
    with wheels.open_wheel(project(tmp_path / "deaf", deaf="true", cases=CASES)) as wheel:
        wheel.import_labelled(labelled_csv(tmp_path / "t.csv"))
        broken = wheel.cycle()
    assert turned[1].verdict == "promote"
    assert broken.primary.bound > 0.05
    assert broken.verdict == "reject"
    assert broken.reasons[0].startswith("adversarial:same/case 100.0 -> 0.0")
    watched = [guard for guard in broken.guards if guard.comparison.name.startswith("adversarial:")]
    assert {guard.comparison.name for guard in watched if guard.state == "worse"} == {
        "adversarial:same/case"
    }
    assert not [one for one in watched if one.comparison.name.endswith(("number", "typo"))]


def test_without_a_threshold_there_is_no_diagnostic(wheel: Any) -> None:
    cases = diagnosis.cases([("a broken badge", "b", 0.0)], wheel.config.task("same").adversarial)
    with pytest.raises(NotEnoughData, match=r"0 validation pairs .* no threshold can be fixed"):
        diagnosis.answered(
            wheel.store, wheel.config, wheel.versions()[-1], "same", cases, [], lambda _: None
        )


def test_the_pairs_report_tells_metrics_slices_and_flips(wheel: Any) -> None:
    found = wheel.pairs_report()
    ours, base = found["scores"]["tickets@1"], found["scores"]["tickets@0"]
    assert ours["auc"] > base["auc"]
    assert ours["ceiling"] == pytest.approx(0.866, abs=0.02)
    assert 0 < ours["f1"] <= 1
    assert ours["queries"] > 0
    assert 0 < ours["recall_at_1"] <= ours["recall_at_5"] <= 1
    assert {"easy", "medium", "hard", "seen labels"} <= set(found["slices"])
    hard = found["slices"]["hard"]
    assert hard["pairs"] > 5
    assert any(one["metric"] == "auc" and one["low"] > 0 for one in found["difference"])
    assert any(flip["mended"] for flip in found["flips"])
    assert found["dev_pairs"] > 20
    assert sum(found["difficulty"]["train"]) == pytest.approx(1)


def test_labels_kept_whole_are_unseen_in_the_test(tmp_path: Path) -> None:
    with wheels.open_wheel(project(tmp_path / "acme")) as wheel:
        wheel.import_labelled(labelled_csv(tmp_path / "t.csv", 8), whole_labels=True)
        intake.run(wheel.store, wheel.config, listen=lambda _: None)
        sides: dict[str, set[str]] = {}
        for event in wheel.store.log.events(["same"], wheel.store.log.last_seq()):
            assert event.placement.quarantined is None
            for key in ("label_a", "label_b"):
                label = event.response.context[key]
                sides.setdefault(label, set()).add(event.placement.split)
    assert all(len(found) == 1 for found in sides.values())


def test_the_diagnostic_of_any_texts(wheel: Any, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(one.text for one in tickets.tickets()[:200]) + "\n")
    found = wheel.adversarial(texts, cases=15, against="tickets@0")
    lines = {line["category"]: line for line in found["categories"]}
    assert len(lines) == 12
    assert found["empty"] == ["paraphrase"]
    assert lines["case"]["passed"] == lines["case"]["cases"] == 15
    assert lines["number"]["passed"] is None
    assert lines["negation"]["low"] <= lines["negation"]["passed"] / 15 <= lines["negation"]["high"]
    again = wheel.adversarial(texts, cases=15, against="tickets@0")
    assert again == found


def test_edits_to_train_on_are_of_training_texts_only(wheel: Any, tmp_path: Path) -> None:
    out = tmp_path / "edits.jsonl"
    counts = wheel.pair_edits(out, cases=6)
    assert counts["negation"] == 6
    assert not {"number", "typo"} & set(counts)  # reported, so not to be learnt
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    held = {
        pairs.normal(text)
        for side in ("val", "test")
        for event in wheel.store.log.events(["same"], wheel.store.log.last_seq(), split=side)
        for text in pairs.pair(event.response.prompt, event.response.context)
    }
    judged = {one["case"]["a"] for one in wheel.adversarial(against="tickets@0")["flips"]}
    for row in rows:
        assert pairs.normal(row["text_a"]) not in held
        assert row["text_a"] not in judged
        assert row["source"].startswith("edits:")
    assert {row["same"] for row in rows if row["source"] == "edits:negation"} == {False}
    found = wheel.import_preview(out, task="same")
    assert found.good == len(rows)
    with pytest.raises(InputError, match="exists already"):
        wheel.pair_edits(out)


def test_a_pair_is_said_and_bad_ones_are_refused(wheel: Any) -> None:
    event = wheel.say_similar("the printer jams", "paper stuck in printer", 0.7, source="ana")
    found = wheel.store.log.event(event)
    assert found.correction.text == "0.7"
    assert pairs.pair(found.response.prompt, {}) == ("the printer jams", "paper stuck in printer")
    before = wheel.store.log.last_seq()
    for a, b, number in (("", "x", 1), ("X ", "x", 1), ("x", "y", 2)):
        with pytest.raises(InputError):
            wheel.say_similar(a, b, number)
    with pytest.raises(InputError, match="no pair of texts"):
        wheel.record(task="same", prompt="how alike?", demonstration="1")
    assert wheel.store.log.last_seq() == before


def test_a_frozen_suite_shares_no_text_with_training(wheel: Any) -> None:
    frozen = pairs.pair(wheel.store.suites.get("frozen").items[0].prompt, {})[0]
    dataset = wheel.versions()[-1].dataset
    trained = wheel.store.datasets.load(dataset)
    assert len({row.difficulty for row in trained.train}) > 20  # by the words of each pair
    for row in (*trained.train, *trained.val):
        assert pairs.normal(frozen) not in map(pairs.normal, pairs.pair(row.prompt, row.context))
    assert "held out (suite)" in {one.reason for one in wheel.store.datasets.reasons(dataset)}


def test_a_gate_metric_that_the_kind_does_not_have_is_refused(tmp_path: Path) -> None:
    folder = project(tmp_path / "acme")
    with pytest.raises(ConfigError, match=r"no metric 'auk'. Did you mean auc\?"):
        wheels.open_wheel(folder, "tasks.same.gate.metric=auk")
    with pytest.raises(ConfigError, match="require names the tier 'gold'"):
        wheels.open_wheel(folder, 'tasks.same.gate.require=["gold"]')
