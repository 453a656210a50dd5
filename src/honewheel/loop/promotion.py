"""The cycle's last step: the alias moves, by compare-and-swap, to what the gate promoted."""

from __future__ import annotations

from honewheel.loop import watch
from honewheel.loop.turn import Turn
from honewheel.loop.watch import CHAMPION
from honewheel.records import AliasMove, Decision, Json, Version


def promote(turn: Turn, decision: Decision, champion: Version, challenger: Version) -> None:
    """Move the champion alias by compare-and-swap, with the decision as its evidence.

    Where live traffic is watched, the challenger is only put on trial: see `watch`.
    """
    if decision.verdict != "promote":
        return
    settings = turn.config.model(turn.model)[1].watch
    alias = CHAMPION if settings.mode == "off" else watch.CANARY
    expected = int(turn.journal.step("champion", [turn.cycle.id], dict)["revision"])

    def work() -> Json:
        moved = [
            move
            for name in (CHAMPION, watch.CANARY)
            for move in turn.store.versions.history(turn.model, name)
            if move.cycle == turn.cycle.id
        ]
        if not moved and alias == watch.CANARY:
            watch.begin(
                turn.store,
                settings,
                challenger,
                champion,
                decision,
                champion_revision=expected,
                at=turn.clock(),
            )
        elif not moved:
            move = AliasMove(
                model=turn.model,
                alias=CHAMPION,
                revision=expected + 1,
                version=challenger.number,
                previous=champion.number,
                reason=decision.reasons[0],
                at=turn.clock(),
                cycle=turn.cycle.id,
            )
            turn.store.versions.move_alias(move, expected_revision=expected, decision=decision)
        return {
            "alias": alias,
            "version": challenger.number,
            "previous": champion.number,
            "revision": expected + 1,
        }

    turn.journal.step("promote", [challenger.name, expected], work)
    role = "champion" if alias == CHAMPION else f"on trial ({settings.mode})"
    turn.say("promote", f"{challenger.name} is {role}", done=True)
