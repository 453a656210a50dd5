"""What a reasoner is built like, and how many weights that makes. Plain numbers, no torch.

A base ("honewheel/reasoner-tiny") names a shape; vocabulary, length, relations and tasks come from
the data it first sees, and grow when later data asks for more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

MODEL_TYPE = "honewheel-reasoner"
PRESETS: tuple[str, ...] = ("tiny", "tiny-mlp", "tiny-hrm", "small", "small-hrm", "trm7m", "hrm27m")
# What is fixed once and for all; the rest grows with the data.
ARCHITECTURE: tuple[str, ...] = (
    "kind",
    "mixer",
    "positions",
    "hidden_size",
    "heads",
    "layers",
    "expansion",
    "multiple",
    "high_cycles",
    "low_cycles",
    "prefix",
    "biased",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of one model. B rows of L cells give states [B, S, hidden] with S = prefix + L.

    `kind` "trm": one net of `layers` blocks in both roles; "hrm": one for each. A segment is
    `high_cycles` times (`low_cycles` low steps, one high step). `biased`: attention adds a
    learned number for each declared relation of two cells. `segments` is how many a row is given
    at most, in training and when it predicts.
    """

    kind: str = "trm"
    mixer: str = "attention"  # or "mlp": across positions, by a SwiGLU of fixed length
    positions: str = "learned"  # or "rope"; an mlp mixer needs neither
    hidden_size: int = 64
    heads: int = 4
    layers: int = 2
    expansion: float = 4.0
    multiple: int = 64  # the inner size of a SwiGLU is rounded up to a multiple of this
    high_cycles: int = 2
    low_cycles: int = 2
    prefix: int = 1
    biased: bool = True
    segments: int = 6
    vocabulary: int = 0
    length: int = 0
    relations: int = 0
    tasks: int = 0

    @property
    def positions_held(self) -> int:
        """S, positions of the states."""
        return self.prefix + self.length

    @property
    def inner(self) -> int:
        """Inner size of the SwiGLU over the hidden size."""
        return swiglu_inner(self.hidden_size, self.expansion, self.multiple)

    @property
    def mixing(self) -> int:
        """Inner size of the SwiGLU across positions."""
        return swiglu_inner(self.positions_held, self.expansion, 32)

    @property
    def biases(self) -> int:
        """Relations that attention has a number for."""
        return self.relations if self.biased and self.mixer == "attention" else 0

    @property
    def nets(self) -> int:
        """Nets with weights of their own."""
        return 2 if self.kind == "hrm" else 1

    @property
    def calls(self) -> int:
        """Calls of a net in one segment."""
        return self.high_cycles * (self.low_cycles + 1)

    @property
    def trained_calls(self) -> int:
        """Those of them that gradients go through."""
        return 2 if self.kind == "hrm" else self.low_cycles + 1

    @property
    def weights(self) -> int:
        """Trained weights without those that belong to single tasks."""
        hidden = self.hidden_size
        mixer = (
            4 * hidden * hidden
            if self.mixer == "attention"
            else 3 * self.positions_held * self.mixing
        )
        block = mixer + 3 * hidden * self.inner
        learned = self.positions == "learned" and self.mixer == "attention"
        around = 2 * self.vocabulary * hidden + 2 * hidden + 2
        return (
            self.nets * self.layers * block
            + around
            + (self.positions_held * hidden if learned else 0)
        )

    @property
    def task_weights(self) -> int:
        """Weights of all tasks: their embeddings and how they weigh relations."""
        biases = self.nets * self.layers * self.heads * self.biases
        return self.tasks * (self.prefix * self.hidden_size + biases)

    def problem(self) -> str | None:
        """Why nothing can be built of it, or None."""
        words = {"kind": ("trm", "hrm"), "mixer": ("attention", "mlp")}
        words["positions"] = ("learned", "rope")
        for name, known in words.items():
            if getattr(self, name) not in known:
                return f"{name} is {getattr(self, name)!r}, none of {', '.join(known)}"
        for field in fields(self):
            least = 0 if field.name in ("vocabulary", "length", "relations", "tasks") else 1
            value = getattr(self, field.name)
            if not isinstance(value, str) and value < least and field.name != "biased":
                return f"{field.name} is {value}, below {least}"
        if self.hidden_size % (2 * self.heads):
            return f"hidden_size {self.hidden_size} is no multiple of twice its {self.heads} heads"
        return None


def swiglu_inner(size: int, expansion: float, multiple: int) -> int:
    """Inner size of a SwiGLU of about `expansion` times the weights of a plain layer."""
    return -(-round(expansion * size * 2 / 3) // multiple) * multiple


def of(config: Mapping[str, Any]) -> Shape:
    """The shape that a config.json tells; what it leaves out stands at its default."""
    known = {field.name for field in fields(Shape)}
    return Shape(**{key: value for key, value in config.items() if key in known})


def grown(shape: Shape, *, vocabulary: int, length: int, relations: int, tasks: int) -> Shape:
    """`shape` with room for data of these sizes; never smaller than it was."""
    return replace(
        shape,
        vocabulary=max(shape.vocabulary, vocabulary),
        length=max(shape.length, length),
        relations=max(shape.relations, relations),
        tasks=max(shape.tasks, tasks),
    )
