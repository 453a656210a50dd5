"""Hours of the day in which no cycle is due, in a time zone of their own. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from honewheel.errors import ConfigError
from honewheel.settings import Trigger


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of a local day, `end` excluded, over midnight where `end` is the earlier one."""

    start: time
    end: time
    zone: tzinfo

    def over(self, at: datetime) -> datetime:
        """`at` (aware) when it is not quiet, else the end of these quiet hours; in UTC."""
        local = at.astimezone(self.zone)
        clock = local.time()
        overnight = self.start > self.end
        quiet = (
            clock >= self.start or clock < self.end if overnight else self.start <= clock < self.end
        )
        if not quiet:
            return at.astimezone(UTC)
        day = local.date() + timedelta(days=1 if overnight and clock >= self.start else 0)
        # `fold`: in the hour that comes twice in autumn, stay on the side we are on.
        end = datetime.combine(day, self.end, self.zone).replace(fold=local.fold)
        return end.astimezone(UTC)


def quiet_hours(settings: Trigger) -> Quiet:
    """The quiet hours of the settings; empty ones are never quiet. Raises ConfigError."""
    zone = _zone(settings.timezone)
    if not settings.quiet_hours:
        return Quiet(time(0), time(0), zone)
    try:
        start, end = (time.fromisoformat(part) for part in settings.quiet_hours.split("-"))
    except ValueError as error:
        raise ConfigError(
            f"trigger.quiet_hours = {settings.quiet_hours!r} is no pair of times: {error}. "
            'Write for example "22:00-06:00".'
        ) from error
    if start == end:
        raise ConfigError(
            f"trigger.quiet_hours = {settings.quiet_hours!r} begins when it ends, which is never "
            'or all day. Write "" for never.'
        )
    return Quiet(start, end, zone)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # needs no time zone data
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"trigger.timezone = {name!r} is not known here. Write a name such as Europe/Berlin; "
            "a system without time zone data needs: pip install tzdata."
        ) from error
