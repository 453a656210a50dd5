"""What the log as a whole tells before any row is weighed: how to read it, and how it ages."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace

from honewheel.curate import calibration, half_life, reward, trust
from honewheel.curate.calibration import Calibration
from honewheel.curate.settings import Settings
from honewheel.records import Event


@dataclass(frozen=True, slots=True)
class Heard:
    """Events without what these sources said; read anew each time, so nothing is kept."""

    events: Iterable[Event]
    unheard: Container[str]
    left_out: Container[str] = ()  # ids of events to pass over

    def __iter__(self) -> Iterator[Event]:
        for event in self.events:
            if event.id not in self.left_out:
                yield trust.heard(event, self.unheard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """`value` and `quality` judge an event's target and its output, each in [0, 1]."""

    events: Heard
    value: Callable[[Event], float]
    quality: Callable[[Event], float]
    half_life_days: float
    champion: str | None
    calibration: Calibration | None
    notes: tuple[str, ...]  # sentences for the report

    def without(self, events: Container[str]) -> Known:
        """The same, passing over these events (by id)."""
        return replace(self, events=replace(self.events, left_out=events))


def of(events: Iterable[Event], settings: Settings, champion: str | None) -> Known:
    """What is known of these events under these settings; `champion` is a version's name.

    `events` can be read several times: each technique that is on reads them once or twice.
    """
    heard = Heard(events, settings.unheard)
    fitted = calibration.fit(heard) if settings.calibrate else None
    days, told = _half_life(heard, settings, fitted)
    return Known(
        events=heard,
        value=lambda event: reward.value(event, fitted, settings.trust),
        quality=lambda event: reward.output_value(event, fitted, settings.trust),
        half_life_days=days,
        champion=champion,
        calibration=fitted,
        notes=(*_fit(settings, fitted), *told),
    )


def _fit(settings: Settings, fitted: Calibration | None) -> tuple[str, ...]:
    if not settings.calibrate:
        return ()
    if fitted is None:
        least = calibration.ENOUGH
        return (f"Value is not refitted: people have judged fewer than {least} events.",)
    return (
        f"Value is refitted on {fitted.labelled} judged events: calibration error "
        f"{fitted.ece:.3f}, {fitted.prior_ece:.3f} before.",
    )


def _half_life(
    heard: Iterable[Event], settings: Settings, fitted: Calibration | None
) -> tuple[float, tuple[str, ...]]:
    days = settings.half_life_days
    if days != "auto":
        return days, ()
    chosen = half_life.choose(half_life.observations(heard, fitted))
    return chosen.days, (f"Half-life: {chosen.reason}",)
