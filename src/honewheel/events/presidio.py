"""Personal data that patterns alone do not find: the recognizers of Presidio, and of a spaCy model.

Optional (`events.redactor = "presidio"`), behind the patterns of `redact`, and run on this machine.
Without a model it finds what a form, a checksum and the words around it tell: telephone numbers as
each country writes them, IP and MAC addresses, wallets, licences, social security numbers. Names of
people and places need a spaCy model that is installed here; none is ever downloaded.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from honewheel.errors import ConfigError, MissingExtra
from honewheel.plugins import suggest

# Found by `redact` with its own patterns; a check of Presidio's for mail addresses would ask the
# network for the list of top-level domains.
_OURS = {"EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD"}
# Dates, links and identifiers stand in artifacts everywhere and name nobody: only on demand.
_ASKED_FOR = {"DATE_TIME", "UUID", "ORGANIZATION"}
_NETWORK = {"EmailRecognizer", "UrlRecognizer"}
_MARK = re.compile(r"<[A-Z][A-Z_]*>")  # what was replaced already


@lru_cache(maxsize=4)
def redactor(
    language: str, model: str, entities: tuple[str, ...], score: float
) -> Callable[[str], str]:
    """Replaces each thing found in a text by its kind in angle brackets: `<PERSON>`.

    `language` is an ISO 639-1 code that spaCy knows; `model` an installed spaCy package or a
    folder, or "" for the forms alone; `entities` what to look for (none named: everything but
    dates, identifiers and organisations), and `score` the confidence in [0, 1] that it takes.

    Raises:
        MissingExtra: Presidio is not installed.
        ConfigError: no such language, model or kind of entity.
    """
    try:
        import presidio_analyzer as presidio
    except ModuleNotFoundError as error:
        raise MissingExtra("Redacting with Presidio", "presidio-analyzer", "presidio") from error

    analyzer = _analyzer(presidio, language, _pipeline(language, model))
    wanted = _wanted(set(analyzer.get_supported_entities(language)), entities, bool(model))

    def replace(said: str) -> str:
        found = analyzer.analyze(said, language, entities=wanted, score_threshold=score)
        return _replaced(said, [(one.start, one.end, one.score, one.entity_type) for one in found])

    return replace


def _pipeline(language: str, model: str) -> Any:
    """A spaCy pipeline: the model's, or one that only parts a text into words."""
    import spacy

    if model:
        if not spacy.util.is_package(model) and not Path(model).is_dir():
            raise ConfigError(
                f"events.redact_model = {model!r} is no spaCy model that is installed here, and no "
                "folder. Install one with pip, or leave it empty: honewheel downloads none."
            )
        try:
            found = spacy.load(model)
        except (OSError, ValueError) as error:
            raise ConfigError(f"events.redact_model = {model!r} cannot be read: {error}") from error
        if found.lang != language:
            raise ConfigError(
                f"events.redact_model = {model!r} reads {found.lang!r}; set events.redact_language "
                f"to that (it is {language!r})."
            )
        return found
    try:
        blank = spacy.blank(language)
    except ImportError as error:
        raise ConfigError(
            f"events.redact_language = {language!r} is no language that spaCy knows. Write a code "
            'such as "en" or "de".'
        ) from error
    return blank


def _analyzer(presidio: Any, language: str, pipeline: Any) -> Any:
    """Presidio's engine over that pipeline, without the recognizers that ask the network."""
    from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
    from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider

    class Words(SpacyNlpEngine):  # type: ignore[misc]
        """A pipeline that is there already: nothing is loaded, and nothing downloaded."""

        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": language, "model_name": ""}])
            self.nlp = {language: pipeline}

        def load(self) -> None:
            """Nothing is left to load."""

        def process_text(self, text: str, language: str) -> NlpArtifacts:
            """As the pipeline reads it; a word without a known root stands for itself."""
            found = super().process_text(text, language)
            pairs = zip(found.lemmas, found.tokens, strict=True)
            lemmas = [lemma or token.lower_ for lemma, token in pairs]
            return NlpArtifacts(
                entities=found.entities,
                tokens=found.tokens,
                tokens_indices=found.tokens_indices,
                lemmas=lemmas,
                nlp_engine=self,
                language=language,
                scores=found.scores,
            )

    engine = Words()
    provider = RecognizerRegistryProvider(
        registry_configuration={"supported_languages": [language]}
    )
    with _silent():  # it warns of each recognizer of another language
        registry = provider.create_recognizer_registry()
    registry.recognizers = [one for one in registry.recognizers if one.name not in _NETWORK]
    if pipeline.pipe_names:
        registry.add_nlp_recognizer(nlp_engine=engine)
    return presidio.AnalyzerEngine(
        registry=registry, nlp_engine=engine, supported_languages=[language]
    )


@contextmanager
def _silent() -> Iterator[None]:
    log = logging.getLogger("presidio-analyzer")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _wanted(known: set[str], entities: Sequence[str], model: bool) -> list[str]:
    for name in entities:
        if name not in known:
            more = "" if model else " Names and places need events.redact_model."
            raise ConfigError(
                f"events.redact_entities names {name!r}, which nothing finds here."
                f"{more} {suggest(name, sorted(known))}"
            )
    return list(entities) or sorted(known - _OURS - _ASKED_FOR)


def _replaced(said: str, found: Sequence[tuple[int, int, float, str]]) -> str:
    """The text with each find replaced; of finds that overlap the surest, then the longest."""
    taken = [match.span() for match in _MARK.finditer(said)]
    kept = []
    for start, end, _, kind in sorted(found, key=lambda one: (-one[2], one[0] - one[1], one)):
        if all(end <= left or right <= start for left, right in taken):
            taken.append((start, end))
            kept.append((start, end, kind))
    for start, end, kind in sorted(kept, reverse=True):
        said = f"{said[:start]}<{kind}>{said[end:]}"
    return said
