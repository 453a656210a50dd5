"""The byte-level BPE tokenizer, trained on the corpus and the lexicon."""

import random
import re
from collections.abc import Iterator

from corpus import make_example
from lexicon import ACTIONS, ATTRIBUTES, DOMAINS, NOUNS, ROLES, STRING_VALUES, VERBS, plural
from spec import WordSource
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

# The split of Llama 3: llama.cpp and its relatives know it by its digest, so exports keep working.
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BOS, END, USER, ASSISTANT, PAD = "<|bos|>", "<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}"
    "{{ '<|bos|><|user|>' + message['content'] }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ '<|assistant|>' + message['content'] + '<|end|>' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
VOCABULARY_LIMIT = 4096
VOCABULARY_STEP = 128
_WORD_REPEATS = 60


def lexicon_words() -> list[str]:
    """Every word of the lexicon in the forms requests use."""
    words: set[str] = set(ROLES) | set(STRING_VALUES)
    for noun in NOUNS:
        words |= {noun, plural(noun)}
    for attribute in ATTRIBUTES:
        words |= set(attribute.words.split())
    for verb in (*VERBS, *ACTIONS):
        words |= {verb.base, verb.third, verb.participle}
    for domain in DOMAINS:
        words |= set(domain.split())
    return sorted(words)


def _training_texts(seed: int, count: int) -> Iterator[str]:
    rng = random.Random(seed)
    known = WordSource(pseudo_rate=0.0)
    for _ in range(count):
        plain = make_example(rng, style="plain", source=known)
        styled = make_example(rng, style="mixed", source=known)
        # Digits stay single tokens: arithmetic on bounds generalises better that way.
        for text in (plain.user_content, plain.output, styled.output):
            yield re.sub(r"\d", "", text)
    # Unseen words need their syllables too, but only a few of them.
    for _ in range(count // 8):
        yield re.sub(r"\d", "", make_example(rng, style="madeup").output)
    for word in lexicon_words():
        yield f" {word}" * _WORD_REPEATS
    for noun in NOUNS:
        yield f"_{noun}" * 3


def train_tokenizer(seed: int = 7, count: int = 6000) -> PreTrainedTokenizerFast:
    """Train the tokenizer; its vocabulary is padded up to a multiple of `VOCABULARY_STEP`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_LIMIT,
        special_tokens=[BOS, END, USER, ASSISTANT, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=25,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_texts(seed, count), trainer)
    return wrap(tokenizer)


def wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer with its special tokens and its chat template."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def vocabulary_size(tokenizer: PreTrainedTokenizerFast) -> int:
    """The number of embedding rows: the vocabulary rounded up."""
    return -(-len(tokenizer) // VOCABULARY_STEP) * VOCABULARY_STEP


def render_prompt(content: str) -> str:
    """What the chat template gives for one user turn and a generation prompt."""
    return f"{BOS}{USER}{content}{ASSISTANT}"
