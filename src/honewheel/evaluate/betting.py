"""Evidence that may be looked at after every outcome: capital of bettors against a hypothesis.

A hypothesis says that the gains g_1, g_2, ... of a bet have no positive mean given the past. A
bettor who stakes a fixed share s of the capital on each multiplies it by 1 + s g_t; if the
hypothesis holds, no way of stopping makes the capital grow on average, and the chance that it ever
reaches 1/alpha is at most alpha (Ville). Several shares are staked side by side and their capitals
averaged, so that no share has to be guessed. Waudby-Smith and Ramdas, "Estimating means of bounded
random variables by betting", JRSS B 86 (2024), section 4; for two samples Shekhar and Ramdas,
"Nonparametric two-sample testing by betting", IEEE Trans. Inf. Theory 70 (2024).

Half of the money is bet that way. It is slow to notice what turns bad only later, when the good
start has used it up. The other half is therefore dealt out anew a little at every step, to the same
bettors and to one who keeps cash: Herbster and Warmuth, "Tracking the best expert", Machine
Learning 32 (1998), fixed share. Dealing out moves money and makes none, so the level holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

VERSION = 1

# Staked side by side, as shares of the largest stake that cannot lose everything at once.
SHARES = (0.02, 0.04, 0.08, 0.12, 0.18, 0.26, 0.36, 0.5, 0.7, 0.9)
FRESH = (0.0, *SHARES)  # of the second half: one keeps cash
DEALT = 1 / 500  # of the second half, dealt out anew at each step
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Capital:
    """The bettors' capital after some gains; each bettor starts with 1.

    `worst` > 0 is the largest loss a single gain can bring: gains are >= -worst. `logs` and
    `fresh` are logarithms of the two halves' capitals, `peak` that of the largest average so
    far: what Ville's inequality speaks of.
    """

    worst: float = 1.0
    steps: int = 0
    logs: tuple[float, ...] = (0.0,) * len(SHARES)
    fresh: tuple[float, ...] = (0.0,) * len(FRESH)
    peak: float = 0.0

    def add(self, gain: float) -> Capital:
        """With one more gain. Raises ValueError below -worst: the bets would not be fair."""
        if not gain >= -self.worst - _TOLERANCE:
            raise ValueError(f"a gain of {gain:g} is below {-self.worst:g}")
        stake = max(gain, -self.worst) / self.worst
        logs = _grown(self.logs, SHARES, stake)
        fresh = _grown(_dealt(self.fresh), FRESH, stake)
        now = average((average(logs), average(fresh)))
        return Capital(self.worst, self.steps + 1, logs, fresh, max(self.peak, now))

    @property
    def e_value(self) -> float:
        """The largest average capital so far: evidence against the hypothesis, at least 1."""
        return math.exp(min(self.peak, 700.0))

    def refutes(self, alpha: float) -> bool:
        """Whether the hypothesis falls at level `alpha` in (0, 1)."""
        return self.peak >= -math.log(alpha)


def _grown(logs: Sequence[float], shares: Sequence[float], stake: float) -> tuple[float, ...]:
    pairs = zip(logs, shares, strict=True)
    return tuple(log + math.log1p(share * stake) for log, share in pairs)


def _dealt(logs: Sequence[float]) -> tuple[float, ...]:
    """A share of everything collected and dealt out evenly; the sum stays as it was."""
    dealt = DEALT * math.exp(average(logs) - (top := max(logs)))
    return tuple(top + math.log((1 - DEALT) * math.exp(log - top) + dealt) for log in logs)


def average(logs: Sequence[float]) -> float:
    """Logarithm of the mean of the numbers whose logarithms these are.

    >>> round(average((0.0, 0.0)), 6)
    0.0
    """
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs) / len(logs))
