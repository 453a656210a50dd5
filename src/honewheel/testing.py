"""What every family of models owes to the rest of the house, as tests that run.

A plug-in's tests subclass `FamilyContract` and fill in `case`; so do the built-in families:

    class TestMine(FamilyContract):
        @classmethod
        def case(cls, folder: Path) -> Case:
            return Case(family=Mine(), base=str(make_tiny(folder)), dataset=..., items=...,
                        settings={"lora": {"epochs": 2}})

Each method is trained on the case's data twice and a half, so bases are to be tiny. Needs pytest;
the test that kills a training process is marked `slow` (register it in your settings of pytest).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from honewheel import atomic
from honewheel.errors import ConfigError, Damaged
from honewheel.protocols import ModelFamily, Range
from honewheel.records import Dataset, Decoding, Item, Json, Progress, Spec
from honewheel.train import inputs, messages, process
from honewheel.train import run as runs
from honewheel.train.history import realised

THREADS = 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """A family with a tiny base, something to learn, and something to answer.

    `settings` changes the defaults by method so that a run takes a dozen updates, in seconds.
    """

    family: ModelFamily
    base: str
    dataset: Dataset
    items: Sequence[Item]
    settings: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    seed: int = 7

    def spec(self, method: str, **changes: Json) -> Spec:
        ranges = self.family.ranges(method)
        settings = {name: rule.default for name, rule in ranges.items()}
        return Spec(
            family=self.family.name,
            base=self.base,
            base_hash=self.family.resolve(self.base)[1],
            method=method,
            settings=settings | dict(self.settings.get(method, {})) | changes,
            seed=self.seed,
        )

    def train(self, spec: Spec, run_dir: Path) -> list[Progress]:
        run_dir.mkdir(parents=True, exist_ok=True)
        return list(self.family.train(spec, self.dataset, run_dir))


class FamilyContract:
    """Tests of one family. Subclasses define `case`."""

    @classmethod
    def case(cls, folder: Path) -> Case:
        """The case, made once a class; `folder` is empty and stays until the end."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def given(cls, tmp_path_factory: pytest.TempPathFactory) -> Case:
        return cls.case(tmp_path_factory.mktemp("contract"))

    @pytest.fixture(scope="class")
    @classmethod
    def trained(
        cls, given: Case, tmp_path_factory: pytest.TempPathFactory
    ) -> dict[str, tuple[Path, list[Progress]]]:
        """Method -> folder of a finished run and what it told."""
        root = tmp_path_factory.mktemp("trained")
        return {
            method: (root / method, given.train(given.spec(method), root / method))
            for method in given.family.methods
        }

    # --- settings -------------------------------------------------------------------------------

    def test_every_default_is_allowed_and_every_method_is_known(self, given: Case) -> None:
        for method in given.family.methods:
            for name, rule in given.family.ranges(method).items():
                assert rule.problem(rule.default) is None, name
                assert rule.help, name
        with pytest.raises(ConfigError):
            given.family.ranges("no-such-method")

    def test_wrong_settings_are_refused_by_name_before_anything_loads(self, given: Case) -> None:
        for method in given.family.methods:
            assert not _errors(given, given.spec(method))
            assert "colour" in _errors(given, given.spec(method, colour=1))
            for name, rule in given.family.ranges(method).items():
                if (bad := _outside(rule)) is not None:
                    assert name in _errors(given, given.spec(method, **{name: bad})), name

    def test_what_a_run_really_used_is_what_was_set(
        self, given: Case, trained: Mapping[str, tuple[Path, list[Progress]]]
    ) -> None:
        for method, (run_dir, _) in trained.items():
            settings, ranges = given.spec(method).settings, given.family.ranges(method)
            read = realised(run_dir / "final")
            for name in settings.keys() & read.keys():
                asked = settings[name]
                if asked not in ranges[name].words and asked not in ("auto", "all-linear"):
                    assert str(read[name]).lower() == str(asked).lower(), name

    # --- training -------------------------------------------------------------------------------

    def test_a_run_tells_how_far_it_is_and_leaves_a_complete_folder(
        self, trained: Mapping[str, tuple[Path, list[Progress]]]
    ) -> None:
        for run_dir, told in trained.values():
            steps = [one.step for one in told]
            assert steps == sorted(steps)
            assert all(0 <= one.step <= one.total for one in told)
            assert any(one.loss is not None for one in told)
            atomic.verify(run_dir / "final")

    def test_a_finished_run_is_taken_as_it_is(
        self, given: Case, trained: Mapping[str, tuple[Path, list[Progress]]]
    ) -> None:
        for method, (run_dir, _) in trained.items():
            before = atomic.folder_digest(run_dir / "final")
            assert given.train(given.spec(method), run_dir) == []
            assert atomic.folder_digest(run_dir / "final") == before

    def test_a_run_that_was_cut_short_ends_with_the_same_bytes(
        self, given: Case, trained: Mapping[str, tuple[Path, list[Progress]]], tmp_path: Path
    ) -> None:
        for method, (whole, told) in trained.items():
            run_dir = tmp_path / method
            run_dir.mkdir()
            halfway = max(one.step for one in told) // 2
            progress = given.family.train(given.spec(method), given.dataset, run_dir)
            next(one for one in progress if one.step >= halfway and one.loss is not None)
            progress.close()  # type: ignore[attr-defined]
            assert not (run_dir / "final").exists()
            given.train(given.spec(method), run_dir)
            assert _digest(run_dir) == _digest(whole), method

    def test_another_spec_or_base_is_refused_in_a_used_folder(
        self, given: Case, trained: Mapping[str, tuple[Path, list[Progress]]]
    ) -> None:
        for method, (run_dir, _) in trained.items():
            with pytest.raises(ConfigError):
                given.train(replace(given.spec(method), seed=given.seed + 1), run_dir)
            with pytest.raises(ConfigError):
                given.train(replace(given.spec(method), base_hash="0" * 64), run_dir)

    @pytest.mark.slow
    def test_a_killed_process_goes_on_and_ends_with_the_same_bytes(
        self, given: Case, tmp_path: Path
    ) -> None:
        """Real children, SIGKILL; the family has to be installed."""
        for method in given.family.methods:
            killed_and_resumed(given, method, tmp_path / method)

    # --- answering ------------------------------------------------------------------------------

    def test_base_and_versions_answer_every_item_and_the_same_again(
        self, given: Case, trained: Mapping[str, tuple[Path, list[Progress]]]
    ) -> None:
        decoding = Decoding(max_new_tokens=8)
        finals: list[Path | None] = [None, *(run_dir / "final" for run_dir, _ in trained.values())]
        for final in finals:
            with given.family.open(given.base, final) as model:
                found, again = (
                    {one.item: one.output for one in model.predict(given.items, decoding)}
                    for _ in range(2)
                )
            assert found.keys() == {item.id for item in given.items}
            assert found == again

    def test_a_damaged_version_is_named_instead_of_loaded(
        self,
        given: Case,
        trained: Mapping[str, tuple[Path, list[Progress]]],
        tmp_path: Path,
    ) -> None:
        for method, (run_dir, _) in trained.items():
            copy = tmp_path / method
            shutil.copytree(run_dir / "final", copy)
            largest = max(copy.rglob("*.*"), key=lambda path: path.stat().st_size)
            data = bytearray(largest.read_bytes())
            data[-1] ^= 1
            largest.write_bytes(data)
            with pytest.raises(Damaged, match=largest.name):
                given.family.open(given.base, copy)


def killed_and_resumed(given: Case, method: str, folder: Path) -> None:
    """Train twice in child processes, the second one killed halfway and run again; same bytes."""
    spec = given.spec(method)
    told: list[Progress] = []
    whole = runs.run(
        given.family.name, spec, given.dataset, folder / "whole", told.append, threads=THREADS
    )
    run_dir = folder / "killed"
    halfway = max(one.step for one in told) // 2
    killed(given.family.name, spec, given.dataset, run_dir, at_step=halfway)
    final = runs.run(
        given.family.name, spec, given.dataset, run_dir, lambda _: None, threads=THREADS
    )
    assert atomic.folder_digest(final) == atomic.folder_digest(whole), method


def killed(family: str, spec: Spec, dataset: Dataset, run_dir: Path, *, at_step: int) -> None:
    """Train in a child process and kill it (SIGKILL) once it has told of update `at_step`."""
    run_dir.mkdir(parents=True)
    inputs.write(run_dir, inputs.Inputs(family, spec, dataset, THREADS))
    with subprocess.Popen(
        [sys.executable, "-m", "honewheel.train.child", str(run_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=process.environment(THREADS),
        encoding="utf-8",
    ) as child:
        assert child.stdout is not None  # it was asked for as a pipe
        for line in child.stdout:
            said = messages.parse(line)
            if not isinstance(said, Progress):
                raise said
            if said.step >= at_step and said.loss is not None:
                os.kill(child.pid, signal.SIGKILL)
                break
    assert not (run_dir / "final").exists()


def _errors(given: Case, spec: Spec) -> str:
    found = given.family.check(spec, given.dataset)
    return "\n".join(one.message for one in found if one.severity == "error")


def _outside(rule: Range) -> Json:
    """A value that a range does not allow; None for a text, which may be anything."""
    if rule.choices:
        return "no such word"
    if isinstance(rule.default, bool):
        return "yes"
    return None if rule.low is None else rule.low - 1


def _digest(run_dir: Path) -> str:
    return atomic.folder_digest(run_dir / "final")
