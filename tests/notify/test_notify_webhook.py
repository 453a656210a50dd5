"""One webhook: where it may lead, what it sends, and what counts as taken."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from receivers import CERTIFICATE, receiver

from honewheel import signature
from honewheel.errors import ConfigError, InputError, Unreachable
from honewheel.notify import addresses
from honewheel.notify.webhook import Hook
from honewheel.settings import Webhook

NOW = 1_772_442_000.0

INNER = """
127.0.0.1 127.1 2130706433 0x7f000001 0177.0.0.1 017700000001 0x7f.1 127.255.255.254
10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254 192.168.0.1 192.168.255.255 100.64.0.1 100.127.0.1
198.18.0.1 192.0.2.1 198.51.100.7 203.0.113.9 192.0.0.8 ::1 fc00::1 fd12:3456::1 fec0::1 2001:db8::1
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:7f00:1 ::ffff:192.168.1.1 2002:7f00:1:: 2002:a00:1::
64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b::c0a8:101 3232235777 0xc0a80101 0300.0250.0.1 10.1 172.16.1
""".split()
NEVER = """
169.254.169.254 169.254.0.1 0xa9fea9fe 2852039166 169.254.43518 fe80::1 ::ffff:169.254.169.254
2002:a9fe:a9fe:: 64:ff9b::a9fe:a9fe 0.0.0.0 0 :: 224.0.0.1 239.255.255.250 ff02::1 255.255.255.255
240.0.0.1 ::ffff:0.0.0.0
""".split()
OUTER = "1.1.1.1 8.8.8.8 93.184.215.14 2606:4700:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808".split()


def resolved(host: str, *, private: bool = False) -> str:
    return addresses.resolve(host, 443, private=private, lookup=addresses.by_system)


@pytest.mark.parametrize("host", INNER)
def test_a_private_address_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises((InputError, Unreachable)):
        resolved(host)


@pytest.mark.parametrize("host", NEVER)
def test_some_addresses_are_never_called(host: str) -> None:
    for private in (False, True):
        with pytest.raises((InputError, Unreachable)):
            resolved(host, private=private)


@pytest.mark.parametrize("host", OUTER)
def test_a_public_address_is_called(host: str) -> None:
    lookup = lambda name, _: [name]  # noqa: E731  # without IPv6 the system may not answer
    assert addresses.resolve(host, 443, private=False, lookup=lookup)


def test_a_private_one_that_is_asked_for_is_called() -> None:
    assert resolved("127.0.0.1", private=True) == "127.0.0.1"
    assert resolved("10.1.2.3", private=True) == "10.1.2.3"


def test_one_bad_address_of_a_name_is_enough() -> None:
    with pytest.raises(InputError, match=r"hooks.test is 10.0.0.1, .*private = true"):
        addresses.resolve(
            "hooks.test", 443, private=False, lookup=lambda *_: ["1.1.1.1", "10.0.0.1"]
        )


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")


def hook(url: str, **more: Any) -> Hook:
    given_settings = {"url": url, "secret_env": "HOOK_SECRET", "private": True} | more
    return Hook("chat", Webhook.model_validate(given_settings))


def test_what_is_sent_is_signed_and_named() -> None:
    with receiver() as there:
        taken = hook(there.url).send("move:a:champion:2", "promoted", {"event": "promoted"}, NOW)
        ((headers, body),) = there.got
    assert taken.status == 204
    assert json.loads(body) == {"id": "move:a:champion:2", "event": "promoted"}
    assert (headers["honewheel-event"], headers["honewheel-delivery"]) == (
        "promoted",
        "move:a:champion:2",
    )
    assert headers["path"] == "/hook?team=a"
    assert headers["host"] == f"127.0.0.1:{there.port}"
    assert signature.verify("s3cret", headers["honewheel-signature"], body, NOW + 60)
    assert not signature.verify("another", headers["honewheel-signature"], body, NOW + 60)
    assert b"s3cret" not in body


def test_without_its_secret_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_SECRET")
    with receiver() as there:
        with pytest.raises(ConfigError, match="HOOK_SECRET"):
            hook(there.url).send("k", "test", {}, NOW)
        assert not there.got


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 429, 500, 503])
def test_only_a_2xx_counts_and_no_redirect_is_followed(status: int) -> None:
    with receiver() as there, receiver() as elsewhere:
        there.status, there.location = status, elsewhere.url
        with pytest.raises(Unreachable, match=f"status {status}"):
            hook(there.url).send("k", "test", {}, NOW)
        assert (len(there.got), len(elsewhere.got)) == (1, 0)


def test_a_receiver_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        with pytest.raises(Unreachable, match="does not answer"):
            hook(f"http://127.0.0.1:{port}/", timeout_seconds=0.2).send("k", "test", {}, NOW)
    with pytest.raises(Unreachable, match="does not answer"):
        hook(f"http://127.0.0.1:{port}/", timeout_seconds=0.2).send("k", "test", {}, NOW)


def over_tls(port: int, name: str, *, trusted: bool = True) -> tuple[Hook, list[str]]:
    """A hook to https://NAME, whose lookup answers with this machine; and what was looked up."""
    looked: list[str] = []

    def lookup(host: str, _: int) -> Sequence[str]:
        looked.append(host)
        return ["127.0.0.1"] if len(looked) == 1 else ["10.0.0.1"]  # the name is bound anew

    context = ssl.create_default_context(cafile=str(CERTIFICATE)) if trusted else None
    found = hook(f"https://{name}:{port}/")
    return Hook("chat", found.settings, lookup, context), looked


def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    with receiver(tls=True) as there:
        found, looked = over_tls(there.port, "hooks.test")
        assert found.send("k", "test", {}, NOW).status == 204
        assert looked == ["hooks.test"]
        assert there.got[0][0]["host"] == f"hooks.test:{there.port}"


def test_a_certificate_of_another_name_or_of_nobody_is_refused() -> None:
    with receiver(tls=True) as there:
        with pytest.raises(Unreachable, match="certificate"):
            over_tls(there.port, "other.test")[0].send("k", "test", {}, NOW)
        with pytest.raises(Unreachable, match="certificate"):
            over_tls(there.port, "hooks.test", trusted=False)[0].send("k", "test", {}, NOW)
        assert not there.got


@pytest.mark.parametrize(
    ("url", "private", "fine"),
    [
        ("https://hooks.example.com/a", False, True),
        ("http://hooks.example.com/a", False, False),
        ("http://10.0.0.1/a", True, True),
        ("https://me:word@hooks.example.com", False, False),
        ("https://hooks.example.com/#a", False, False),
        ("ftp://hooks.example.com", True, False),
        ("file:///etc/passwd", True, False),
    ],
)
def test_which_urls_a_webhook_may_have(url: str, private: bool, fine: bool) -> None:
    given_settings = {"url": url, "secret_env": "X", "private": private}
    if fine:
        assert Webhook.model_validate(given_settings).url == url
    else:
        with pytest.raises(ValidationError):
            Webhook.model_validate(given_settings)


@given(
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.binary(),
    st.integers(0, 2**40),
    st.floats(-299, 299),
)
def test_a_signature_holds_for_its_secret_body_and_minutes(
    secret: str, body: bytes, at: int, off: float
) -> None:
    made = signature.sign(secret, body, at)
    assert signature.verify(secret, made, body, at + off)
    assert not signature.verify(secret, made, body + b"x", at)
    assert not signature.verify(secret + "x", made, body, at)
    assert not signature.verify(secret, made, body, at + 400)


@given(st.text(st.characters(codec="latin-1")))
def test_no_header_is_a_signature_by_chance(header: str) -> None:
    assert not signature.verify("secret", header, b"{}", NOW)
