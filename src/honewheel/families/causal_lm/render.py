r"""How a prompt becomes tokens: one contract for training, validation and prediction.

User content is the prompt, followed by each context entry as a paragraph `key:\nvalue`. It goes
through the tokenizer's chat template with a generation prompt; a tokenizer without a template
gets `content\n\n`. The answer is the target followed by the end-of-sequence token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from honewheel.errors import ConfigError, InputError
from honewheel.families.causal_lm.base import text_config
from honewheel.families.weights import read_json
from honewheel.records import Example, Json, Pair, Rated


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as token ids: `answer_start` tokens of prompt, then the answer with its end."""

    ids: tuple[int, ...]
    answer_start: int
    weight: float = 1.0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def loss_tokens(self) -> int:
        """Tokens of the answer, which the loss is on."""
        return len(self.ids) - self.answer_start

    @property
    def rows(self) -> tuple[Encoded, ...]:
        """Itself, as units of several rows have theirs."""
        return (self,)


def content(prompt: str, context: Mapping[str, str]) -> str:
    """What the user says: the prompt, then each context entry under its key."""
    return "\n\n".join([prompt, *(f"{key}:\n{value}" for key, value in context.items())])


def longest(settings: Mapping[str, Json], folder: Path) -> int:
    """Most tokens an example may have: the setting, or what the base has positions for."""
    limit = settings["max_tokens"]
    assert isinstance(limit, int | float)  # settings passed their Range
    positions = text_config(folder).get("max_position_embeddings")
    return int(limit) if positions is None else min(int(limit), int(positions))


class Renderer:
    """A base's tokenizer and chat template behind the contract above."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        if self._tokenizer.eos_token_id is None:
            raise ConfigError(f"The tokenizer in {folder} has no end-of-sequence token.")
        self.end: int = self._tokenizer.eos_token_id
        self.pad: int = (
            self.end if self._tokenizer.pad_token_id is None else (self._tokenizer.pad_token_id)
        )
        self.stops = frozenset({self.end, *_generation_ends(folder)})

    @property
    def has_template(self) -> bool:
        return self._tokenizer.chat_template is not None

    def text(self, prompt: str, context: Mapping[str, str]) -> str:
        """Everything the model reads before it answers."""
        said = content(prompt, context)
        if not self.has_template:
            return f"{said}\n\n"
        rendered: str = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": said}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,  # an artifact is asked for, not a chain of thought
        )
        return rendered

    def prompts(self, asked: Sequence[tuple[str, Mapping[str, str]]]) -> list[tuple[int, ...]]:
        """Token ids of each (prompt, context), at least one each."""
        found = self._ids([self.text(prompt, context) for prompt, context in asked])
        if empty := [prompt for (prompt, _), ids in zip(asked, found, strict=True) if not ids]:
            raise InputError(f"The tokenizer turns the prompt {empty[0]!r} into no token at all.")
        return found

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Each example as tokens, in order, whatever its length."""
        return self.answers(examples, [example.target for example in examples])

    def answers(
        self, asked: Sequence[Example | Pair | Rated], answers: Sequence[str]
    ) -> list[Encoded]:
        """Each of `asked` with its prompt and weight, answered by the text at its place."""
        prompts = self.prompts([(one.prompt, one.context) for one in asked])
        return [
            Encoded((*prompt, *answer, self.end), len(prompt), one.weight)
            for prompt, answer, one in zip(prompts, self._ids([*answers]), asked, strict=True)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of an answer, special tokens left out."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _ids(self, texts: list[str]) -> list[tuple[int, ...]]:
        if not texts:
            return []
        found = self._tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return [tuple(ids) for ids in found]


def _generation_ends(folder: Path) -> list[int]:
    """Further tokens at which the base's own generation settings end an answer."""
    path = folder / "generation_config.json"
    if not path.is_file():
        return []
    found = read_json(path).get("eos_token_id")
    if found is None:
        return []
    return [found] if isinstance(found, int) else list(found)
