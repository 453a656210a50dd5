"""The formats an import knows, and which of them a file is in."""

from __future__ import annotations

from collections.abc import Sequence

from honewheel.errors import InputError
from honewheel.events.formats.base import Format, Reading, Record, Row
from honewheel.events.formats.demonstrations import ALPACA, CHAT, COMPLETION, SEQUENCES, SHAREGPT
from honewheel.events.formats.label_studio import LABEL_STUDIO
from honewheel.events.formats.langfuse import LANGFUSE
from honewheel.events.formats.native import NATIVE
from honewheel.events.formats.open_webui import OPEN_WEBUI
from honewheel.events.formats.openai_logs import OPENAI
from honewheel.events.formats.pairs import CLICKS, PAIRS, TRIPLETS
from honewheel.events.formats.preferences import CHOSEN_REJECTED, KTO

# In order of detection: what asks for more keys comes before what asks for fewer.
FORMATS: tuple[Format, ...] = (
    OPEN_WEBUI,
    LABEL_STUDIO,
    LANGFUSE,
    OPENAI,
    CHOSEN_REJECTED,
    KTO,
    TRIPLETS,
    CLICKS,
    PAIRS,
    SHAREGPT,
    CHAT,
    ALPACA,
    COMPLETION,
    SEQUENCES,
    NATIVE,
)
NAMES = tuple(found.name for found in FORMATS)


def named(name: str) -> Format:
    """The format called `name`. Raises InputError listing what exists."""
    for found in FORMATS:
        if found.name == name:
            return found
    raise InputError(f"There is no format {name!r}. Known: {', '.join(NAMES)}.")


def detect(records: Sequence[Record]) -> Format:
    """The format that most of these records (the first of a file) are in; ties go by FORMATS.

    Raises InputError when no record is in any: the message tells the keys that were found. A
    file of which no record could be read counts as feedback rows, so that every line is refused
    with a reason of its own.
    """
    if not records:
        return NATIVE
    counts = dict.fromkeys(range(len(FORMATS)), 0)
    for record in records:
        for place, found in enumerate(FORMATS):
            if found.matches(record):
                counts[place] += 1
                break
    best = max(counts, key=lambda place: (counts[place], -place))
    if counts[best]:
        return FORMATS[best]
    keys = sorted({key for record in records for key in record})
    raise InputError(
        f"its format is not known: the first rows bring {', '.join(keys[:12]) or 'no key'}. "
        f"Name it with --format ({', '.join(NAMES)}), or the columns with --map prompt=COLUMN."
    )


__all__ = ["FORMATS", "NAMES", "Format", "Reading", "Record", "Row", "detect", "named"]
