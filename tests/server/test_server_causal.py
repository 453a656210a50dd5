"""The gateway over a real transformers model, in the server's process."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest

import honewheel as hw
import wheels
from server.conftest import running


@pytest.mark.slow
def test_a_real_model_streams_and_its_answer_is_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    hw.init(folder)
    with wheels.open_wheel(folder, "evaluate.max_new_tokens=8") as wheel, running(wheel) as live:
        with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0) as sdk:
            asked = {
                "model": "erd",
                "messages": [
                    {"role": "user", "content": "A museum has rooms. Draw the ER diagram."}
                ],
            }
            whole = sdk.chat.completions.create(**asked)  # type: ignore[call-overload]
            with sdk.chat.completions.create(**asked, stream=True) as stream:  # type: ignore[call-overload]
                chunks = list(stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text == whole.choices[0].message.content  # greedy, as it is evaluated
        assert len(chunks) > 5
        assert whole.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "length"
        for name in (whole.id, chunks[0].id):
            stored = wheel.store.log.event(name).response
            assert (stored.output, stored.version) == (text, "artifacts@0")
