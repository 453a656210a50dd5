"""Which responses ask the same thing: exact keys, MinHash signatures, bands, and the link.

Groups are by prompt *and* context: two outputs for one prompt share a group. A signature row
mixes one MinHash of the prompt with one of the context, so two signatures agree in a share of
rows that estimates J(prompts) x J(contexts). Keys that share one long schema are therefore
not linked by the schema, and one instruction over different documents is not linked by the
instruction. MinHash: Broder 1997; banding: Leskovec, Rajaraman & Ullman, "Mining of Massive
Datasets", section 3.4.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from honewheel.curate import shingles, text
from honewheel.errors import InputError
from honewheel.records import Split
from honewheel.tasks import pairs

PERMUTATIONS = 128
BANDS = 16
ROWS = PERMUTATIONS // BANDS  # 16 bands of 8: half of the pairs at (1/16)^(1/8) = 0.71 collide
SHINGLE = 3  # words; a one-word edit of a 30-word prompt leaves 0.81, two edits 0.65
THRESHOLD = 0.7

# Signatures compare only within one version of the text forms, of this file and of the library.
VERSION = f"4.{shingles.VERSION}.{RMinHash.ALGORITHM_VERSION}"

_SEED = 20_011
_PROMPT_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so multiplication mod 2^64 is a bijection
_CONTEXT_FACTOR = np.uint64(0xC2B2AE3D27D4EB4F)
# ASCII that stands in JSON as it is, and white space, of which only single blanks remain.
_UNQUOTED = bytes(
    one for one in range(127) if chr(one).isspace() or (one > 31 and chr(one) not in '"\\')
)
_BATCH = 256  # texts whose bytes are looked at together
_BYTES = 4 * PERMUTATIONS  # of a signature


class Candidate(NamedTuple):
    """An earlier response that shares a band or the exact key with a new one.

    Quarantined responses are no candidates: they are in no group that could leak.
    """

    response_id: str
    exact: str
    signature: bytes
    group: str
    split: Split


class Link(NamedTuple):
    """Where a new response belongs. `split` is None when it founds its own group."""

    group: str
    split: Split | None = None
    twin: str | None = None
    similarity: float | None = None
    quarantined: str | None = None


def exact_key(prompt: str, context: Mapping[str, str]) -> str:
    """blake2b (32 hex digits) of the canonical prompt and context, keys in sorted order.

    Of a pair of texts it is that of the two, in either order, whatever else the context says.
    """
    if (two := pairs.texts(prompt, context)) is not None:
        parts = ["\x1fpair", *sorted(map(text.canonical, two))]
    else:
        parts = [text.canonical(prompt)]
        parts += [f"{key}\x1f{text.canonical(context[key])}" for key in sorted(context)]
    quoted = f"[{', '.join(map(encode_basestring_ascii, parts))}]"  # json.dumps, in half the time
    return hashlib.blake2b(quoted.encode(), digest_size=16).hexdigest()


def exact_keys(asked: Sequence[tuple[str, Mapping[str, str]]]) -> list[str]:
    """`exact_key` of each prompt with its context; a batch costs half of one by one."""
    plain = [prompt.encode() for prompt, about in asked if not about and prompt.isascii()]
    if plain and not b"".join(plain).translate(None, _UNQUOTED):  # JSON escapes nothing of them
        folded = iter(text.canonical_ascii(plain))
        return [
            hashlib.blake2b(b'["%b"]' % next(folded), digest_size=16).hexdigest()
            if not about and prompt.isascii()
            else exact_key(prompt, about)
            for prompt, about in asked
        ]
    return [exact_key(prompt, about) for prompt, about in asked]


def signature(prompt: str, context: Mapping[str, str]) -> bytes:
    """512 bytes: 128 rows of 32 bits, each agreeing with probability J(prompts) x J(contexts)."""
    return signatures([(prompt, context)])[0]


def signatures(asked: Sequence[tuple[str, Mapping[str, str]]]) -> list[bytes]:
    """The signature of each prompt with its context; a batch costs a fraction of one by one."""
    found: list[bytes] = []
    for start in range(0, len(asked), _BATCH):
        some = asked[start : start + _BATCH]
        mixed = _minhash([prompt for prompt, _ in some])
        mixed *= _PROMPT_FACTOR
        mixed ^= _contexts([about for _, about in some])
        mixed *= _PROMPT_FACTOR
        mixed >>= np.uint64(32)
        whole = mixed.astype("<u4").tobytes()
        found += [whole[at : at + _BYTES] for at in range(0, len(whole), _BYTES)]
    return found


def bands(signed: bytes) -> tuple[int, ...]:
    """16 hashes in [0, 2^63), one a band; equal at one place when all 8 rows of it agree."""
    return all_bands([signed])[0]


def all_bands(signed: Sequence[bytes]) -> list[tuple[int, ...]]:
    """The bands of each signature; a batch costs a fraction of one by one."""
    pairs = np.frombuffer(b"".join(signed), "<u8").reshape(-1, BANDS, ROWS // 2)
    mixed = np.zeros(pairs.shape[:2], dtype=np.uint64) + np.arange(BANDS, dtype=np.uint64)
    for place in range(ROWS // 2):
        mixed = shingles.mix(mixed * _PROMPT_FACTOR + pairs[:, :, place])
    return [tuple(row) for row in (mixed >> np.uint64(1)).tolist()]


def similarity(left: bytes, right: bytes) -> float:
    """Share of equal rows in [0, 1]; estimates the product of Jaccards with sd <= 0.045.

    A pair of texts is stored with a signature for each, one behind the other: of those the most
    alike count.
    """
    if left and right and (len(left) > _BYTES or len(right) > _BYTES):
        return max(similarity(a, b) for a in _parts(left) for b in _parts(right))
    if len(left) != len(right):
        raise InputError(
            f"Signatures of {len(left)} and {len(right)} bytes cannot be compared. They were "
            "made by different versions of honewheel.curate.dedup; fingerprint the log again."
        )
    same = np.frombuffer(left, "<u4") == np.frombuffer(right, "<u4")
    return int(np.count_nonzero(same)) / len(same)


def _parts(signed: bytes) -> list[bytes]:
    return [signed[at : at + _BYTES] for at in range(0, len(signed), _BYTES)]


def link(
    response_id: str,
    exact: str,
    signed: bytes,
    candidates: Iterable[Candidate],
    *,
    threshold: float = THRESHOLD,
) -> Link:
    """The group a new response joins: that of its nearest candidate at or above `threshold`.

    Without one it founds the group `response_id`. When candidates of different splits are near
    enough, it would tie test material to training material: it is quarantined, nothing else
    moves. Near groups of one split stay apart, for a recorded group never changes either.
    The answer does not depend on the order of `candidates`.
    """
    near = [
        (score, one)
        for one in candidates
        if (score := 1.0 if one.exact == exact else similarity(one.signature, signed)) >= threshold
    ]
    if not near:
        return Link(group=response_id)
    near.sort(key=lambda pair: (-pair[0], pair[1].response_id))
    score, twin = near[0]
    return Link(
        group=twin.group,
        split=twin.split,
        twin=twin.response_id,
        similarity=score,
        quarantined=bridge(near),
    )


def bridge(near: Sequence[tuple[float, Candidate]]) -> str | None:
    """Why the nearest of these must not be joined: others of them have another split."""
    score, twin = near[0]
    for other_score, other in near[1:]:
        if other.split != twin.split:
            return (
                f"resembles {twin.response_id} ({twin.split}, {score:.2f}) and "
                f"{other.response_id} ({other.split}, {other_score:.2f}): using it on either "
                "side would leak"
            )
    return None


def _contexts(asked: Sequence[Mapping[str, str]]) -> npt.NDArray[np.uint64]:
    """A row for each context, or one row that serves all where none has any."""
    if not any(asked):
        return _about("")
    return np.stack([_about("\n".join(about[key] for key in sorted(about))) for about in asked])


@lru_cache(maxsize=1024)  # many responses are about one schema, or about nothing more
def _about(source: str) -> npt.NDArray[np.uint64]:
    rows: npt.NDArray[np.uint64] = _minhash([source])[0] * _CONTEXT_FACTOR
    return rows


def _minhash(sources: Sequence[str]) -> npt.NDArray[np.uint64]:
    """[n, 128] of 32-bit minima over the texts' runs of SHINGLE words."""
    flat, offsets = shingles.hashes(sources, SHINGLE)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets, PERMUTATIONS, _SEED)
    minima = array("I")  # a list of lists goes through it in a third of the time
    for row in matrix.to_rows():
        minima.fromlist(row)
    return np.frombuffer(minima, dtype=np.uint32).reshape(-1, PERMUTATIONS).astype(np.uint64)
