"""Every family of the house passes the contract that plug-ins pass."""

from __future__ import annotations

from pathlib import Path

import causal_builders
import embedding_builders
import pytest
import reasoner_builders

from honewheel.families.causal_lm.family import CausalLM
from honewheel.families.embedding.family import Embedding
from honewheel.families.reasoner.family import ReasonerFamily
from honewheel.testing import Case, FamilyContract


class TestCausalLM(FamilyContract):
    @classmethod
    def case(cls, folder: Path) -> Case:
        return Case(
            family=CausalLM(),
            base=str(causal_builders.make_base(folder / "base")),
            dataset=causal_builders.dataset(),
            items=causal_builders.items(4),
            settings={
                method: {"epochs": 2, "checkpoint_every": 2, "max_tokens": 128}
                for method in CausalLM.methods
            },
        )


class _Embedding(FamilyContract):
    architecture: str

    @classmethod
    def case(cls, folder: Path) -> Case:
        short = {"epochs": 3, "checkpoint_every": 2}
        return Case(
            family=Embedding(),
            base=str(embedding_builders.make_base(folder / "base", cls.architecture)),
            dataset=embedding_builders.dataset(),
            items=embedding_builders.items(12),
            settings={
                "head": {"updates": 12, "checkpoint_every": 5},
                "lora": {**short, "dropout": 0.1, "ladder_share": 0.5},
                "full": {**short, "learning_rate": 1e-3},
            },
        )


class TestEmbeddingBert(_Embedding):
    architecture = "bert"


@pytest.mark.slow
class TestEmbeddingMPNet(_Embedding):
    architecture = "mpnet"


class _Reasoner(FamilyContract):
    preset: str

    @classmethod
    def case(cls, folder: Path) -> Case:
        short = {"updates": 8, "batch_size": 8, "segments": 2, "eval_every": 3}
        return Case(
            family=ReasonerFamily(),
            base=f"honewheel/reasoner-{cls.preset}",
            dataset=reasoner_builders.dataset(),
            items=reasoner_builders.items(reasoner_builders.examples(4, seed=3)),
            settings={"full": {**short, "checkpoint_every": 2}},
        )


class TestReasonerTrm(_Reasoner):
    preset = "tiny"


class TestReasonerHrm(_Reasoner):
    preset = "tiny-hrm"
