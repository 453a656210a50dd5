"""The committed verdicts, and fresh samples, against the real Mermaid from npm."""

import json
import subprocess
from pathlib import Path

import pytest
from mermaid_live.make_table import HERE, TABLE, verdicts
from mermaid_live.samples import EDGES, fresh

from honewheel.tasks.mermaid_erd import MermaidErd

pytestmark = pytest.mark.npm


@pytest.fixture(scope="module", autouse=True)
def installed() -> Path:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=280)
    return HERE


def test_the_table_holds_todays_verdicts():
    rows = [json.loads(line) for line in TABLE.read_text().splitlines()]
    assert {row["text"] for row in rows} >= set(EDGES)
    found = verdicts([row["text"] for row in rows])
    changed = [row for row, (valid, _) in zip(rows, found, strict=True) if row["valid"] != valid]
    assert changed == []


@pytest.mark.parametrize("seed", [101, 202])
def test_fresh_samples_get_the_real_parsers_verdict(seed):
    texts = [text for _, text in fresh(seed, 2_000)]
    task = MermaidErd()
    wrong = [
        (text, reason)
        for text, (valid, reason) in zip(texts, verdicts(texts), strict=True)
        if task.check(text, {}).valid != valid
    ]
    assert wrong == []
