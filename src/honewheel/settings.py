"""The sections of honewheel.toml and what each key may be; `config` reads them from the file.

Points in the file are points (0-100), in the code scores are in [0, 1].
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Level = Annotated[float, Field(gt=0.5, lt=1.0)]
Points = Annotated[float, Field(ge=0.0, le=100.0)]
Gain = Annotated[float, Field(gt=0.0, lt=100.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Told = Literal["passed", "rejected", "undecided", "failed", "promoted", "rolled_back", "drift"]


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice")
    return names


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=False)


class Project(_Section):
    name: str = "honewheel"


class TaskGate(_Section):
    """What a challenger must reach on one task whatever it gains, in points; 0 asks nothing.

    `metric` is what a task that scores whole panels is decided on: "auto" is the one that fits
    the data, "score" the mean of the items' scores. `tiers` are named sets of floors by metric;
    the report says which are reached, and those that `require` names must be.
    """

    floor: Points = 0.0
    validity_floor: Points = 0.0
    metric: str = "auto"
    tiers: dict[Name, dict[str, Points]] = Field(default_factory=dict)
    require: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _requires_known_tiers(self) -> Self:
        for name in self.require:
            if name not in self.tiers:
                known = ", ".join(self.tiers) or "none"
                raise ValueError(f"require names the tier {name!r}; the tiers are: {known}")
        return self


Expectation = Literal["same", "different", "report"]


class Adversarial(_Section):
    """The adversarial diagnostic of a task that compares two texts; 0 `cases` leaves it out.

    `cases` are per category. Each category's word says what a pair that differs by it is to this
    project's data: the `same`, `different`, or only to be looked at (`report`).
    """

    cases: Annotated[int, Field(ge=0, le=1_000)] = 0
    seed: Annotated[int, Field(ge=0, lt=10_000)] = 0
    negation: Expectation = "different"
    number: Expectation = "report"
    identifier: Expectation = "report"
    entity: Expectation = "report"
    antonym: Expectation = "different"
    role_swap: Expectation = "different"
    content_swap: Expectation = "different"
    typo: Expectation = "same"
    case: Expectation = "same"
    contraction: Expectation = "same"
    greeting: Expectation = "same"
    distractor: Expectation = "same"
    paraphrase: Expectation = "same"
    antonyms: dict[str, str] = Field(default_factory=dict)

    @property
    def policy(self) -> dict[str, Expectation]:
        """Category -> what its cases are."""
        return {name: getattr(self, name) for name in CATEGORIES}


CATEGORIES = tuple(
    name for name in Adversarial.model_fields if name not in ("cases", "seed", "antonyms")
)


class Task(_Section):
    kind: str
    gate: TaskGate = TaskGate()
    adversarial: Adversarial = Adversarial()


class ModelGate(_Section):
    """When a challenger is worth promoting. Levels are one-sided, gains and margins in points."""

    benefit_level: Level = 0.80
    guard_level: Level = 0.95
    min_gain: Gain = 1.0
    margin: Gain = 3.0
    validity_margin: Gain = 2.0
    min_items: Annotated[int, Field(ge=2)] = 30
    max_latency_ratio: Annotated[float, Field(gt=0)] | None = None
    adversarial_margin: Gain = 5.0


class Trigger(_Section):
    """When `honewheel cycle --if-due` turns the wheel."""

    min_new: Annotated[float, Field(ge=1)] = 200.0
    min_stale: Annotated[float, Field(ge=1)] = 50.0
    stale_days: Annotated[float, Field(gt=0)] = 14.0
    rare_below: Share = 0.1
    cooldown_hours: Annotated[float, Field(ge=0)] = 6.0
    quiet_hours: Annotated[str, Field(pattern=r"^(\d\d:\d\d-\d\d:\d\d)?$")] = ""
    timezone: str = "UTC"
    max_cycles_per_week: Annotated[int, Field(ge=1)] | None = None
    hoped_gain: Gain = 10.0
    every_days: Annotated[float, Field(gt=0)] | None = None


class Schedule(_Section):
    """One kind of cycle; what it does not say is as the model's own `train` and `trigger` say."""

    train: dict[str, Any] = Field(default_factory=dict)
    trigger: Trigger = Trigger()


class Schedules(_Section):
    """Cycles of two kinds: from the champion, often; from the base, now and then."""

    light: Schedule | None = None
    deep: Schedule | None = None


class Upstream(_Section):
    """An OpenAI-compatible endpoint that answers for a model; without a `url` honewheel does."""

    url: Annotated[str, Field(pattern=r"^(https?://[^\s?#]+)?$")] = ""
    model: str = ""
    key_env: str = ""
    timeout_seconds: Annotated[float, Field(gt=0)] = 120.0

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.url and not self.model:
            raise ValueError("an upstream with a url also needs the model it is asked for")
        if "@" in self.url:  # messages show the url
            raise ValueError("an upstream's url holds no user or password; key_env names a key")
        return self


class Watch(_Section):
    """How a promoted version is watched in live traffic, and when it is taken back."""

    mode: Literal["off", "shadow", "canary"] = "off"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    alpha: Annotated[float, Field(gt=0, le=0.1)] = 0.01
    margin: Annotated[float, Field(gt=0, le=50)] = 10.0
    min_outcomes: Annotated[int, Field(ge=1)] = 50
    after_outcomes: Annotated[int, Field(ge=0)] = 1000
    cooldown_hours: Annotated[float, Field(ge=0)] = 24.0


class Model(_Section):
    family: str = "causal-lm"
    base: str = "honewheel/tiny"
    tasks: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_once)]
    train: dict[str, Any] = Field(default_factory=dict)
    gate: ModelGate = ModelGate()
    trigger: Trigger = Trigger()
    schedules: Schedules = Schedules()
    upstream: Upstream = Upstream()
    watch: Watch = Watch()
    index: str = ""


class Events(_Section):
    """What happens to a row before it is stored."""

    redact: bool = False
    redactor: Literal["patterns", "presidio"] = "patterns"
    redact_language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] = "en"
    redact_model: str = ""
    redact_entities: tuple[str, ...] = ()
    redact_score: Share = 0.5

    @model_validator(mode="after")
    def _is_read(self) -> Self:
        if self.redactor == "presidio":
            if not self.redact:
                raise ValueError('redactor = "presidio" does nothing without redact = true')
            return self
        asked = sorted(self.model_fields_set - {"redact", "redactor"})
        if any(getattr(self, name) != Events.model_fields[name].default for name in asked):
            raise ValueError(f'{", ".join(asked)}: only redactor = "presidio" reads it')
        return self


class Curate(_Section):
    """What is worth learning. Techniques stand at their plain value; `ablate` tells which help."""

    half_life_days: Annotated[float, Field(gt=0)] | Literal["auto"] = 180.0
    calibrate: bool = False
    propensity: bool = False
    task_balance: Share = 1.0
    learnability: bool = False
    selection: Literal["random", "coverage"] = "random"
    replay: Literal["reservoir", "coverage"] = "reservoir"
    replay_share: Annotated[float, Field(ge=0, le=0.9)] = 0.3
    curriculum: Literal["off", "competence", "stages", "hard-first", "easy-only"] = "off"
    augment: Annotated[int, Field(ge=0, le=8)] = 0
    preferences: bool = False
    hard_negatives: Annotated[float, Field(ge=0, le=0.35)] = 0.0
    synthetic_share: Annotated[float, Field(ge=0, le=0.5)] = 0.3
    min_value: Share = 0.5
    min_examples: Annotated[int, Field(ge=1)] = 20
    max_examples: Annotated[int, Field(ge=1)] | None = None
    source_cap: Annotated[float, Field(gt=0, le=1)] | None = None
    source_day_cap: Annotated[int, Field(ge=1)] | None = None
    trust: dict[str, Share] = Field(default_factory=dict)
    poison: Literal["off", "flag", "hold"] = "flag"
    generic: Literal["off", "flag", "hold"] = "flag"
    exclude_sources: tuple[str, ...] = ()
    seed: int = 0

    @property
    def unheard(self) -> tuple[str, ...]:
        """Sources whose feedback counts for nothing: excluded ones, and those without trust."""
        return (*self.exclude_sources, *(name for name, share in self.trust.items() if not share))

    @model_validator(mode="after")
    def _enough_may_be_taken(self) -> Self:
        if self.max_examples is not None and self.max_examples < self.min_examples:
            raise ValueError(
                f"max_examples ({self.max_examples}) is below min_examples ({self.min_examples})"
            )
        return self


class Evaluate(_Section):
    panel_size: Annotated[int, Field(ge=2)] = 400
    max_new_tokens: Annotated[int, Field(ge=1, le=32_768)] = 512
    newest_days: Annotated[float, Field(gt=0, le=3_650)] = 14.0
    resamples: Annotated[int, Field(ge=200)] = 2000


class Store(_Section):
    url: str = "sqlite:///.honewheel/store.db"
    files: str = ".honewheel/files"
    keep_promoted: Annotated[int, Field(ge=1)] = 5
    keep_refused: Annotated[int, Field(ge=0)] = 3


class Server(_Section):
    """How `honewheel serve` listens, and what it takes."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8420
    hosts: tuple[str, ...] = ()
    rate: Annotated[float, Field(gt=0)] | None = None
    read_seconds: Annotated[float, Field(gt=0)] = 30.0
    queue: Annotated[int, Field(ge=1)] = 10_000
    loaded: Annotated[int, Field(ge=1)] = 2


class Worker(_Section):
    """`honewheel worker`: how often it looks, and how long a silent worker keeps its job.

    `warm_seconds`: how long a process that has loaded what training needs (some 350 MB) waits for
    another run; 0: none is kept.
    """

    poll_seconds: Annotated[float, Field(gt=0)] = 30.0
    lease_seconds: Annotated[float, Field(ge=1)] = 60.0
    attempts: Annotated[int, Field(ge=1)] = 5
    warm_seconds: Annotated[float, Field(ge=0)] = 300.0


class Webhook(_Section):
    """An address that is told what happens: signed, over HTTPS, never a private one unasked."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s#@]+$")]
    secret_env: Annotated[str, Field(min_length=1)]
    events: Annotated[tuple[Told, ...], Field(min_length=1), AfterValidator(_once)] = (
        "promoted",
        "rejected",
        "rolled_back",
        "failed",
        "drift",
    )
    models: Annotated[tuple[str, ...], AfterValidator(_once)] = ()
    private: bool = False
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0

    @model_validator(mode="after")
    def _in_the_open(self) -> Self:
        if self.url.startswith("http://") and not self.private:
            raise ValueError("a webhook's url is https://; http:// goes with private = true only")
        return self


class Mlflow(_Section):
    """Where each cycle is also kept as a run; without a tracking_uri nowhere."""

    tracking_uri: str = ""
    experiment: Annotated[str, Field(min_length=1)] = "honewheel"

    @model_validator(mode="after")
    def _holds_no_password(self) -> Self:
        if self.tracking_uri.startswith(("http://", "https://")) and "@" in self.tracking_uri:
            raise ValueError(
                "the uri holds no user or password; set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            )
        return self


class Settings(_Section):
    """Every setting of a project, resolved and checked."""

    project: Project = Project()
    models: dict[Name, Model] = Field(default_factory=dict)
    tasks: dict[Name, Task] = Field(default_factory=dict)
    events: Events = Events()
    curate: Curate = Curate()
    evaluate: Evaluate = Evaluate()
    store: Store = Store()
    server: Server = Server()
    worker: Worker = Worker()
    webhooks: dict[Name, Webhook] = Field(default_factory=dict)
    mlflow: Mlflow = Mlflow()
