"""How much a target is worth: value, target and weight, three numbers kept apart.

*value* is P(the user would accept the target), from evidence only. *weight* is sampling mass and
depends on age; it is computed at build time and never stored with the event (`weighting` adds the
other factors). *difficulty* is a third column (`difficulty`).

What the evidence is and what each piece counts stands in `evidence`; `calibration` refits it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from honewheel.curate import calibration as calibrations
from honewheel.curate import evidence
from honewheel.curate.calibration import Calibration, logistic1
from honewheel.curate.evidence import CORRECTION, PRIOR, PRIORS, TRUST
from honewheel.curate.text import canonical_target
from honewheel.records import Event

VERSION = f"2.{calibrations.VERSION}"


def target(event: Event) -> tuple[str, str] | None:
    """(origin, text) to learn from an event; origin is "correction" or "output".

    The newest correction wins. A correction that repeats the output is an acceptance of it, but
    that of a demonstration is a correction: no model wrote its output, so it is new to learn.
    None when nobody said anything that bears on the output, or when there is no text.
    """
    correction = event.correction
    fixed = correction.text if correction is not None and correction.text else ""
    output = event.response.output
    if fixed.strip() and (
        event.response.demonstration or canonical_target(fixed) != canonical_target(output)
    ):
        return "correction", fixed
    spoken = any(evidence.bears(item) for item in event.feedback)
    return ("output", output) if spoken and output.strip() else None


def value(
    event: Event,
    calibration: Calibration | None = None,
    trust: Mapping[str, float] | None = None,
) -> float:
    """P(the user would accept the target) in [0, 1]; see `target` for what the target is.

    Weakly monotone in every signal; free of the clock and of the order of arrival. Each source
    counts once per kind of signal, with the newest it said. `trust` scales the word of the
    sources it names by a share in [0, 1]: at 0 it is as if the source had said nothing.

    A corrected target is worth 0.95 however much was changed: somebody wrote it out.
    """
    picked = target(event)
    correction = event.correction
    if picked is None or picked[0] == "output" or correction is None:
        return output_value(event, calibration, trust)
    say = _says(calibration, trust).get(correction.source, 1.0)
    return logistic1(PRIOR + say * (CORRECTION * TRUST[correction.source_kind] - PRIOR))


def output_value(
    event: Event,
    calibration: Calibration | None = None,
    trust: Mapping[str, float] | None = None,
) -> float:
    """P(the user would accept the output as it stands) in [0, 1].

    A correction speaks against the output, the more of it it changed; a small edit says only
    that it was nearly right.
    """
    found = evidence.entries(event, _says(calibration, trust))
    if calibration is not None:
        return calibration.probability(found)
    return logistic1(PRIOR + math.fsum(PRIORS[column] * entry for column, entry in found))


def weight(age_days: float, half_life_days: float, copies: int) -> float:
    """2^(-age / half life) / (1 + copies), in (0, 1].

    `copies` is the number of other training rows of the same group, so a group's mass does not
    grow with the number of its rows. An age below 0 (a clock ahead of ours) counts as 0; an
    infinite half life switches the decay off.
    """
    decay = math.exp2(-max(age_days, 0.0) / half_life_days)
    return max(decay, 1e-9) / (1 + copies)


def _says(
    calibration: Calibration | None, trust: Mapping[str, float] | None
) -> Mapping[str, float]:
    """What is asked for by hand and what was measured, multiplied."""
    measured = {} if calibration is None else calibration.says
    if not trust:
        return measured
    return {name: trust.get(name, 1.0) * measured.get(name, 1.0) for name in {*trust, *measured}}
