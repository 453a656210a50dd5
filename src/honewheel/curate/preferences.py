"""Which of two outputs for one prompt users would take: pairs for DPO and its kin.

Three sources, strongest first: a *correction* (what somebody wrote against what the model wrote),
a *comparison* (somebody preferred one recorded output to another), and outputs that are *ranked*
by how good they are known to be, one clearly above the other. Each prompt gives one pair, from
its strongest source: ten pairs of one prompt would be ten times the same opinion. Prompts are
never mixed, nor are splits; a thumb on one prompt and a thumb on another say nothing of each
other (see `rated`).

Of ranked outputs the rejected one is that nearest to two standard deviations below the mean, not
the worst (Xiao et al. 2025, "Finding the Sweet Spot", arXiv 2502.16825): with many samples the
worst is an accident. Up to five outputs it is the worst nevertheless, since nothing of five
values lies further than two standard deviations below their mean.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import fmean, pstdev
from typing import NamedTuple

from honewheel.curate import balance, contamination, questions, reward, statements
from honewheel.curate.dedup import exact_key
from honewheel.curate.lots import lot
from honewheel.curate.questions import Keys
from honewheel.curate.rows import Checker
from honewheel.curate.statements import Statement
from honewheel.curate.text import canonical_target
from honewheel.curate.trust import heard
from honewheel.records import Dropped, Event, Example, Item, Json, Pair, Rated, digest, utc
from honewheel.tasks.asked import asked

VERSION = 1

ORIGINS = ("correction", "comparison", "sampled", "mutation")  # strongest first
MARGIN = 0.1  # least difference in P(accept) of ranked outputs; valid against invalid is 0.4

_HELD_OUT = "preference held out (suite)"

Quality = Callable[[Event], float]


class Preferred(NamedTuple):
    """Pairs, and the statements that gave none: contradicted, invalid or not usable."""

    pairs: tuple[Pair, ...]
    review: tuple[Dropped, ...]


def pairs(
    events: Iterable[Event],
    *,
    checks: Checker,
    as_of: datetime,
    half_life_days: float = 180.0,
    exclude_sources: Container[str] = (),
    quality: Quality = reward.output_value,
    margin: float = MARGIN,
    judge_error: float = 0.0,
    seed: int = 0,
) -> Preferred:
    """At most one pair a prompt of train and val, in an order drawn with `seed`.

    Test material and what was quarantined are not looked at. Statements that contradict each
    other (a over b and b over a, directly or around) go to review, as does a pair whose chosen
    side is invalid. The answer does not depend on the order of `events`.

    Args:
        events: as intake left them.
        checks: (task, output, context) -> Check; what is chosen must pass it.
        as_of: the time from which ages count; a group's pairs share one weight.
        half_life_days: age at which a weight is halved; inf switches the decay off.
        exclude_sources: whose feedback is not heard.
        quality: P(a user would accept the output as it stands), in [0, 1]; ranks outputs.
        margin: least difference of quality between two ranked outputs.
        judge_error: standard error of `quality`; twice as much is asked at least.
        seed: of the order, and of the choice among outputs of equal quality.
    """
    told = Questions(events)
    questions: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    refused: list[Dropped] = []
    for event in usable(told, exclude_sources):
        assert event.placement is not None  # usable
        questions[event.response.task, event.placement.exact].append(event)
    found: list[tuple[Pair, datetime]] = []
    gap = max(margin, 2 * judge_error)
    for key in sorted(questions):
        edge, out = _decide(questions[key], checks, quality, gap, seed)
        refused += out
        if edge is not None:
            found.append((_pair(edge), edge.at))
    weighed = balance.even(balance.aged(found, as_of, half_life_days))
    return Preferred(
        tuple(sorted(weighed, key=lambda pair: (lot(seed, pair.id), pair.events))),
        tuple(sorted(set(refused), key=lambda one: (one.event, one.reason, one.detail))),
    )


def one_per_prompt(found: Iterable[Pair]) -> tuple[Pair, ...]:
    """The pairs of the strongest origin for each prompt and context, in the order given."""
    kept: dict[tuple[str, str], Pair] = {}
    for pair in found:
        key = pair.task, exact_key(pair.prompt, pair.context)
        rival = kept.get(key)
        if rival is None or ORIGINS.index(pair.origin) < ORIGINS.index(rival.origin):
            kept[key] = pair
    return tuple(kept.values())


class Questions:
    """The events of questions that may give a pair; the others are not kept.

    A question does where somebody corrected or compared, or where it was asked twice. Of the
    others a number each is remembered while reading; two numbers that meet by accident keep one
    event too many, which changes nothing.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = events
        seen: set[int] = set()
        self._telling: set[int] = set()
        for event in events:
            key = _question(event)
            spoken = any(item.kind in _TELLING for item in event.feedback)
            (self._telling if spoken or key in seen else seen).add(key)

    def __iter__(self) -> Iterator[Event]:
        """The events, read again."""
        return (event for event in self._events if _question(event) in self._telling)


_TELLING = ("correction", "preferred")


def _question(event: Event) -> int:
    exact = "" if event.placement is None else event.placement.exact
    return hash((event.response.task, exact))


def usable(events: Iterable[Event], exclude_sources: Container[str] = ()) -> list[Event]:
    """Events of train and val by id, each once, without what excluded sources said."""
    placed = {
        event.id: heard(event, exclude_sources)
        for event in events
        if event.placement is not None
        and event.placement.quarantined is None
        and event.placement.split != "test"
    }
    return [placed[name] for name in sorted(placed)]


# --- held-out material -------------------------------------------------------------------------


def views(found: Iterable[Pair], rated: Iterable[Rated] = ()) -> list[Example]:
    """Each text of each pair and rated row as an example, for `contamination.assert_clean`."""
    texts: list[tuple[Pair | Rated, str]] = []
    for pair in found:
        texts += [(pair, pair.chosen), (pair, pair.rejected)]
    texts += [(row, row.output) for row in rated]
    return [
        Example(
            id=row.id,
            task=row.task,
            prompt=row.prompt,
            target=target,
            group=row.group,
            split=row.split,
            context=row.context,
            events=row.events,
        )
        for row, target in texts
    ]


def without_leaks(
    found: Sequence[Pair],
    rated: Sequence[Rated],
    held_out: Sequence[Item],
    known: Keys = questions.TEXT,
) -> tuple[tuple[Pair, ...], tuple[Rated, ...], tuple[Dropped, ...]]:
    """The pairs and rated rows that give away no held-out item, and the others with the reason."""
    why: dict[str, str] = {}
    for name, item, reason in contamination.leaks(views(found, rated), held_out, known):
        why.setdefault(name, f"item {item}: {reason}")
    rows: list[Pair | Rated] = [*found, *rated]
    dropped = [
        Dropped(event=row.events[0] if row.events else row.id, reason=_HELD_OUT, detail=why[row.id])
        for row in rows
        if row.id in why
    ]
    kept = tuple(pair for pair in found if pair.id not in why)
    return kept, tuple(row for row in rated if row.id not in why), tuple(dropped)


# --- one question ------------------------------------------------------------------------------


def _decide(
    events: Sequence[Event], checks: Checker, quality: Quality, gap: float, seed: int
) -> tuple[Statement | None, list[Dropped]]:
    """The statement a question's pair is made of, and what goes to review."""
    compared, refused = statements.comparisons(events)
    edges = [*statements.corrections(events), *compared]
    beats = statements.graph(edges)
    votes = Counter(edge.ends for edge in edges)
    ranked = sorted(
        edges,
        key=lambda edge: (-ORIGINS.index(edge.origin), votes[edge.ends], edge.at, edge.events),
        reverse=True,
    )
    sound: list[Statement] = []
    for edge in ranked:
        if statements.reaches(beats, edge.ends[1], edge.ends[0]):
            detail = f"{edge.origin} of {edge.source}: others say the opposite"
            refused.append(edge.refuse("conflicting preference", detail))
        elif problem := _invalid(edge, checks):
            refused.append(edge.refuse("invalid choice", problem))
        else:
            sound.append(edge)
    best = next(iter(sound), None)
    return best or _ranked(events, beats, checks, quality, gap, seed), refused


def _ranked(
    events: Sequence[Event],
    beats: Mapping[str, set[str]],
    checks: Checker,
    quality: Quality,
    gap: float,
    seed: int,
) -> Statement | None:
    """The best valid output over one worse by at least `gap` and never said to be better."""
    same = _distinct(events)
    if len(same) < 2:
        return None
    value = {text: fmean(quality(_judged(event)) for event in same[text]) for text in same}
    order = sorted(same, key=lambda text: (-value[text], lot(seed, text)))
    best = next((text for text in order if _valid(same[text][0], checks)), None)
    if best is None:
        return None
    first = same[best][0]
    # The small term keeps a difference of exactly the margin despite binary fractions.
    worse = [
        text
        for text in order
        if value[text] <= value[best] - gap + 1e-9
        and not statements.reaches(beats, text, best)
        and any(statements.together(first, event) for event in same[text])
    ]
    if not worse:
        return None
    aim = fmean(value.values()) - 2 * pstdev(value.values())
    rejected = min(worse, key=lambda text: abs(value[text] - aim))  # of equals, as drawn
    second = next(event for event in same[rejected] if statements.together(first, event))
    return Statement(
        origin="sampled",
        winner=first.response.output,
        loser=second.response.output,
        event=first,
        events=(first.id, second.id),
        at=max(utc(first.response.created_at), utc(second.response.created_at)),
        source="",
    )


def _judged(event: Event) -> Event:
    """The event without comparisons: they speak of two outputs, and are heard as such above."""
    kept = tuple(item for item in event.feedback if item.kind != "preferred")
    return replace(event, feedback=kept)


def _distinct(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Canonical output -> the events that have it; empty outputs are none."""
    same: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.response.output.strip():
            same[canonical_target(event.response.output)].append(event)
    return dict(same)


def _valid(event: Event, checks: Checker) -> bool:
    response = event.response
    return checks(response.task, response.output, asked(response)).valid


def _invalid(edge: Statement, checks: Checker) -> str | None:
    """Why what is chosen cannot be: the first error of its check."""
    response = edge.event.response
    check = checks(response.task, edge.winner, asked(response))
    errors = (one.message for one in check.findings if one.severity == "error")
    return None if check.valid else f"{edge.origin}: {next(errors)}"


# --- pairs and weights -------------------------------------------------------------------------


def _pair(edge: Statement) -> Pair:
    response, place = edge.event.response, edge.event.placement
    assert place is not None  # usable
    context = dict(sorted(response.context.items()))
    fields: Json = [response.task, response.prompt, context, edge.winner, edge.loser]
    return Pair(
        id=f"pair_{digest(fields)[:16]}",
        task=response.task,
        prompt=response.prompt,
        chosen=edge.winner,
        rejected=edge.loser,
        group=place.group,
        split=place.split,
        origin=edge.origin,
        context=context,
        events=edge.events,
    )
