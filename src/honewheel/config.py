"""honewheel.toml -> typed settings, each value with the place it came from.

Order: flag (`--set a.b=c`) > environment (`HONEWHEEL_A__B`) > file > default. Unknown keys are
errors with a did-you-mean; hyperparameters are checked against the family's `Range` objects, the
same ones that the help and the trainer read.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from honewheel import plugins, schedules
from honewheel.errors import ConfigError
from honewheel.protocols import Range, ScoresSets
from honewheel.records import Json
from honewheel.settings import Model, Settings, Task

FILE = "honewheel.toml"
PREFIX = "HONEWHEEL_"


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as `honewheel config` shows it."""

    path: str
    value: Json
    origin: str  # "default", "honewheel.toml line 12", "HONEWHEEL_CURATE__SEED", "--set"


@dataclass(frozen=True, slots=True)
class Config:
    """Typed settings, where each came from, and the folder they belong to."""

    settings: Settings
    values: tuple[Value, ...]
    root: Path

    @property
    def state(self) -> Path:
        """Folder for runs, reports and logs."""
        return self.root / ".honewheel"

    def model(self, name: str | None = None) -> tuple[str, Model]:
        """The registered model called `name`; the only one when `name` is None."""
        models = self.settings.models
        if name is None:
            if len(models) == 1:
                return next(iter(models.items()))
            raise ConfigError(
                f"Which model? {FILE} registers {len(models)}: {', '.join(sorted(models))}."
            )
        if name not in models:
            raise ConfigError(
                f"No model {name!r} is registered. {plugins.suggest(name, sorted(models))}"
            )
        return name, models[name]

    def task(self, name: str) -> Task:
        """The task called `name`. Raises ConfigError with a did-you-mean."""
        tasks = self.settings.tasks
        if name not in tasks:
            raise ConfigError(
                f"No task {name!r} is defined. {plugins.suggest(name, sorted(tasks))} "
                f"A task is a [tasks.NAME] section with a kind in {FILE}."
            )
        return tasks[name]

    def hyperparameters(self, name: str) -> dict[str, Json]:
        """Every hyperparameter of a model's training, defaults filled in, without `method`."""
        model = self.model(name)[1]
        rules = plugins.ranges(model.family, model.train)[1]
        return {key: model.train.get(key, rule.default) for key, rule in rules.items()}

    def scheduled(self, name: str, schedule: str | None) -> Config:
        """The settings of a cycle of a model by one of its schedules; None: by the model's own.

        Raises ConfigError when the model has no such schedule.
        """
        if schedule is None:
            return self
        return replace(self, settings=schedules.under(self.settings, name, schedule))

    def method(self, name: str) -> str:
        """The training method of a model ("lora")."""
        model = self.model(name)[1]
        return plugins.ranges(model.family, model.train)[0]


def find(start: Path) -> Path:
    """The nearest honewheel.toml at or above `start`. Raises ConfigError when there is none."""
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder / FILE
    raise ConfigError(
        f"There is no {FILE} in {start} or above it. Run `honewheel init` to make one, "
        "or `honewheel demo` to see a whole cycle first."
    )


def load(
    path: Path,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
) -> Config:
    """Settings of the project whose file is `path`, with environment and `a.b=c` flags applied.

    Raises:
        ConfigError: unreadable file, unknown key, value out of range, contradiction. The message
            names the key, the reason and where the value was set.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    origins = {key: f"{path.name} line {line}" for key, line in _lines(text).items()}
    variables = os.environ if environment is None else environment
    for key, raw in sorted(_from_environment(variables).items()):
        _put(tree, key, raw)
        origins[key] = _variable(key)
    for flag in flags:
        key, separator, raw = flag.partition("=")
        if not separator or not key.strip():
            raise ConfigError(
                f"--set takes KEY=VALUE, for example --set curate.seed=1; got {flag!r}"
            )
        _put(tree, key.strip(), _literal(raw))
        origins[key.strip()] = "--set"
    _anchor_bases(tree, path.parent)
    settings = schedules.filled(_validate(tree, origins))
    config = Config(settings, (), path.parent.resolve())
    _check_sense(config, origins)
    values = _values(settings, origins)
    _refuse_nearly(variables, values)
    return replace(config, values=values)


def from_frozen(settings: Mapping[str, Json], root: Path) -> Config:
    """The settings a cycle started with, as journaled by `Settings.model_dump`."""
    try:
        found = Settings.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(
            f"The cycle was started with settings this version does not know: {error}. "
            "Run the command again to start a new cycle."
        ) from error
    return Config(found, _values(found, {}), root)


def _anchor_bases(tree: Mapping[str, Any], root: Path) -> None:
    """A base that is a folder of the project is found from anywhere."""
    models = tree.get("models")
    for model in models.values() if isinstance(models, dict) else ():
        base = model.get("base") if isinstance(model, dict) else None
        if isinstance(base, str) and not Path(base).is_absolute() and (root / base).is_dir():
            model["base"] = str((root / base).resolve())


def _from_environment(variables: Mapping[str, str]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, raw in variables.items():
        path = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and "__" in path:
            found[path.lower().replace("__", ".")] = _literal(raw)
    return found


def _refuse_nearly(variables: Mapping[str, str], values: Sequence[Value]) -> None:
    """A variable that names a setting with single underscores would be read by nobody."""
    meant = {value.path.replace(".", "_"): value.path for value in values}
    for name in sorted(variables):
        path = meant.get(name.removeprefix(PREFIX).lower()) if name.startswith(PREFIX) else None
        if path is not None and "." in path and "__" not in name:
            raise ConfigError(
                f"{name} sets nothing: sections are parted by two underscores. Did you mean "
                f"{_variable(path)}?"
            )


def _variable(key: str) -> str:
    return PREFIX + key.upper().replace(".", "__")


def _literal(raw: str) -> Json:
    """Text from a flag or variable as TOML would read it; bare words are text."""
    try:
        value: Json = tomllib.loads(f"v = {raw.strip()}")["v"]
    except tomllib.TOMLDecodeError:
        return raw.strip()
    return value


def _put(tree: dict[str, Any], path: str, value: Json) -> None:
    *parents, last = path.split(".")
    node = tree
    for part in parents:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise ConfigError(f"{path}: {part} is a value, not a section.")
        node = child
    node[last] = value


def _lines(text: str) -> dict[str, int]:
    """Dotted key -> line number, for messages. Reads plain `[section]` and `key =` lines."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            section = re.sub(r"[\s\"']", "", header[1])
            found[section] = number
        elif pair := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
            key = pair[1].strip("\"'")
            found[f"{section}.{key}" if section else key] = number
    return found


def _validate(tree: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"] if part != "[key]")
        raise ConfigError(_complaint(path, first, _where(path, origins))) from error


def _complaint(path: str, problem: Any, where: str) -> str:
    if problem["type"] == "extra_forbidden":
        parent, _, key = path.rpartition(".")
        hint = plugins.suggest(key, _known_keys(parent))
        return f"{path} is no setting ({where}). {hint}"
    if problem["type"] == "missing":
        return f"{path} is missing ({where})."
    shown = json.dumps(problem.get("input"), default=str)
    return f"{path} = {shown} ({where}): {problem['msg']}."


def _known_keys(path: str) -> list[str]:
    node: Any = Settings
    for part in filter(None, path.split(".")):
        if isinstance(node, type) and issubclass(node, BaseModel):
            if part not in node.model_fields:
                return []
            node = node.model_fields[part].annotation
        else:
            node = get_args(node)[1]  # dict[Name, Section]: any name leads to the section
    if isinstance(node, type) and issubclass(node, BaseModel):
        return sorted(node.model_fields)
    return []


def _where(path: str, origins: Mapping[str, str]) -> str:
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        if origin := origins.get(".".join(parts[:end])):
            return origin
    below = (origin for key, origin in origins.items() if key.startswith(f"{path}."))
    return next(below, "default")  # a section is where its first key is


def _check_sense(config: Config, origins: Mapping[str, str]) -> None:
    for name, task in config.settings.tasks.items():
        try:
            plugins.task(task.kind)
        except ConfigError as error:
            path = f"tasks.{name}.kind"
            raise ConfigError(f"{path} ({_where(path, origins)}): {error}") from error
        _check_set_metrics(name, task, origins)
    for name, model in config.settings.models.items():
        for task_name in model.tasks:
            if task_name not in config.settings.tasks:
                path = f"models.{name}.tasks"
                hint = plugins.suggest(task_name, sorted(config.settings.tasks))
                raise ConfigError(
                    f"{path} ({_where(path, origins)}) lists {task_name!r}, but there is no "
                    f"[tasks.{task_name}] section. {hint}"
                )
        _check_training(f"models.{name}.train", model, origins)
        for kind, schedule in schedules.of(model).items():
            path = f"models.{name}.schedules.{kind}.train"
            _check_training(path, model.model_copy(update={"train": schedule.train}), origins)
    for name, hook in config.settings.webhooks.items():
        if unknown := sorted(set(hook.models) - config.settings.models.keys()):
            path = f"webhooks.{name}.models"
            hint = plugins.suggest(unknown[0], sorted(config.settings.models))
            raise ConfigError(
                f"{path} ({_where(path, origins)}) lists {unknown[0]!r}, which is no registered "
                f"model. {hint}"
            )
    if (start := config.settings.store.url.split(":")[0]) not in ("sqlite", "postgresql"):
        raise ConfigError(
            f"store.url ({_where('store.url', origins)}) starts with {start!r}; it must be "
            "sqlite:///PATH or postgresql://USER@HOST/DATABASE."
        )


def _check_set_metrics(name: str, task: Task, origins: Mapping[str, str]) -> None:
    """A gate's metric and the metrics of its tiers are ones that the kind of task has."""
    kind = plugins.task(task.kind)
    own = kind.set_metrics if isinstance(kind, ScoresSets) else ()
    asked = {"metric": (task.gate.metric, ["auto", "score", *own])} | {
        f"tiers.{tier}": (metric, ["score", "valid", *own])
        for tier, floors in task.gate.tiers.items()
        for metric in floors
        if metric not in ("score", "valid", *own)
    }
    for key, (metric, known) in asked.items():
        if metric not in known:
            path = f"tasks.{name}.gate.{key}"
            raise ConfigError(
                f"{path} ({_where(path, origins)}): a task of kind {task.kind} has no metric "
                f"{metric!r}. {plugins.suggest(metric, known)}"
            )


def _check_training(path: str, model: Model, origins: Mapping[str, str]) -> None:
    family = plugins.family(model.family)
    method = model.train.get("method", family.methods[0])
    if method not in family.methods:
        raise ConfigError(
            f"{path}.method ({_where(f'{path}.method', origins)}): {model.family} has no method "
            f"{method!r}. {plugins.suggest(str(method), list(family.methods))}"
        )
    rule = family.ranges(method).get("objective")
    if rule and "objective" in model.train:
        where = _where(f"{path}.objective", origins)
        _check_range(f"{path}.objective", model.train["objective"], rule, method, where)
    ranges = plugins.ranges(model.family, model.train)[1]
    chosen = f"{method}, {model.train['objective']}" if "objective" in model.train else method
    for key, value in model.train.items():
        if key == "method":
            continue
        where = _where(f"{path}.{key}", origins)
        if key not in ranges:
            raise ConfigError(
                f"{path}.{key} is no setting of {chosen} ({where}). "
                f"{plugins.suggest(key, sorted(ranges))}"
            )
        _check_range(f"{path}.{key}", value, ranges[key], chosen, where)


def _check_range(path: str, value: Json, rule: Range, method: str, where: str) -> None:
    if problem := rule.problem(value):
        why = f" Outside it, {rule.why}." if rule.why else ""
        raise ConfigError(f"{path}: {problem} ({method}).{why} It was set in {where}.")


def _values(settings: Settings, origins: Mapping[str, str]) -> tuple[Value, ...]:
    flat: dict[str, Json] = {}
    _flatten(settings.model_dump(mode="json"), "", flat)
    for name, model in settings.models.items():
        flat.pop(f"models.{name}.train", None)  # its keys follow
        method, rules = plugins.ranges(model.family, model.train)
        flat[f"models.{name}.train.method"] = method
        for key, rule in rules.items():
            flat.setdefault(f"models.{name}.train.{key}", rule.default)
    return tuple(Value(path, value, _origin(path, origins)) for path, value in sorted(flat.items()))


def _origin(path: str, origins: Mapping[str, str]) -> str:
    """Where a value was set; what a schedule does not say was set with the model."""
    of_the_model = re.sub(r"\.schedules\.(light|deep)(?=\.)", "", path)
    return origins.get(path) or origins.get(of_the_model, "default")


def _flatten(node: Any, path: str, out: dict[str, Json]) -> None:
    if isinstance(node, dict) and (node or not path):  # an empty table is a value too
        for key, value in node.items():
            _flatten(value, f"{path}.{key}" if path else key, out)
    else:
        out[path] = node
