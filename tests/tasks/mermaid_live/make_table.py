"""Rewrites ../mermaid_verdicts.jsonl: samples with the verdict of the installed Mermaid.

npm ci --ignore-scripts && python make_table.py
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from mermaid_live.samples import EDGES, fresh

HERE = Path(__file__).parent
TABLE = HERE.parent / "mermaid_verdicts.jsonl"
SEED, COUNT = 11, 400


def verdicts(texts: list[str]) -> list[tuple[bool, str]]:
    """The real parser's verdict and reason on each text, from one run of node."""
    done = subprocess.run(
        ["node", "verdicts.mjs"],
        cwd=HERE,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return [(valid, reason) for valid, reason in json.loads(done.stdout)]


def main() -> None:
    rows = [("edge", text) for text in EDGES] + fresh(SEED, COUNT)
    found = verdicts([text for _, text in rows])
    lines = [
        json.dumps({"origin": origin, "valid": valid, "text": text})
        for (origin, text), (valid, _) in zip(rows, found, strict=True)
    ]
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
