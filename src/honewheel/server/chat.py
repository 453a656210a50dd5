"""The OpenAI wire format: what a request asks, and the shape of answers and chunks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from honewheel.errors import InputError
from honewheel.events.formats.conversation import asked, turns
from honewheel.records import Decoding, Json
from honewheel.server.answers import Refused

Kind = Literal["chat", "text"]
PREFIX: Mapping[Kind, str] = {"chat": "chatcmpl-", "text": "cmpl-"}
_KNOBS = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stop")
# What the in-process server does not do; each with the value that asks for nothing.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False, 0),
    "tools": ([],),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "echo": (False,),
    "suffix": ("",),
    "logit_bias": ({},),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks: prompt and context as a feedback row has them."""

    prompt: str
    context: Mapping[str, str]


def read(kind: Kind, body: Mapping[str, Any]) -> Asked:
    """Prompt and context of a request. Raises InputError for what is no text (tools, images)."""
    if kind == "text":
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            raise InputError("prompt is not one text")
        return Asked(prompt, {})
    row = asked(turns(body.get("messages")))
    context: Any = row.get("context", {})
    return Asked(str(row["prompt"]), context)


def decoding(body: Mapping[str, Any], most: int) -> Decoding:
    """How an in-process model is to answer; `most` tokens unless fewer are asked for.

    Without a temperature it answers as it was evaluated: greedily. Raises Refused 400 for what
    only a larger server does, naming it: nothing is silently ignored.
    """
    for name, neutral in _NEUTRAL.items():
        if body.get(name) is not None and body[name] not in neutral:
            raise _bad(
                f"{name} = {body[name]!r:.60} is not possible with a model that honewheel serves "
                "itself. Leave it out, or configure an upstream that can.",
            )
    wanted = body.get("max_completion_tokens", body.get("max_tokens"))
    tokens = most if wanted is None else _number("max_tokens", wanted, 1, 32_768)
    temperature = body.get("temperature")
    return Decoding(
        max_new_tokens=int(min(tokens, most)),
        temperature=0.0 if temperature is None else _number("temperature", temperature, 0, 2),
        seed=int(_number("seed", body.get("seed") or 0, -(2**63), 2**63)),
    )


def stops(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts at which an answer ends. Raises Refused 400."""
    found = body.get("stop")
    if found is None:
        return ()
    some = [found] if isinstance(found, str) else found
    if not isinstance(some, list) or not all(isinstance(one, str) and one for one in some):
        raise _bad("stop is a text or a list of texts")
    return tuple(some)


def _number(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _bad(f"{name} = {value!r:.40} is no number in {low:g} .. {high:g}")
    return value


def _bad(message: str) -> Refused:
    return Refused(400, message, "invalid_request_error")


def knobs(body: Mapping[str, Any]) -> dict[str, Json]:
    """The decoding settings of a request that are kept with the response."""
    return {
        name: body[name] for name in _KNOBS if isinstance(body.get(name), str | int | float | bool)
    }


def usage(asked: int | None, told: int) -> dict[str, Any]:
    """Tokens of prompt and answer, as the model read and wrote them; {} where it does not tell."""
    if asked is None:
        return {}
    counts = {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}
    return {"usage": counts}


def wants_usage(body: Mapping[str, Any]) -> bool:
    """Whether a stream is to end with the usage."""
    options = body.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


def answer(
    kind: Kind, name: str, model: str, created: int, text: str, stopped: bool
) -> dict[str, Any]:
    """The whole answer of a model served in process."""
    reason = "stop" if stopped else "length"
    if kind == "chat":
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
    else:
        choice = {"text": text}
    return {
        "id": name,
        "object": "chat.completion" if kind == "chat" else "text_completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "finish_reason": reason, "logprobs": None, **choice}],
    }


def chunk(
    kind: Kind, name: str, model: str, created: int, text: str | None, reason: str | None
) -> dict[str, Any]:
    """A piece of a streamed answer; `text` None opens or closes it."""
    if kind == "chat":
        delta: dict[str, Any] = {"content": text} if text is not None else {}
        if text is None and reason is None:
            delta = {"role": "assistant", "content": ""}
        choice: dict[str, Any] = {"delta": delta}
    else:
        choice = {"text": text or ""}
    return {
        "id": name,
        "object": "chat.completion.chunk" if kind == "chat" else "text_completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "finish_reason": reason, "logprobs": None, **choice}],
    }


def said(kind: Kind, data: Mapping[str, Any]) -> str:
    """The text of an upstream's first choice, whole or one chunk; "" where it holds none."""
    choices = data.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(first, Mapping) or first.get("index", 0) != 0:
        return ""
    if kind == "text":
        found = first.get("text")
    else:
        message = first.get("message") or first.get("delta") or {}
        found = message.get("content") if isinstance(message, Mapping) else None
    return found if isinstance(found, str) else ""
