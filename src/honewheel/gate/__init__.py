"""Promote, reject or undecided: a pure function of comparisons and a policy.

**Primary.** One endpoint per registered model: the pooled score of the tasks it was trained on.
It must gain: one-sided lower bound at `benefit_level` above 0, and estimate at least `min_gain`.

**Guards.** Everything else that was measured: tasks not trained on, frozen suites, each trained
task when there are several, and the validity of each trained task. All must pass, so the chance
to wave a real loss through is that of the one guard at fault and no correction for their number is
due (an intersection-union test, Berger 1982). A score guard passes when its lower bound at
`guard_level` lies above -`margin`; it is worse when it lost more than the margin and the two-sided
95 % interval excludes 0; otherwise it is unclear.

**Validity** is 0 or 1 an item, so its bound moves in steps: with 150 items one lost item alone puts
it at -2 points, and a strict bound at a 2-point margin would never be met. It passes when the
estimate lost at most `validity_margin` *and* the bound lies above twice that. With 150 items, two
lost ones pass, three are unclear, four are worse.

**Watched.** Categories of an adversarial diagnostic have a few dozen cases each, too few to prove
that nothing was lost. They forbid only what is shown: a loss of more than `adversarial_margin`
whose 95 % interval excludes 0. What is unclear is told and holds nothing up.

**Tiers** are named sets of floors ("production": AUC 95). The report says which are reached; only
the floors of the required ones forbid.

Failing closed: no baseline, an unreadable or missing number, a suite that is empty, too small or
saturated, and equal scores on every item never promote. What is worse rejects, what is unclear
leaves the decision open and says how many prompts would settle it.
"""

from honewheel.gate.decide import decide
from honewheel.gate.evidence import Evidence, Policy
from honewheel.gate.rules import POWER, needed, state, watch

__all__ = ["POWER", "VERSION", "Evidence", "Policy", "decide", "needed", "state", "watch"]

VERSION = 2
