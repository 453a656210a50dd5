"""The techniques that can be switched: the settings that turn each on, and its plain value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from honewheel import plugins
from honewheel.config import Config
from honewheel.errors import InputError
from honewheel.records import Json

NO_DECAY_DAYS = 36_500.0  # a century: every example weighs the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """One switch of `[curate]`: `on` is what it is tried with, `off` its plain value."""

    name: str
    key: str
    on: Json
    off: Json
    needs: str = ""  # another key of [curate] without which the switch changes nothing


TECHNIQUES: Mapping[str, Technique] = {
    one.name: one
    for one in (
        Technique(name="decay", key="half_life_days", on=180.0, off=NO_DECAY_DAYS),
        Technique(name="calibrate", key="calibrate", on=True, off=False),
        Technique(name="propensity", key="propensity", on=True, off=False),
        Technique(name="balance", key="task_balance", on=0.5, off=1.0),
        Technique(name="learnability", key="learnability", on=True, off=False),
        Technique(
            name="selection", key="selection", on="coverage", off="random", needs="max_examples"
        ),
        Technique(name="replay", key="replay_share", on=0.3, off=0.0),
        Technique(
            name="coreset", key="replay", on="coverage", off="reservoir", needs="replay_share"
        ),
        Technique(name="curriculum", key="curriculum", on="competence", off="off"),
        Technique(name="stages", key="curriculum", on="stages", off="off"),
        Technique(name="hard-first", key="curriculum", on="hard-first", off="off"),
        Technique(name="easy-only", key="curriculum", on="easy-only", off="off"),
        Technique(name="augment", key="augment", on=1, off=0),
        Technique(name="synthetic", key="synthetic_share", on=0.3, off=0.0),
    )
}


def find(name: str) -> Technique:
    """The technique called `name`. Raises InputError with a did-you-mean."""
    if name not in TECHNIQUES:
        raise InputError(f"No technique {name!r}. {plugins.suggest(name, list(TECHNIQUES))}")
    return TECHNIQUES[name]


def value(config: Config, technique: Technique) -> Json:
    """What a technique's setting is now."""
    found: Json = getattr(config.settings.curate, technique.key)
    return found


def is_on(config: Config, technique: Technique) -> bool:
    """Whether a technique is set to anything but its plain value, and can show."""
    needed = not technique.needs or bool(getattr(config.settings.curate, technique.needs))
    now = value(config, technique)
    return needed and now != technique.off and not _of_another(technique, now)


def _of_another(technique: Technique, now: Json) -> bool:
    """Whether a setting is what another technique of the same key is tried with."""
    same_key = [one for one in TECHNIQUES.values() if one.key == technique.key]
    return any(one.on == now for one in same_key if one is not technique)


def switched(config: Config, **curate: Json) -> Config:
    """The same project with other settings of `[curate]`."""
    settings = config.settings
    section = settings.curate.model_copy(update=curate)
    return replace(config, settings=settings.model_copy(update={"curate": section}))


def arms(config: Config, technique: Technique) -> tuple[Config, Config]:
    """(with it, without it): the project as it is, but for this one switch."""
    current = value(config, technique)
    other = current == technique.off or _of_another(technique, current)
    on = technique.on if other else current
    return switched(config, **{technique.key: on}), switched(
        config, **{technique.key: technique.off}
    )
