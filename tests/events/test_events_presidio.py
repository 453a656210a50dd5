"""Presidio behind the patterns: real recognizers, a real spaCy pipeline, nothing downloaded."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

import honewheel as hw
import wheels
from honewheel.errors import ConfigError, MissingExtra
from honewheel.events import presidio, redact
from honewheel.settings import Events

SAID = "my phone is 030 1234567, from 192.168.7.21; pay DE89 3704 0044 0532 0130 00"


def redacted(said: str, **settings: Any) -> str:
    found = redact.of(Events(redact=True, redactor="presidio", **settings))
    assert found is not None
    return found(said)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A spaCy pipeline in a folder that knows two names."""
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(
        [{"label": "PERSON", "pattern": "Ana Maria"}, {"label": "GPE", "pattern": "Leipzig"}]
    )
    folder = tmp_path_factory.mktemp("spacy") / "names"
    nlp.to_disk(folder)
    return str(folder)


def test_it_finds_more_than_the_patterns_and_keeps_what_they_found() -> None:
    assert redact.text(SAID) == SAID.replace("DE89 3704 0044 0532 0130 00", "<IBAN>")
    once = redacted(SAID)
    assert once == "my phone is <PHONE_NUMBER>, from <IP_ADDRESS>; pay <IBAN>"
    assert redacted(once) == once
    assert redacted("write to ana@example.org") == "write to <EMAIL>"


@pytest.mark.parametrize(
    "said",
    [
        "erDiagram\n  room {\n    int id PK\n    date since\n  }",
        "SELECT * FROM orders WHERE id = 1234567890 AND at < '2026-01-02'",
        "see https://example.org/a and 550e8400-e29b-41d4-a716-446655440000",
        "Ana Maria lives in Leipzig",  # without a model it knows no names
        "",
    ],
)
def test_what_names_nobody_stays(said: str) -> None:
    assert redacted(said) == said


def test_a_model_finds_names_and_places(model: str) -> None:
    said = "Ana Maria moved to Leipzig, id 12"
    assert redacted(said, redact_model=model) == "<PERSON> moved to <LOCATION>, id 12"
    only = redacted(said, redact_model=model, redact_entities=("PERSON",))
    assert only == "<PERSON> moved to Leipzig, id 12"
    with pytest.raises(ConfigError, match="reads 'en'"):
        redacted(said, redact_model=model, redact_language="de")


def test_how_sure_it_must_be_is_a_setting() -> None:
    said = "the number 415-555-2671x is 212 555 0123"  # a form alone: 0.4
    assert redacted(said, redact_score=0.9) == said
    assert "<PHONE_NUMBER>" in redacted(said, redact_score=0.3)


def test_the_language_chooses_the_recognizers() -> None:
    said = "my ssn is 536-22-8711"
    assert redacted(said) == "my ssn is <US_SSN>"
    assert "SSN" not in redacted(said, redact_language="de")


def test_what_cannot_be_used_is_told_with_what_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no spaCy model that is installed here"):
        redacted("a", redact_model="en_core_web_lg")
    with pytest.raises(ConfigError, match="'PERSON', which nothing finds here"):
        redacted("a", redact_entities=("PERSON",))
    with pytest.raises(ConfigError, match="no language that spaCy knows"):
        redacted("a", redact_language="qq")
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    presidio.redactor.cache_clear()
    with pytest.raises(MissingExtra, match=r"honewheel\[presidio\]"):
        redacted("a")


def test_nothing_asks_the_network(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("it asks the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    presidio.redactor.cache_clear()
    assert redacted(SAID + " a@b.example www.example.org", redact_model=model) != SAID


@pytest.mark.parametrize(
    ("flags", "private"),
    [
        ((), True),
        (("events.redact=true",), True),
        (("events.redact=true", "events.redactor=presidio"), False),
    ],
)
def test_the_setting_reaches_what_is_recorded_and_imported(
    tmp_path: Path, flags: tuple[str, ...], private: bool
) -> None:
    row = {"task": "erd", "prompt": "ask 192.168.7.21", "output": "10.8.0.3", "thumb": 1}
    more = {"comment": "by 192.168.7.21", "context": {"note": "192.168.7.21"}}
    hw.init(tmp_path)
    file = wheels.write_jsonl(tmp_path / "rows.jsonl", [row | more, {"bad": "192.168.7.21"}])
    with wheels.open_wheel(tmp_path, *flags) as wheel:
        wheel.record(**row, **more)
        wheel.import_file(file)
        stored = [*wheel.store.log.events(None, 1 << 60), *wheel.store.log.quarantined(10)]
    text = json.dumps([hw.records.as_dict(one) for one in stored])
    assert len(stored) == 3
    assert ("192.168.7.21" in text) == private


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("events.redactor=presidio",), "does nothing without redact = true"),
        (("events.redact=true", "events.redact_score=0.9"), 'only redactor = "presidio" reads it'),
        (("events.redact=true", 'events.redact_model="a"'), "redact_model: only redactor"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(
    tmp_path: Path, flags: tuple[str, ...], told: str
) -> None:
    hw.init(tmp_path)
    with pytest.raises(ConfigError, match=told):
        wheels.open_wheel(tmp_path, *flags)
