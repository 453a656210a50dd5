"""What the kinds share: the score of a check, fact F1, the comparison with a reference.

An artifact has two views. Its `facts` are what it states, as written: a house style counts, order
and layout do not. Its `equivalence_key` also forgets names. Text similarity is not used: a
diagram with one cardinality flipped is closer to the reference, letter by letter, than the same
diagram with its entities in another order.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from honewheel.errors import ParseError
from honewheel.protocols import Task
from honewheel.records import Check, Fact, Finding

# A warning costs this much; a valid artifact never falls below the floor.
WARNING_COST = 0.1
VALID_FLOOR = 0.5

_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_FINDINGS = 20  # more tell nobody anything

# Rounds of colour refinement: nodes further apart than this do not influence each other's colour.
ROUNDS = 16


class Refused(Exception):
    """The text is no artifact of its kind; carries the finding."""

    def __init__(self, code: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.finding = Finding(code=code, message=message, line=line)


def judged(findings: Sequence[Finding]) -> Check:
    """Score 0 with an error; else 1 less 0.1 for each kind of warning, at least 0.5."""
    if any(finding.severity == "error" for finding in findings):
        return Check(score=0.0, findings=tuple(findings[:MAX_FINDINGS]))
    kinds = {finding.code for finding in findings}
    score = max(VALID_FLOOR, 1.0 - WARNING_COST * len(kinds))
    return Check(score=round(score, 6), findings=tuple(findings[:MAX_FINDINGS]))


def unreadable(output: str, limit: int) -> Finding | None:
    """The reason why `output` is not even looked at, or None.

    Too long (more than `limit` characters), not Unicode (lone surrogates cannot be stored), or
    wrapped in a Markdown code fence: the artifact is what a tool is fed, and tools reject fences.
    """
    if len(output) > limit:
        message = f"{len(output):,} characters; at most {limit:,} are read"
        return Finding(code="too-large", message=message)
    if _SURROGATE.search(output):
        return Finding(code="not-unicode", message="a lone surrogate is not a character")
    if output.lstrip().startswith("```"):
        message = "starts with a ``` code fence; the artifact itself is expected, without it"
        return Finding(code="code-fence", message=message, line=1)
    return None


def parse_error(finding: Finding) -> ParseError:
    """The finding as an error, for callers that need the artifact itself."""
    where = "" if finding.line is None else f"line {finding.line}: "
    return ParseError(f"{where}{finding.message}")


def fact_f1(found: frozenset[Fact], expected: frozenset[Fact]) -> float:
    """Harmonic mean of precision and recall over facts, in [0, 1]; two empty sets agree.

    >>> fact_f1(frozenset({("entity", "a"), ("entity", "b")}), frozenset({("entity", "a")}))
    0.6666666666666666
    """
    if not found and not expected:
        return 1.0
    return 2 * len(found & expected) / (len(found) + len(expected))


def compare(
    task: Task, output: str, reference: str, context: Mapping[str, str]
) -> dict[str, float]:
    """Score (valid x fact F1), valid, facts, exact, equivalent; each in [0, 1].

    Raises:
        ParseError: the reference cannot be read, so nothing can be measured against it.
    """
    expected = task.facts(reference, context)
    exact = float(output.strip() == reference.strip())
    valid = float(task.check(output, context).valid)
    try:
        agreement = fact_f1(task.facts(output, context), expected)
        key = task.equivalence_key(output, context)
    except ParseError:
        return {"score": 0.0, "valid": valid, "facts": 0.0, "exact": exact, "equivalent": 0.0}
    return {
        "score": valid * agreement,
        "valid": valid,
        "facts": agreement,
        "exact": exact,
        "equivalent": float(key == task.equivalence_key(reference, context)),
    }


def graph_key(colours: Sequence[str], edges: Iterable[tuple[int, str, int]]) -> str:
    """Hash of a labelled graph that does not depend on the order or names of its nodes.

    Colour refinement (1-dimensional Weisfeiler-Leman): a node's colour is refined by the labels
    and colours around it until no class splits. Equal graphs have equal keys; some unequal
    ones do too, among them regular graphs of like nodes (a ring of six against two of three)
    and graphs that differ only beyond 16 steps from everything that tells nodes apart.

    Args:
        colours: what each node is, apart from its name.
        edges: (from, label, to) with positions in `colours`.
    """
    near: list[list[tuple[str, int]]] = [[] for _ in colours]
    for start, label, end in edges:
        near[start].append((f">{label}", end))
        near[end].append((f"<{label}", start))
    seen = hashlib.sha256()
    ranks = _ranks(colours, seen)
    for _ in range(ROUNDS):
        classes = len(set(ranks))
        ranks = _ranks(
            [
                (rank, tuple(sorted((label, ranks[other]) for label, other in around)))
                for rank, around in zip(ranks, near, strict=True)
            ],
            seen,
        )
        if len(set(ranks)) == classes:
            break
    return seen.hexdigest()


def _ranks(signatures: Sequence[Any], seen: hashlib._Hash) -> list[int]:
    """Each signature's place among the distinct ones; what they are and how many goes to `seen`."""
    counted = sorted(Counter(signatures).items())
    seen.update(repr(counted).encode())
    place = {signature: rank for rank, (signature, _) in enumerate(counted)}
    return [place[signature] for signature in signatures]
