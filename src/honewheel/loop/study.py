"""An ablation from the question to its pictures: what `honewheel ablate` and `Wheel.study` run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from honewheel import atomic
from honewheel.config import Config
from honewheel.loop import ablate, techniques, written
from honewheel.records import Json, Progress, as_dict
from honewheel.report import ablation
from honewheel.store import Store

Listener = Callable[[Progress], None]


class Ablation:
    """Techniques, their cost, and a run that can be stopped and gone on with."""

    def __init__(
        self,
        store: Store,
        config: Config,
        model: str,
        names: Sequence[str],
        *,
        seeds: int,
        curve: bool,
        clock: Callable[[], datetime],
        listen: Listener,
    ) -> None:
        self.config = config
        self.techniques = ablate.chosen(config, names)
        self.curve = curve
        self.study = ablate.Study(store, config, model, seeds=seeds, clock=clock)
        self.study.open(listen)
        self.cost = as_dict(self.study.cost(ablate.plan(self.study, self.techniques, curve=curve)))

    def run(self, listen: Listener) -> dict[str, Any]:
        """Findings, curves and the paths of the pictures; kept as ablate/newest.json too.

        Raises StoreBusy when this model is being ablated already.
        """
        study = self.study
        with study.store.exclusive(f"ablate:{study.model}"), study.stage.warm:
            return self._run(listen)

    def _run(self, listen: Listener) -> dict[str, Any]:
        findings = list(ablate.findings(self.study, self.techniques, listen))
        points = [
            point
            for technique in (self.techniques if self.curve else ())
            for point in ablate.curve(self.study, technique, listen)
        ]
        plots = self._draw(findings, points)
        found = {
            "as_of_seq": self.study.as_of_seq,
            "seeds": list(self.study.seeds),
            "updates": self.study.updates,
            "findings": [_plain(one) for one in findings],
            "curve": [as_dict(point) for point in points],
            "plots": {name: str(path) for name, path in plots.items()},
        }
        text = json.dumps(found, indent=1, ensure_ascii=False)
        atomic.write_file(self.study.folder / "newest.json", text.encode())
        return found

    def write(self, found: dict[str, Any]) -> list[str]:
        """Set every technique that was on and does not help to its plain value in the file.

        Comments and layout stay. Returns the lines that changed. Raises ConfigError when the file
        cannot be written.
        """
        changes: dict[str, Json] = {}
        for one in found["findings"]:
            if one["was_on"] and one["answer"] not in (None, "helps"):
                technique = techniques.find(one["technique"])
                changes[f"curate.{technique.key}"] = technique.off
        return written.write(self.config.root, changes)

    def _draw(
        self, findings: Sequence[ablate.Finding], points: Sequence[ablate.Point]
    ) -> dict[str, Path]:
        plots: dict[str, Path] = {}
        effects = [one.effect for one in findings if one.effect is not None]
        self.study.folder.mkdir(parents=True, exist_ok=True)
        if effects:
            plots["effects"] = ablation.effects(effects, self.study.folder / "effects.png")
        for name in dict.fromkeys(point.technique for point in points):
            lines = [
                (
                    f"{'with' if on else 'without'} {name}",
                    [
                        (point.examples, point.score, point.low, point.high)
                        for point in points
                        if point.technique == name and point.on is on
                    ],
                )
                for on in (True, False)
            ]
            path = self.study.folder / f"curve-{name}.png"
            plots[f"curve-{name}"] = ablation.curve(name, lines, path)
        return plots


def _plain(finding: ablate.Finding) -> dict[str, Any]:
    answer = None if finding.effect is None else finding.effect.answer
    return as_dict(finding) | {"answer": answer}
