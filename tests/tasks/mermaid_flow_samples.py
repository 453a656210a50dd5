"""Flowcharts and C4 diagrams by hand, and random damage done to them."""

from __future__ import annotations

import json
import random
import subprocess

from mermaid_live.make_table import HERE

ACCEPTED = (
    "flowchart LR\n A --> B\n",
    "graph TD;\n A[Start] --> B{Ok?};\n B -->|yes| C[(Db)];\n B -- no --> D((x))",
    "flowchart TB\n subgraph one [First one]\n a1-->a2\n end\n subgraph two\n direction LR\n"
    " b1 --- b2 & b3\n end\n one ==> two\n a1 -. maybe .-> b1",
    'flowchart LR\n A["a (b)"]:::big --x B>odd] o--o C([st]) <--> D[[sub]] ~~~ E[/lean/]\n'
    " classDef big fill:#f96,stroke:#333\n class B,C big\n style A fill:#bbf\n"
    ' linkStyle 0 stroke:#f66\n click A "https://example.org" "tip" _blank',
    "flowchart\n A-->B",
    "flowchart LR\n A -->\n B",
    "graph LR\n  user([User]) -->|HTTPS| web[Web App]\n  web --> api{{API}}\n"
    "  api -.->|reads| db[(PostgreSQL 15)]",
    "flowchart LR\n a---ob",
    "flowchart LR\n A -- re-try --> B -- open --> C == thick ==> D\n accTitle: hi",
    'flowchart LR\n subgraph "My title"\n a\n end',
    'flowchart LR\n A["`md`"] --> B(((dc)))',
    "flowchart LR\n A[/t\\] --> B[\\u/] --> C[trap/x]",
    "flowchart LR\n\n%% c\n A-->B;B-->C; C-->D\n",
    "flowchart LR\n A[#quot;hi#quot;] --text--> 2a --> é1 --> 中文",
    'flowchart LR\n A["multi\nline"]-.->B-..-C',
    "---\ntitle: x\n---\nflowchart LR\n A-->B",
    'C4Context\n title System\n Person(u, "User", "A person")\n System_Boundary(b, "Bank") {\n'
    ' System(s, "Core")\n SystemDb_Ext(d, "Db")\n }\n Rel(u, s, "Uses", "HTTPS")\n'
    ' BiRel(s, d, "x")\n UpdateElementStyle(u, $bgColor="red")\n',
    'C4Container\n Container(a, "A", "Go", "d")\n Rel_U(a, a, "self")',
    'C4Dynamic\n System(a,"A")\n System(b,"B")\n RelIndex(1, a, b, "x")',
    'C4Deployment\n Deployment_Node(n, "N", "Linux") {\n Container(c, "C")\n }',
)
REJECTED = (
    "flowchart LR\n A --> end",
    "flowchart LR\n A(-5)",
    "flowchart LR\n A[a@b]",
    "flowchart LR\n A[]",
    "flowchart LR\n x--x y",
    'flowchart LR\n A[say "hi"]',
    "flowchart LR\n A -- --> B",
    "flowchart ;LR\n A --> B",
    "flowchart LR ;\n A --> B",
    "flowchart LR\n A-->B\n linkStyle 3 stroke:#fff",
    "flowchart LR\n subgraph a\n b",
    'C4Context\n Boundary(b, "x") {\n }',
    "C4Context\nPerson(u)\n",
    'C4Context\n Person(u, "x")\n Rel(u, u, bare)',
)
# Mermaid takes these; they are refused as doubtful or out of the small grammar.
STRICTER = (
    "flowchart LR\n A@{ shape: rect }",
    "flowchart LR\n A[x\ny]",
    "flowchart LR\n A[going direction LR]\n",
    'C4Context\n Person(u, "User")\n Rel(u, zz, "Uses")',
    'C4Context\n Person(u, "")',
)
_PIECES = [
    *"abxo vA1_-.=><~&|()[]{}\"\\/;:#,%\n `'@!?é中",
    *"--> --- -.-> ==> ~~~ end |t| [x] direction :::c click 1 default $x=\"y\"".split(" "),
    *("subgraph ", " -- t --> ", "direction LR", "class ", "style ", "graph ", "C4Context"),
]  # fmt: skip


def damaged(seed: int, count: int) -> list[str]:
    """Accepted samples with one to three random edits each."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        text = rng.choice(ACCEPTED)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(text) + 1)
            if rng.random() < 0.6:
                text = text[:at] + rng.choice(_PIECES) + text[at:]
            else:
                text = text[:at] + text[at + rng.randrange(1, 4) :]
        found.append(text)
    return found


def verdicts(texts: list[str]) -> list[bool]:
    """Whether the real Mermaid takes each text for a flowchart or a C4 diagram."""
    done = subprocess.run(
        ["node", "verdicts.mjs"],
        cwd=HERE,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return [reason in ("flowchart", "flowchart-v2", "c4") for _, reason in json.loads(done.stdout)]
