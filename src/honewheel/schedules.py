"""The two schedules a model may have: a light one, often, and a deep one, now and then.

What enters are a model's settings as they stand in the file; what leaves has each schedule filled
in: the model's own training and trigger, but for what the schedule says. A light cycle goes on from
the champion for one epoch; a deep one starts from the base, on everything worth learning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from honewheel import plugins
from honewheel.errors import ConfigError
from honewheel.settings import Model, Schedule, Schedules, Settings, Trigger

Name = Literal["light", "deep"]
ORDER: tuple[Name, ...] = ("deep", "light")  # when both are due, the deep one runs
DEEP_DAYS = 7.0


def of(model: Model) -> dict[Name, Schedule]:
    """The schedules that a model has, the deep one first."""
    found: dict[Name, Schedule | None] = {
        "deep": model.schedules.deep,
        "light": model.schedules.light,
    }
    return {name: found_one for name in ORDER if (found_one := found[name]) is not None}


def filled(settings: Settings) -> Settings:
    """The settings with every schedule of every model filled in.

    Raises ConfigError for a family that does not exist.
    """
    return settings.model_copy(
        update={"models": {name: _filled(model) for name, model in settings.models.items()}}
    )


def under(settings: Settings, name: str, schedule: str) -> Settings:
    """The settings of a cycle of model `name` by one of its schedules.

    Raises ConfigError when the model has no such schedule.
    """
    model = settings.models[name]
    found: Mapping[str, Schedule] = {str(one): rules for one, rules in of(model).items()}
    if schedule not in found:
        hint = (
            plugins.suggest(schedule, sorted(found))
            if found
            else f"Add a section [models.{name}.schedules.{schedule}] to honewheel.toml."
            if schedule in ORDER
            else "Schedules are called light and deep."
        )
        raise ConfigError(f"{name} has no schedule {schedule!r}. {hint}")
    chosen = found[schedule]
    changed = model.model_copy(
        update={"train": chosen.train, "trigger": chosen.trigger, "schedules": Schedules()}
    )
    return settings.model_copy(update={"models": {**settings.models, name: changed}})


def _filled(model: Model) -> Model:
    found = of(model)
    if not found:
        return model
    changes: dict[str, Any] = {}
    for name, schedule in found.items():
        days = {"every_days": DEEP_DAYS} if name == "deep" else {}
        said = {key: getattr(schedule.trigger, key) for key in schedule.trigger.model_fields_set}
        own = model.trigger.model_dump() | days | said
        changes[name] = Schedule(train=_training(model, name, schedule), trigger=Trigger(**own))
    return model.model_copy(update={"schedules": Schedules(**changes)})


def _training(model: Model, name: Name, schedule: Schedule) -> dict[str, Any]:
    """Hyperparameters of a schedule. A light one always says `start`: a family that cannot go on
    from a champion refuses it, instead of starting over unseen.
    """
    given = {**model.train, **schedule.train}
    if name == "deep":
        inherited = "start" in model.train and "start" not in schedule.train
        return given | ({"start": "base"} if inherited else {})
    family = plugins.family(model.family)
    method = str(given.get("method", family.methods[0]))
    known = family.ranges(method) if method in family.methods else {}  # `config` tells of others
    one_epoch = {"epochs": 1} if "epochs" in known else {}
    return {**model.train, "start": "champion", **one_epoch, **schedule.train}
