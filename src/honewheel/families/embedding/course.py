"""One course of updates at one rate, from its start (or its newest checkpoint) to its end.

    folder/checkpoints/   see families/checkpoints.py
    folder/retreat.json   see families/retreat.py
    folder/done.json      what came of it, once it has ended

The best state is judged on the validation pairs, and the start is one of the candidates: training
never leaves a model that is worse there than what it began with.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from honewheel import atomic
from honewheel.families import checkpoints, retreat, snapshot
from honewheel.families.embedding import judge, losses, step
from honewheel.families.embedding.judge import Best, Score
from honewheel.families.embedding.learner import Learner
from honewheel.families.embedding.pairs import Ints, Work
from honewheel.families.optimizer import make_optimizer
from honewheel.families.order import CURRICULUM, Mastery, Order, plan
from honewheel.families.retreat import NotFinite
from honewheel.families.schedule import Course as Shape
from honewheel.families.schedule import make_schedule

DONE = "done.json"
LOOKS = 30  # at the validation pairs in one course, at most: few pairs make short epochs

# Told after each update: what happened, loss, validation score.
Tell = Callable[["Course", str, float | None, Score | None], None]


@dataclass(kw_only=True)
class History:
    """What a course remembers, as JSON."""

    losses: list[tuple[int, float]] = field(default_factory=list)
    scores: list[tuple[int, Score]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """As `of` reads it."""
        return {
            "losses": self.losses,
            "scores": [(at, asdict(score)) for at, score in self.scores],
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> History:
        """What `state` wrote."""
        return cls(
            losses=[(at, loss) for at, loss in state["losses"]],
            scores=[(at, Score(**score)) for at, score in state["scores"]],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What every course of a run shares."""

    work: Work
    settings: Mapping[str, Any]
    seed: int
    inputs: Mapping[str, Any]
    learner: Learner


class Course:
    """`rate` is the peak rate, `updates` how many there are at most."""

    def __init__(self, given: Given, folder: Path, rate: float, updates: int, tell: Tell) -> None:
        self.given, self.folder, self.rate, self.tell = given, folder, rate, tell
        self.settings, self.learner = given.settings, given.learner
        self.checkpoints = folder / "checkpoints"
        self.loss = losses.make(given.settings)
        rows, size = len(given.work.train), self.settings["batch_size"]
        self.plain = plan(rows, size, 1, given.seed, updates)
        epoch = math.ceil(rows / size)
        asked = round(self.settings["eval_every"] * epoch)
        self.eval_every = max(1, asked, math.ceil(updates / LOOKS))
        self.inputs = {**given.inputs, "course_rate": rate, "course_updates": updates}
        self.attempts = retreat.Attempts(folder, self.checkpoints)
        self.result: dict[str, Any] = {}

    # --- from start to end ----------------------------------------------------------------------

    def go(self) -> dict[str, Any]:
        """Take all updates; what came of them, the same again when it was done before."""
        path = self.folder / DONE
        if path.is_file():
            self.result = dict(json.loads(path.read_text()))
            checkpoints.refuse_changed(self.result["inputs"], self.inputs, self.folder)
            return self.result
        self.attempts.make(self._take_updates, lambda why: self.tell(self, why, None, None))
        self.result = self._result()
        atomic.write_file(path, json.dumps(self.result, sort_keys=True).encode())
        return self.result

    def load(self) -> None:
        """Put the learner where the kept state of this finished course stands."""
        kept = self.result["kept"]
        self.learner.fresh()
        if kept:
            saved = checkpoints.read(checkpoints.folder(self.checkpoints, kept))
            snapshot.load_weights(self.learner.module, saved)

    def _take_updates(self) -> None:
        self._begin()
        while self.update < len(self.batches) and not self.stale:
            self._step()

    @property
    def stale(self) -> bool:
        """Whether the validation pairs have seen no improvement for `patience` looks."""
        return self.best.stale >= int(self.settings["patience"])

    # --- beginning ------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Stand before the first update, or after that of the newest checkpoint."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        saved = checkpoints.newest(self.checkpoints)
        if saved is not None:
            checkpoints.refuse_changed(saved.state["inputs"], self.inputs, self.folder)
        self.learner.fresh()
        self.update = 0
        self.history = History()
        self._pace(saved)
        settings = self.settings
        module = self.learner.module
        self.optimizer = make_optimizer("adamw", module, self.rate, settings["weight_decay"])
        warmup = math.ceil(settings["warmup_share"] * len(self.plain))
        shape = Shape(len(self.plain), warmup, settings["schedule"])
        self.schedule = make_schedule(self.optimizer, shape)
        torch.manual_seed(self.given.seed)
        if saved is not None:
            snapshot.restore(saved, module, self.optimizer, self.schedule)
        self.attempts.slow(self.optimizer, self.schedule, saved)
        if saved is None:
            start = self._score()
            self.best = Best(step=None, score=start)
            self.history.scores.append((0, start))
            self.tell(self, "before training", None, start)
            return
        state = saved.state
        self.update, self.history = state["update"], History.of(state["history"])
        best = state["best"]
        self.best = Best(step=best["step"], score=Score(**best["score"]), stale=best["stale"])
        self.tell(self, f"resumed after update {self.update}", None, None)

    def _pace(self, saved: checkpoints.Checkpoint | None) -> None:
        """The batches; where rows wait for their time (a curriculum), by when each is shown."""
        since = self.given.work.train.since
        self.batches: Sequence[list[int]] = self.plain
        self.order: Order | None = None
        self.mastery: Mastery | None = None
        if not any(since):
            return
        state = saved.state.get("curriculum") if saved is not None else None
        opens = {} if state is None else dict(state["opens"])
        sizes = [len(batch) for batch in self.plain]
        self.batches = self.order = Order(since, sizes, self.given.seed, opens)
        if self.settings.get(CURRICULUM) == "stages":
            self.mastery = Mastery(self.order, state)

    # --- one update -----------------------------------------------------------------------------

    def _step(self) -> None:
        rows = self.batches[self.update]
        self.learner.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        done = step.backward(
            self.learner,
            self.given.work,
            np.array(rows, dtype=np.int64),
            self.loss,
            cached=self.settings["loss"] == "cached-mnrl",
        )
        self.update += 1
        if not math.isfinite(done.loss):
            raise NotFinite(f"the loss became {done.loss}", self.update, self._rate())
        weights = [weight for _, weight in snapshot.trainable(self.learner.module)]
        torch.nn.utils.clip_grad_norm_(weights, self.settings["max_grad_norm"])
        self.optimizer.step()
        self.schedule.step()
        self.history.losses.append((self.update, done.loss))
        if self.mastery is not None:
            self.mastery.after(self.update - 1, done.errors)
        self._after(done.loss)

    def _after(self, loss: float) -> None:
        last = self.update == len(self.batches)
        score = None
        if last or self.update % self.eval_every == 0:
            score = self._score()
            self.history.scores.append((self.update, score))
            self.best = self.best.after(self.update, score)
            if self.order is not None and self.order.holds_back(self.update):
                # What it has not seen may yet help.
                self.best = Best(step=self.best.step, score=self.best.score)
            if math.isnan(score.spearman):  # nothing to judge by: on to the end
                self.best = Best(step=self.best.step, score=self.best.score)
        improved = self.best.step == self.update
        due = self.update % self.settings["checkpoint_every"] == 0
        if last or improved or due or self.stale:
            self._checkpoint()
        told = f"no improvement in {self.best.stale} looks: stopped" if self.stale else ""
        self.tell(self, told, loss, score)

    def _rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def _checkpoint(self) -> None:
        module = self.learner.module
        retreat.refuse_broken(module, self.update, self._rate())
        state: dict[str, Any] = {
            "update": self.update,
            "inputs": self.inputs,
            "retreat": self.attempts.retreat,
            "best": asdict(self.best),
            "history": self.history.state(),
        }
        if self.mastery is not None:
            state["curriculum"] = self.mastery.state()
        parts, more = snapshot.capture(module, self.optimizer, self.schedule)
        checkpoints.save(self.checkpoints, self.update, parts, state | more)

    # --- judging --------------------------------------------------------------------------------

    def _score(self) -> Score:
        """On the validation pairs; without any, only how near random training texts are."""
        work, seed = self.given.work, self.given.seed
        rows = work.val if len(work.val) else work.train
        first, second = judge.probe(len(rows.texts), seed)
        judged = work.val
        cosines = self._cosines(
            np.concatenate([judged.a, rows.texts[first]]),
            np.concatenate([judged.b, rows.texts[second]]),
        )
        cosines, near = cosines[: len(judged)], cosines[len(judged) :]
        random = float(near.mean()) if len(near) else math.nan
        if not len(judged):
            return Score(spearman=math.nan, auc=math.nan, random=random)
        return Score(
            spearman=judge.spearman(cosines, judged.label),
            auc=judge.auc(cosines, judged.label),
            random=random,
        )

    def _cosines(self, a: Ints, b: Ints) -> NDArray[np.float32]:
        """[n] of numbered texts; each text is embedded once."""
        texts, back = np.unique(np.concatenate([a, b]), return_inverse=True)
        vectors = self._vectors(texts)
        first, second = np.split(back, 2)
        found: NDArray[np.float32] = np.sum(vectors[first] * vectors[second], axis=1)
        return found

    @torch.no_grad()
    def _vectors(self, texts: Ints) -> NDArray[np.float32]:
        self.learner.module.eval()
        found: NDArray[np.float32] = self.learner.embed(texts).float().cpu().numpy()
        return found

    def _result(self) -> dict[str, Any]:
        keep_best = self.settings["keep"] == "best" and not math.isnan(self.best.score.spearman)
        kept = (self.best.step or 0) if keep_best else self.update
        stages = {} if self.mastery is None else {"stages": self.mastery.openings()}
        return stages | {
            "inputs": self.inputs,
            "kept": kept,
            "updates": self.update,
            "planned_updates": len(self.batches),
            "score": asdict(self.best.score),
            "history": self.history.state(),
            "retreat": self.attempts.retreat,
            "realised": self._realised(),
        }

    def _realised(self) -> dict[str, Any]:
        """Settings read where they take effect."""
        group: dict[str, Any] = self.optimizer.param_groups[0]
        shape: Any = self.schedule.lr_lambdas[0]
        loss = type(self.loss).__name__.lower()
        if self.settings["loss"] == "cached-mnrl":
            loss = f"cached-{loss}"
        trained = snapshot.trainable(self.learner.module)
        return {
            "loss": loss,
            **vars(self.loss),
            "learning_rate": group["initial_lr"],
            "weight_decay": group["weight_decay"],
            "schedule": shape.shape,
            "warmup_updates": shape.warmup,
            "trainable_parameters": sum(weight.numel() for _, weight in trained),
            **self.learner.realised(),
        }
