"""Several answers of the champion to one prompt, so that the next cycle can rank them.

Asked are prompts of train that nobody corrected: where a correction is known, what is right is
known better than any ranking could tell. The answers are recorded as responses without feedback,
with the version and the decoding that gave them; `curate.preferences` makes a pair of two that
its checks, or people, tell apart.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from honewheel.config import Config
from honewheel.curate import reward
from honewheel.curate.text import canonical_target
from honewheel.errors import InputError
from honewheel.loop import intake, proof, registry
from honewheel.records import (
    Decoding,
    Event,
    Item,
    Prediction,
    Progress,
    Response,
    Version,
    as_dict,
    digest,
)
from honewheel.store import Store

FEWEST, MOST = 2, 5  # answers a prompt: with more, ever rarer accidents
SAMPLED = "sampled"  # key of `Response.decoding` that marks an answer nobody has been shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What was asked of one model; `recorded` counts the distinct answers that now stand there."""

    model: str
    version: str
    prompts: int
    recorded: int
    events: tuple[str, ...]


def sample(
    store: Store,
    config: Config,
    *,
    task: str | None = None,
    prompts: int = 20,
    outputs: int = 4,
    temperature: float = 0.8,
    clock: Callable[[], datetime],
    listen: Callable[[Progress], None],
) -> list[Sampled]:
    """Ask each model's champion `outputs` times for at most `prompts` prompts of its tasks.

    `task` narrows it to one. Prompts are drawn by a hash of `curate.seed`; one that this version
    was asked before is passed over, so asking again goes on where it stopped. Equal answers are
    recorded once.

    Raises:
        InputError: `prompts` below 1, `outputs` outside 2 .. 5, a temperature of 0 or above 2, or
            a task that no model learns.
        ConfigError: no such task.
        StoreBusy: another process samples.
    """
    _require(prompts, outputs, temperature)
    decoding = Decoding(
        max_new_tokens=config.settings.evaluate.max_new_tokens, temperature=temperature
    )
    found = []
    with store.exclusive("sample"):
        intake.run(store, config, listen)
        for model, tasks in _asked(config, task).items():
            move = registry.ensure_champion(store, config, model, clock())
            version = store.versions.get(model, move.version)
            items = _open_prompts(store, config, tasks, version)[:prompts]
            answers = _answers(store, config, version, items, decoding, outputs, listen)
            new = _responses(items, answers, version, clock())
            store.log.append(new)
            found.append(
                Sampled(
                    model=model,
                    version=version.name,
                    prompts=len(items),
                    recorded=len(new),
                    events=tuple(one.id for one in new),
                )
            )
    return found


def _require(prompts: int, outputs: int, temperature: float) -> None:
    if prompts < 1:
        raise InputError(f"{prompts} prompts are none to ask; take 1 or more.")
    if not FEWEST <= outputs <= MOST:
        raise InputError(f"{outputs} outputs a prompt are outside {FEWEST} .. {MOST}.")
    if not 0 < temperature <= 2:
        raise InputError(
            f"A temperature of {temperature:g} is outside 0 .. 2 (0 excluded: every answer would "
            "be the same)."
        )


def _asked(config: Config, task: str | None) -> dict[str, list[str]]:
    """Model -> its tasks to sample; a task of two models is the first one's."""
    if task is not None:
        config.task(task)
    taken: set[str] = set()
    found: dict[str, list[str]] = {}
    for name, model in config.settings.models.items():
        tasks = [one for one in model.tasks if one not in taken and task in (None, one)]
        taken.update(tasks)
        if tasks:
            found[name] = tasks
    if not found:
        raise InputError(f"No model learns {task!r}; add it to the tasks of one.")
    return found


def _open_prompts(
    store: Store, config: Config, tasks: Sequence[str], version: Version
) -> list[Item]:
    """Prompts of train, one an exact key, without a correction and not asked before, as drawn."""
    questions: defaultdict[str, list[Event]] = defaultdict(list)
    for event in store.log.events(tasks, store.log.last_seq()):
        place = event.placement
        if place is not None and place.split == "train" and place.quarantined is None:
            questions[digest([event.response.task, place.exact])].append(event)
    seed = config.settings.curate.seed
    names = [name for name, known in questions.items() if _is_open(known, version)]
    drawn = sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    return [_item(name, questions[name][0]) for name in drawn]


def _is_open(events: Sequence[Event], version: Version) -> bool:
    for event in events:
        picked = reward.target(event)
        if picked is not None and picked[0] == "correction":
            return False
        if event.response.version == version.name and SAMPLED in event.response.decoding:
            return False
    return True


def _item(name: str, event: Event) -> Item:
    place, response = event.placement, event.response
    return Item(
        id=name,
        task=response.task,
        prompt=response.prompt,
        reference="",
        group="" if place is None else place.group,
        context=response.context,
    )


def _answers(
    store: Store,
    config: Config,
    version: Version,
    items: Sequence[Item],
    decoding: Decoding,
    outputs: int,
    listen: Callable[[Progress], None],
) -> list[tuple[Decoding, list[Prediction]]]:
    """One answer an item for each of `outputs` seeds; what was answered before is not again."""

    def told(step: Progress) -> None:
        done = step.step + len(found) * len(items)
        listen(replace(step, stage="sample", step=done, total=outputs * len(items)))

    found: list[tuple[Decoding, list[Prediction]]] = []
    for number in range(outputs):
        how = replace(decoding, seed=config.settings.curate.seed + number)
        found.append((how, proof.predict(store, config, version, items, how, told)))
    return found


def _responses(
    items: Sequence[Item],
    answers: Sequence[tuple[Decoding, list[Prediction]]],
    version: Version,
    at: datetime,
) -> list[Response]:
    """Every distinct answer of an item, the first seed's first."""
    asked = {item.id: item for item in items}
    found: dict[tuple[str, str], Response] = {}
    for how, predictions in answers:
        for one in predictions:
            item, key = asked[one.item], (one.item, canonical_target(one.output))
            if key in found:
                continue
            identity = digest([version.name, item.id, as_dict(how), one.output])
            found[key] = Response(
                id=f"evt_{identity[:26]}",
                task=item.task,
                prompt=item.prompt,
                output=one.output,
                created_at=at,
                context=item.context,
                version=version.name,
                decoding=as_dict(how) | {SAMPLED: True},
            )
    return list(found.values())
