"""Writes the tables of docs/reference/configuration.md and cli.md from the code they describe.

    python docs/make_reference.py           rewrites the tables
    python docs/make_reference.py --check   says which page is out of date, and ends with 1

A page holds `<!-- begin: NAME -->` and `<!-- end -->`; what stands between them is replaced. Which
names a page has to hold follows from the code (`wanted`): where one is missing, both commands say
so and end with 1. What a setting means is told here, because the code tells only what it may be.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from honewheel import plugins
from honewheel.protocols import Range
from honewheel.settings import CATEGORIES, Settings

PAGES = Path(__file__).parent / "reference"
BLOCK = re.compile(r"(<!-- begin: (?P<name>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)

MEANINGS: Mapping[str, str] = {
    "project.name": "name of the project, shown by `status` and in reports",
    "models.NAME.family": "kind of model; see [task kinds and families](task-kinds.md)",
    "models.NAME.base": "`honewheel/tiny`, a folder, or a Hugging Face name in the local cache",
    "models.NAME.tasks": "tasks this model is trained for and judged on",
    "models.NAME.train": "hyperparameters, see [below](#modelsnametrain)",
    "models.NAME.gate.benefit_level": "one-sided level at which the gain must be above 0",
    "models.NAME.gate.guard_level": "one-sided level at which a guard must stay inside its margin",
    "models.NAME.gate.min_gain": "gain worth having, in points",
    "models.NAME.gate.margin": "loss that a guard's score allows, in points",
    "models.NAME.gate.validity_margin": "loss that a task's share of valid outputs allows, "
    "in points",
    "models.NAME.gate.min_items": "independent prompts below which nothing is decided",
    "models.NAME.gate.max_latency_ratio": "most seconds an answer may take, relative to "
    "the champion's; none: off",
    "models.NAME.trigger.min_new": "effective new examples that make a cycle due",
    "models.NAME.trigger.min_stale": "effective new examples that are enough when one is old, or "
    "when they are of a rare task",
    "models.NAME.trigger.stale_days": "age in days of the oldest waiting example from which "
    "`min_stale` is enough",
    "models.NAME.trigger.rare_below": "share of all feedback below which a task is rare",
    "models.NAME.trigger.cooldown_hours": "hours after the end of a cycle in which none is due",
    "models.NAME.trigger.quiet_hours": 'hours of the day in which none is due, `"08:00-18:00"`; '
    "empty: any hour will do",
    "models.NAME.trigger.timezone": "time zone of the quiet hours",
    "models.NAME.trigger.max_cycles_per_week": "most cycles that start in seven days; none: any "
    "number",
    "models.NAME.trigger.hoped_gain": "gain in points that the test set must be able to show",
    "models.NAME.trigger.every_days": "days after the last finished cycle at which the next is "
    "due, if anything waits; takes the place of the counts above",
    "models.NAME.schedules.light": "a section with its own `train` and `trigger`: cycles that go "
    "on from the champion, see [schedules](../how-to/schedules.md)",
    "models.NAME.schedules.deep": "the same for cycles that start from the base; "
    "`trigger.every_days` is 7 by default",
    "models.NAME.upstream.url": "OpenAI-compatible endpoint that answers for this model in the "
    "gateway, with its `/v1`; empty: the champion does, in the server's process",
    "models.NAME.upstream.model": "what the endpoint calls the model",
    "models.NAME.upstream.key_env": "environment variable that holds the endpoint's key; empty: "
    "none is sent",
    "models.NAME.upstream.timeout_seconds": "longest silence of the endpoint",
    "models.NAME.index": "folder of the index that `POST /v1/models/NAME/neighbours` looks in; "
    "empty: there is none",
    "models.NAME.watch.mode": "`off`: a promoted version is champion at once; `shadow`: it answers "
    "unseen first; `canary`: it gets a share of the traffic first",
    "models.NAME.watch.share": "share of the requests that the version on trial answers",
    "models.NAME.watch.alpha": "chance that a version that is not worse is taken back",
    "models.NAME.watch.margin": "points of acceptance that a version may lose and count as not "
    "worse",
    "models.NAME.watch.min_outcomes": "rated requests before a version on trial may become "
    "champion, and before a champion's record counts",
    "models.NAME.watch.after_outcomes": "rated requests for which a new champion is watched on; 0: "
    "none",
    "models.NAME.watch.cooldown_hours": "hours after a rollback in which no cycle is due",
    "tasks.NAME.kind": "what an artifact is; see [task kinds](task-kinds.md)",
    "tasks.NAME.gate.floor": "least mean score of a challenger, in points; 0 asks nothing",
    "tasks.NAME.gate.validity_floor": "least share of valid outputs, in points; 0 asks nothing",
    "tasks.NAME.gate.metric": "what a task that scores whole panels is decided on: `auto` is the "
    "one that fits the data, `score` the mean of the items' scores, or a metric of its kind "
    "(`auc`, `spearman`, `average_precision`)",
    "tasks.NAME.gate.tiers": "named floors by metric, in points, told in the report: "
    "`production = { auc = 95 }` under `[tasks.NAME.gate.tiers]`",
    "tasks.NAME.gate.require": "tiers that a challenger must reach",
    "tasks.NAME.adversarial.cases": "adversarial cases of each category in a cycle; 0: none",
    "tasks.NAME.adversarial.seed": "seed of the cases",
    "tasks.NAME.adversarial.antonyms": 'more opposites for the edit: `{hired = "fired"}`',
    **{
        f"tasks.NAME.adversarial.{name}": "what a pair is that differs by this edit"
        for name in CATEGORIES
    },
    "models.NAME.gate.adversarial_margin": "points that an adversarial category may lose; a "
    "greater loss rejects where it is shown",
    "events.redact": "take mail addresses, telephone and card numbers, IBANs and keys out of texts "
    "before they are stored",
    "events.redactor": "`patterns`: those alone; `presidio`: also what Presidio finds "
    '(`pip install "honewheel[presidio]"`)',
    "events.redact_language": "language that Presidio reads texts in (ISO 639-1)",
    "events.redact_model": "a spaCy model that is installed here, or a folder: finds names and "
    "places too; none is downloaded",
    "events.redact_entities": "what Presidio looks for; none named: all it knows but dates, "
    "identifiers and organisations",
    "events.redact_score": "confidence from which Presidio's finds are replaced",
    "curate.half_life_days": 'age in days at which an example weighs half; `"auto"` chooses 14, '
    "45, 180 or none by time-forward validation",
    "curate.calibrate": "refit how much each kind of feedback counts, once people have judged 200 "
    "events",
    "curate.propensity": "weigh up kinds of responses that are seldom judged, at most tenfold",
    "curate.task_balance": "a task's mass grows with its rows to this power; 1: as they come, 0: "
    "equal",
    "curate.learnability": "weigh most what the champion gets right about half of the time",
    "curate.selection": "which new rows are kept when `max_examples` cuts: drawn at random, or so "
    "that they cover the rest",
    "curate.replay": "how known rows are drawn: by weight, or so that they cover the rest",
    "curate.replay_share": "share of the train set drawn from accepted outputs; 0 switches replay "
    "off",
    "curate.curriculum": "when rows are first shown: all at once, by competence, or in "
    "stages, easy ones first; `hard-first` and `easy-only` are there to compare with",
    "curate.augment": "most copies of a training row with its names exchanged in prompt and "
    "answer; 0 is off",
    "curate.preferences": "whether pairs and rated answers are sealed beside the examples, for DPO "
    "and KTO",
    "curate.hard_negatives": "share of rows and pairs that are certified faults of right answers, "
    "as the rejected side; 0 is off",
    "curate.synthetic_share": "most of the new examples that may be made up (`synthesize`); 0: "
    "none is used",
    "curate.min_value": "least probability that a user would accept the target",
    "curate.min_examples": "new training examples a cycle needs; also how many a task needs to "
    "speak for the gain",
    "curate.max_examples": "most new training examples; none: all",
    "curate.source_cap": "most of the new examples that one source may supply; none: off",
    "curate.source_day_cap": "most new rows of one source and UTC day; none: off",
    "curate.trust": "how much the word of single sources counts, `{intern = 0.5}`; 1 for those "
    "not named, 0 is not heard",
    "curate.poison": "look for planted rows: not at all, tell, or hold them back until released",
    "curate.generic": "look for targets that say nothing of their request: likewise",
    "curate.exclude_sources": "sources whose feedback neither trains nor judges",
    "curate.seed": "seed of every draw of a cycle, training included",
    "evaluate.panel_size": "most rolling test prompts of a task",
    "evaluate.newest_days": "age in days up to which held-out prompts are also scored apart, as "
    "the newest; nothing rests on it",
    "evaluate.max_new_tokens": "longest answer in evaluation, in tokens",
    "evaluate.resamples": "bootstrap resamples behind every interval",
    "store.url": "`sqlite:///PATH` (relative to the project) or `postgresql://USER@HOST/DATABASE`",
    "store.files": "folder of adapters and sealed datasets",
    "store.keep_promoted": "champions whose files `gc` keeps",
    "worker.poll_seconds": "seconds between looks at what is due",
    "worker.lease_seconds": "seconds after which a silent worker loses its job",
    "worker.attempts": "tries of one job before it is given up",
    "worker.warm_seconds": "how long a process that has loaded what training needs (some 350 MB) "
    "waits for another run; 0: none is kept",
    "store.keep_refused": "other versions whose files `gc` keeps",
    "server.host": "address to listen on; one beyond this machine needs an API key first",
    "server.port": "port; 0 takes a free one",
    "server.hosts": "further names in a Host header that are answered, beside localhost and "
    "`server.host`",
    "server.rate": "requests (rows, for feedback) a second of a key without a rate of its own; "
    "none: any number",
    "server.read_seconds": "within which the body of a request has arrived",
    "server.queue": "rows that may wait for a commit; beyond it, 429",
    "server.loaded": "versions kept in memory by the gateway",
    "webhooks.NAME.url": "where notices are posted; `https://`, see "
    "[webhooks](../how-to/webhooks.md)",
    "webhooks.NAME.secret_env": "environment variable that holds the secret that notices are "
    "signed with",
    "webhooks.NAME.events": "what it is told",
    "webhooks.NAME.models": "of which models; none: of all",
    "webhooks.NAME.private": "whether the url may lead to this machine or a private network, "
    "and be `http://`",
    "webhooks.NAME.timeout_seconds": "within which a notice is taken",
    "mlflow.tracking_uri": "where each cycle is kept as a run too: `http(s)://` or "
    "`sqlite:///FILE`, see [MLflow](../how-to/mlflow.md); none: nowhere",
    "mlflow.experiment": "name of the MLflow experiment; made if there is none",
}
SIGNS = {"ge": ">= {}", "gt": "> {}", "le": "<= {}", "lt": "< {}", "min_length": "at least {} item"}


def settings() -> Iterator[tuple[str, FieldInfo]]:
    """(dotted key with NAME for a chosen name, field) of every setting, in the file's order."""
    yield from _walk(Settings, "")


def _walk(section: type[BaseModel], path: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        key = f"{path}.{name}" if path else name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _walk(kind, key)
        elif get_origin(kind) is dict and _is_section(get_args(kind)[1]):
            yield from _walk(get_args(kind)[1], f"{key}.NAME")
        else:
            yield key, field


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _limits(field: FieldInfo) -> str:
    """The allowed values of a setting in words, from its constraints and its type."""
    told = []
    for rule in _rules(field):
        for name, text in SIGNS.items():
            value = getattr(rule, name, None)
            if value is not None:
                told.append(text.format(_number(value)))
    words = [f"`{_toml(word)}`" for word in _words(field.annotation)]
    if told:
        of = "each " if get_origin(field.annotation) is dict else ""
        return " or ".join([of + ", ".join(told), *words])
    kinds: dict[Any, str] = {str: "text", int: "whole number", tuple[str, ...]: "list of text"}
    kinds[bool] = "`true`, `false`"
    return ", ".join(words) or kinds.get(field.annotation or object, "section")


def _words(kind: Any) -> tuple[Any, ...]:
    """The words a setting may be, also those of `X | Literal[...]`."""
    return tuple(word for part in (kind, *get_args(kind)) for word in _choices(part))


def _rules(field: FieldInfo) -> Iterator[Any]:
    """Constraints of a field, also those inside `X | None` and of the values of a table."""
    yield from field.metadata
    for part in get_args(field.annotation):
        for info in getattr(part, "__metadata__", ()):
            yield from getattr(info, "metadata", (info,))


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none"
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def section(prefix: str) -> str:
    """Table of the settings whose key begins with `prefix`."""
    lines = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    for key, field in settings():
        if key.startswith(f"{prefix}."):
            lines.append(f"| `{key}` | {_default(field)} | {_limits(field)} | {MEANINGS[key]} |")
    return "\n".join(lines)


def hyperparameters(family: str, method: str, objective: str = "") -> str:
    """Table of the hyperparameters of one method, from its Range objects; with an objective, of
    those only that are there or differ because of it.
    """
    plain = plugins.family(family).ranges(method)
    chosen = {"objective": objective} if objective else {}
    rules = plugins.ranges(family, {"method": method, **chosen})[1]
    lines = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    for key, rule in rules.items():
        if objective and (key == "objective" or plain.get(key) == rule):
            continue
        lines.append(f"| `{key}` | `{_toml(rule.default)}` | {_allowed(rule)} | {rule.help} |")
    return "\n".join(lines)


def _allowed(rule: Range) -> str:
    if rule.choices or isinstance(rule.default, bool):
        return ", ".join(f"`{word}`" for word in rule.allowed.split(", "))
    return rule.allowed


def options(verb: str) -> str:
    """Table of the arguments and options of one verb, from the command line itself."""
    found = command(verb)
    kinds = get_type_hints(found.callback)
    lines = ["| argument or option | meaning |", "|---|---|"]
    for parameter in found.params:
        if parameter.name != "help":
            spelt = _spelt(parameter, kinds[parameter.name])
            lines.append(f"| `{spelt}` | {_meaning(parameter)} |".replace("|  |", "| |"))
    return "\n".join(lines)


def _spelt(parameter: Any, kind: Any) -> str:
    if parameter.param_type_name == "argument":
        name = parameter.name.upper() + ("..." if parameter.nargs != 1 else "")
        return name if parameter.required else f"[{name}]"
    names = ", ".join(sorted(parameter.opts, key=len, reverse=True))
    return names if parameter.is_flag else f"{names} {parameter.metavar or _placeholder(kind)}"


def _placeholder(kind: Any) -> str:
    """What an option takes, from its annotation: the choices, or TEXT, PATH, NUMBER."""
    if words := _words(kind):
        return "\\|".join(words)
    parts = {kind, *get_args(kind)}
    return "PATH" if Path in parts else "NUMBER" if parts & {int, float} else "TEXT"


def _choices(kind: Any) -> tuple[str, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def _meaning(parameter: Any) -> str:
    told = parameter.help or ""
    return (f"{told} Required." if parameter.required else told).strip()


def command(verb: str) -> Any:
    """The command called `verb` ("cycle", "suite import"; "" is the options before a verb)."""
    found = _commands()
    for word in verb.split():
        found = found.commands[word]
    return found


@cache
def _commands() -> Any:
    import typer

    from honewheel.cli.app import app, register

    register()
    return typer.main.get_command(app)


def verbs() -> list[str]:
    """Every verb, those of `suite`, `dataset`, `jobs` and `quarantine` with their noun."""
    found: list[str] = []
    for name, one in command("").commands.items():
        found += [f"{name} {below}" for below in getattr(one, "commands", {})] or [name]
    return found


BLOCKS: Mapping[str, Callable[[str], str]] = {
    "settings": section,
    "hyperparameters": lambda words: hyperparameters(*words.split()),
    "options": lambda verb: options("" if verb == "before a verb" else verb),
}


def fill(text: str) -> str:
    """A page with every block between its markers made anew."""

    def block(found: re.Match[str]) -> str:
        kind, _, what = found["name"].partition(" ")
        return f"{found[1]}{BLOCKS[kind](what)}\n{found[3]}"

    return BLOCK.sub(block, text)


def wanted(page: str) -> list[str]:
    """Names of the blocks that a page has to hold: each section, method, objective and verb."""
    if page == "cli.md":
        return [f"options {verb}" for verb in ("before a verb", *verbs())]
    found = [f"settings {name}" for name in Settings.model_fields]
    for family in families():
        for method in plugins.family(family).methods:
            rules = plugins.family(family).ranges(method)
            objectives = rules["objective"].choices if "objective" in rules else ()
            others = (one for one in objectives if one != rules["objective"].default)
            found += [f"hyperparameters {family} {method} {one}".rstrip() for one in ("", *others)]
    return found


def families() -> list[str]:
    """The families that come with the package; what plug-ins bring, they tell themselves."""
    points = entry_points(group=plugins.FAMILIES)
    return sorted(one.name for one in points if one.dist and one.dist.name == "honewheel")


def missing(page: str, text: str) -> list[str]:
    """Blocks that the page `page`, which reads `text`, has to hold and does not."""
    there = {found["name"] for found in BLOCK.finditer(text)}
    return [name for name in wanted(page) if name not in there]


def main() -> int:
    stale = []
    for page in (PAGES / "configuration.md", PAGES / "cli.md"):
        text = page.read_text(encoding="utf-8")
        if lacking := missing(page.name, text):
            print(f"{page.name} has no block {', '.join(lacking)}; write its heading and markers")
            return 1
        if (made := fill(text)) != text:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(made, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(stale)}; run python docs/make_reference.py")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
