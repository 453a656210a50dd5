"""Personal data and secrets leave a text, and what only looks like them stays."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import honewheel as hw
import wheels
from honewheel.errors import InputError
from honewheel.events import redact

SECRETS = {
    "mail ana.maria+x@mail.example.co.uk now": "mail <EMAIL> now",
    "INSERT INTO a VALUES ('ana@example.org');": "INSERT INTO a VALUES ('<EMAIL>');",
    "pay DE89 3704 0044 0532 0130 00 today": "pay <IBAN> today",
    "GB82WEST12345698765432": "<IBAN>",
    "card 4111 1111 1111 1111, ok": "card <CARD>, ok",
    "5500-0000-0000-0004": "<CARD>",
    "call +49 170 1234567 or (212) 555-0123": "call <PHONE> or <PHONE>",
    "or +41 44 668 18 00.": "or <PHONE>.",
    "or 212-555-0123": "or <PHONE>",
    "key sk-proj-" + "aB3" * 10: "key <SECRET>",
    "hw_abcd1234_" + "x" * 43: "<SECRET>",
    "ghp_" + "a1B2" * 9: "<SECRET>",
    "AKIAIOSFODNN7EXAMPLE": "<SECRET>",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk": "<SECRET>",
    "Authorization: Bearer abcdefghijklmnopqrstuvwx": "Authorization: Bearer <SECRET>",
    'password = "hunter2hunter2"': 'password = "<SECRET>"',
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----": "<SECRET>",
}
PLAIN = (
    "erDiagram\n  room {\n    int id PK\n  }",
    "SELECT * FROM orders WHERE id = 1234567890123456 AND price > 12.50",
    "CREATE TABLE a (id int, price numeric(10,2) DEFAULT 199.99, code char(22));",
    "2026-11-25T15:40:56Z, 192.168.10.200, 3.14159265358979, 1.2.3-rc4",
    "card 4111 1111 1111 1112",
    "DE89370400440532013001",
    "ids 550e8400-e29b-41d4-a716-446655440000 and 0x7f000001",
    "the password is required; api_key: str",
    "a @ b, x@y, user@localhost, @property, git@github",
    "def area(width: float = 10000000.0) -> float: return width * 2147483647",
    "Scenario: 12 of 345-678 pass in 2025-01-02",
)


@pytest.mark.parametrize("said", SECRETS)
def test_what_is_private_is_replaced_by_its_kind(said: str) -> None:
    assert redact.text(said) == SECRETS[said]
    assert redact.text(SECRETS[said]) == SECRETS[said]


@pytest.mark.parametrize("said", PLAIN)
def test_what_only_looks_like_it_stays(said: str) -> None:
    assert redact.text(said) == said


def test_generated_cards_and_ibans_are_found_by_their_checksum() -> None:
    rng = random.Random(3)
    for _ in range(300):
        digits = [4, *(rng.randrange(10) for _ in range(14))]
        total = sum(sum(divmod(2 * digit, 10)) for digit in digits[::2]) + sum(digits[1::2])
        card = "".join(map(str, [*digits, -total % 10]))
        wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
        assert redact.text(f"({card})") == "(<CARD>)"
        assert redact.text(f"({wrong})") == f"({wrong})"
        account = "".join(str(rng.randrange(10)) for _ in range(18))
        check = 98 - int(account + "131400") % 97
        assert redact.text(f"DE{check:02}{account}") == "<IBAN>"
        assert redact.text(f"DE{check % 97 + 1:02}{account}") != "<IBAN>"


@given(st.text(max_size=200))
def test_redacting_twice_is_redacting_once(said: str) -> None:
    once = redact.text(said)
    assert redact.text(once) == once


def test_a_long_text_of_almost_matches_is_quick() -> None:
    for said in ("a@" * 50_000, "+1 " * 50_000, "1 " * 100_000, "sk-" * 50_000, "a." * 100_000):
        redact.text(said)  # the test's timeout is the bound: no pattern backtracks


def test_the_setting_redacts_what_is_recorded_and_imported(tmp_path: Path) -> None:
    row = {"task": "erd", "prompt": "ask ana@x.org", "output": "+49 170 1234567", "thumb": 1}
    more = {"comment": "by ben@x.org", "context": {"note": "cy@x.org"}, "correction": "d@x.org"}
    for flags, private in (((), True), (("events.redact=true",), False)):
        folder = tmp_path / f"p{private}"
        hw.init(folder)
        file = wheels.write_jsonl(tmp_path / "rows.jsonl", [row | more, {"bad": "e@x.org"}])
        with wheels.open_wheel(folder, *flags) as wheel:
            name = wheel.record(**row, **more)
            wheel.import_file(file)
            stored = list(wheel.store.log.events(None, 1 << 60))
            bad = wheel.store.log.quarantined(10)
        text = json.dumps([hw.records.as_dict(one) for one in [*stored, *bad]])
        assert len(stored) == 2
        assert len(bad) == 1
        assert ("@x.org" in text) == private
        assert ("170 1234567" in text) == private
        assert name in text


def test_an_id_is_never_rewritten() -> None:
    row = {"response": "ana@example.org", "thumb": 1}
    with pytest.raises(InputError, match="id"):
        redact.entry(hw.events.ingest.entry(row, now=datetime.now(UTC)))
