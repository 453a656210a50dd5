"""An answer in pieces is the answer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from causal_builders import ARCHITECTURES

from honewheel.families.causal_lm.family import CausalLM
from honewheel.protocols import Streaming
from honewheel.records import Decoding, Item, Prediction


def item(prompt: str) -> Item:
    return Item(id="a", task="erd", prompt=prompt, reference="", group="a")


def told(stream: Generator[str, None, Prediction]) -> tuple[list[str], Prediction]:
    """The pieces of a stream, and what it returns."""
    pieces = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


@pytest.mark.parametrize("architecture", ARCHITECTURES[:2])
def test_the_pieces_together_are_what_predict_gives(
    bases: Callable[[str], Path], architecture: str
) -> None:
    with CausalLM().open(str(bases(architecture)), None) as model:
        assert isinstance(model, Streaming)
        for prompt in ("a", "draw 漢字 🎨 please"):
            for decoding in (
                Decoding(max_new_tokens=40),
                Decoding(max_new_tokens=40, temperature=1.5, seed=7),
                Decoding(max_new_tokens=1),
            ):
                whole = next(iter(model.predict([item(prompt)], decoding)))
                pieces, ended = told(model.stream(item(prompt), decoding))
                assert "".join(pieces) == whole.output
                assert all(pieces)
                assert ended == whole


def test_a_prompt_without_room_for_an_answer_gives_no_piece(llama: Path) -> None:
    with CausalLM().open(str(llama), None) as model:
        assert list(model.stream(item("x" * 400), Decoding(max_new_tokens=5))) == []


def test_pieces_come_while_the_answer_is_made() -> None:
    asked = item("A museum has rooms. Draw the ER diagram.")
    with CausalLM().open("honewheel/tiny", None) as model:
        pieces = model.stream(asked, Decoding(max_new_tokens=20))
        assert next(pieces)
        assert len(list(pieces)) > 3
