"""Texts on which our ERD grammar and the real Mermaid parser must agree.

`fresh(seed, count)` mixes four origins: diagrams written in many styles; the same with one
character or token changed; cut off as by a model that ran out of tokens; and soups of tokens.
`EDGES` is written by hand. Left out on purpose: front matter beyond `key: value` lines, texts over
50,000 characters, lone surrogates, and directives whose values are no configuration.
"""

from __future__ import annotations

import random


def words(text: str) -> list[str]:
    return text.split()


NAMES = words(
    "customer orders LINE_ITEM delivery-address Ärzte 顧客 order user product_2 p x9 a.b many1 "
    "oak ones total u2 _tmp payments Invoice2024 toad endings styled classy graph title"
)
QUOTED = ['"order item"', '"Käufer"', '"x"', '"a-b.c"', '"50 percent"', '"the ""one"', '"a%b"']
TYPES = [
    *words("int string varchar(255) decimal(10,2) uuid timestamp List~int~ text[] bool? float"),
    *words("numeric date map~a~b *secret"),
    "`long text`",
]
ATTRIBUTES = words("id name customer_id created_at price total_2 e-mail größe PK_id fkey *id a.b")
LEFT = [*words("|| |o }o }| 1 one many(0) many(1) 1+ 0+ many"), "zero or one", "one or more"]
RIGHT = [*words("|| o| o{ |{ 1 one many(0) many(1) 1+ 0+ many"), "only one", "zero or many"]
LINES = ["--", "--", "--", "..", "..", ".-", "-.", "to", "optionally to"]
LABELS = ["has", "places", '"is placed by"', '""', "a-b", "größe", '"50 % off"', "has.many"]
EXTRAS = [
    "%% a comment",
    "   %% another: A ||--o{ B",
    "direction LR",
    "direction TB",
    "style customer fill:#f9f,stroke:#333,stroke-width:4px",
    "classDef big fill:#f96,color:red;",
    "classDef a,b font-size:12px",
    "class customer big",
    "class customer,orders big",
    "customer:::big",
    "customer:::big,small",
    "accTitle: Shop",
    "accDescr: Orders and so on",
    "accDescr {\n  several\n  lines\n}",
    "subgraph shop\n  customer\n  orders\nend",
    'subgraph s1 ["The shop"]\n  direction LR\n  a ||--|| b : c\nend',
    "",
    "",
]
HEADERS = [
    "",
    "\n\n",
    "  ",
    "%% drawn by hand\n",
    "---\ntitle: Shop\n---\n",
    '---\ntitle: "Shop: all"\nconfig:\n  theme: forest\n  er:\n    fontSize: 12\n---\n',
    "%%{init: {'theme': 'dark'}}%%\n",
    '%%{init: {"er": {"fontSize": 12}}}%%\n',
]
ODD = list("{}[]()|o\"'`~:;,.%#?*-=+<>/\\&!@$^_ \t\n\r1u0éß‘\u00a0\ufeff")
TOKENS = [
    *NAMES, *QUOTED, *TYPES, *ATTRIBUTES, *LEFT, *RIGHT, *LINES, *LABELS, *EXTRAS,
    "{", "}", "[", "]", ":", ":::", ",", ";", "PK", "FK", "UK", "PK, FK", '"note"', "\n", "\n",
    "%%", "#", "to", "one", "end", "class", "style", "erDiagram", "1", "2", "3.5", "1.", "?",
    "subgraph", "direction", "accTitle", "accTitle:", "accDescr {", "```", "-->", "|", "o", "}",
]  # fmt: skip


def diagram(rng: random.Random) -> str:
    """A diagram in a style of its own; nearly always one that Mermaid takes."""
    indent = " " * rng.choice([0, 2, 2, 4])
    quoted = rng.random() < 0.15
    names = rng.sample(NAMES, rng.randint(1, 5))
    if quoted:
        names = [rng.choice(QUOTED[:5]) if rng.random() < 0.5 else name for name in names]
    lines = [rng.choice(["erDiagram", "erDiagram", "erDiagram  "])]
    body = []
    for name in names:
        if rng.random() < 0.8:
            body.append(block(rng, name, indent))
    for _ in range(rng.randint(0, 4)):
        body.append(indent + relation(rng, names))
    body += [indent + rng.choice(EXTRAS) for _ in range(rng.choice([0, 0, 0, 1, 2]))]
    if rng.random() < 0.5:
        rng.shuffle(body)
    end = rng.choice(["\n", "\n", "\r\n"])
    return end.join(lines + body) + rng.choice(["", "\n", "\n\n  "])


def block(rng: random.Random, name: str, indent: str) -> str:
    alias = rng.choice(["", "", "", "[Person]", '["A person"]', " [x]"])
    mark = rng.choice(["", "", "", "", ":::big"])
    rows = []
    for _ in range(rng.randint(0, 5)):
        row = f"{rng.choice(TYPES)} {rng.choice(ATTRIBUTES)}"
        row += rng.choice(["", "", " PK", " FK", " UK", " PK, FK", " PK,FK", " pk"])
        row += rng.choice(["", "", "", ' "a note"', ' "with } brace"'])
        rows.append(indent * 2 + row)
    return "\n".join([f"{indent}{name}{alias}{mark} {{", *rows, indent + "}"])


def relation(rng: random.Random, names: list[str]) -> str:
    left, right = rng.choice(names), rng.choice(names)
    worded = rng.random() < 0.2
    ends = (rng.choice(LEFT), rng.choice(RIGHT)) if worded else (LEFT[0], rng.choice(RIGHT[:4]))
    if not worded and rng.random() < 0.5:
        ends = (rng.choice(LEFT[:4]), ends[1])
    line = rng.choice(LINES) if worded else rng.choice(LINES[:5])
    gap = " " if worded or rng.random() < 0.1 else ""
    label = rng.choice(LABELS)
    return f"{left} {ends[0]}{gap}{line}{gap}{ends[1]} {right}{rng.choice([' ', ''])}: {label}"


def damaged(rng: random.Random, text: str) -> str:
    """`text` with one to three small changes."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:at] + text[at + 1 :]
        elif kind == 1:
            text = text[:at] + rng.choice(ODD) + text[at:]
        elif kind == 2:
            text = text[:at] + rng.choice(ODD) + text[at + 1 :]
        elif kind == 3:
            lines = text.split("\n")
            lines.pop(rng.randrange(len(lines)))
            text = "\n".join(lines)
        else:
            pieces = text.split(" ")
            at = rng.randrange(len(pieces))
            pieces[at : at + (kind == 4)] = [rng.choice(TOKENS)]
            text = " ".join(pieces)
    return text


def soup(rng: random.Random) -> str:
    picked = [rng.choice(TOKENS) for _ in range(rng.randint(1, 12))]
    return "erDiagram" + "".join(rng.choice([" ", "\n", "\n", ""]) + word for word in picked)


def fresh(seed: int, count: int) -> list[tuple[str, str]]:
    """`count` (origin, text) pairs, the same for the same seed."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        header = rng.choice(HEADERS) if rng.random() < 0.2 else ""
        text = diagram(rng)
        origin = ("whole", "damaged", "cut", "soup", "damaged")[number % 5]
        if origin == "damaged":
            text = damaged(rng, text)
        elif origin == "cut":
            text = text[: rng.randrange(len(text) + 1)]
        elif origin == "soup":
            text = soup(rng)
        made.append((origin, header + text))
    return made


EDGES = [
    "",
    " ",
    "erDiagram",
    "erDiagram\n",
    "  \n erDiagram A",
    "erdiagram\n A",
    "ERDIAGRAM",
    "erDiagramA",
    "erDiagramé",
    "erDiagram A B C",
    "erDiagram A ||--o{ B : x C ||--o{ D : y",
    "```mermaid\nerDiagram\n A ||--o{ B : x\n```",
    "erDiagram\n A ||--o{ B : x\n```",
    "Here is the diagram:\nerDiagram\n A",
    "graph TD\n A-->B",
    "sequenceDiagram\n A->>B: hi",
    "classDiagram\n A <|-- B",
    "erDiagram\n C4Container ||--o{ B : x",
    "erDiagram\n A ||--o{ B",
    "erDiagram\n A ||--o{ B :",
    "erDiagram\n A ||--o{ B :x",
    "erDiagram\n A ||--o{ B : two words",
    "erDiagram\n A ||--o{ B : 1",
    "erDiagram\n A ||--o{ B : one",
    "erDiagram\n A ||--o{ B : to",
    "erDiagram\n A ||--o{ B : class",
    "erDiagram\n A ||--o{ B : style",
    'erDiagram\n A ||--o{ B : "a\nb"',
    "erDiagram\n A ||--o{ B : ''",
    "erDiagram\n A||--o{B : x",
    "erDiagram\n A ||-o{ B : x",
    "erDiagram\n A |--o{ B : x",
    "erDiagram\n A ||--o B : x",
    "erDiagram\n A ||--{ B : x",
    "erDiagram\n A }o--o{ B : x",
    "erDiagram\n A o{--}o B : x",
    "erDiagram\n A |{..}| B : x",
    "erDiagram\n A ||..|| B : x",
    "erDiagram\n A ||.-|| B : x",
    "erDiagram\n A ||-.|| B : x",
    "erDiagram\n A ||---|| B : x",
    "erDiagram\n A ||--|| A : self",
    "erDiagram\n A u--o{ B : x",
    "erDiagram\n u ||--o{ B : x",
    "erDiagram\n u-x",
    "erDiagram\n u.x",
    "erDiagram\n o{ int a }",
    "erDiagram\n A one to one B : x",
    "erDiagram\n A only one to one or more B : x",
    "erDiagram\n A zero or one optionally to many B : x",
    "erDiagram\n A 1 to 1 B : x",
    "erDiagram\n A 1--1 B : x",
    "erDiagram\n A 1+ -- 0+ B : x",
    "erDiagram\n A 1..many(0) B : x",
    "erDiagram\n A many(1) to many B : x",
    "erDiagram\n A One Or More TO only one B : x",
    "erDiagram\n one ||--o{ B : x",
    "erDiagram\n A ||--o{ many : x",
    "erDiagram\n end",
    "erDiagram\n ending ||--o{ to_do : x",
    "erDiagram\n style",
    "erDiagram\n style-guide { int a }",
    "erDiagram\n class { int a }",
    "erDiagram\n classroom { int a }",
    "erDiagram\n class-room { int a }",
    "erDiagram\n 123 { int a }",
    "erDiagram\n 123abc { int a }",
    "erDiagram\n 1 { int a }",
    "erDiagram\n 1.5 { int a }",
    "erDiagram\n 1",
    "erDiagram\n 1 2",
    "erDiagram\n A {}",
    "erDiagram\n A { }",
    "erDiagram\n A {\n}",
    "erDiagram\n A\n{ int a }",
    "erDiagram\n A { int a int b }",
    "erDiagram\n A { int\n a\n PK }",
    "erDiagram\n A { int }",
    "erDiagram\n A { int a PK FK }",
    "erDiagram\n A { int a PK, }",
    'erDiagram\n A { int a PK, FK, UK "all" }',
    'erDiagram\n A { int a "note" PK }',
    "erDiagram\n A { int PK }",
    "erDiagram\n A { PK int }",
    "erDiagram\n A { int fk_id FK }",
    "erDiagram\n A { int fk-id FK }",
    "erDiagram\n A { int a NOT NULL }",
    "erDiagram\n A { int a, }",
    "erDiagram\n A { int a; }",
    "erDiagram\n A { int a\n string b,\n }",
    "erDiagram\n A { varchar(10) a }",
    "erDiagram\n A { varchar (10) a }",
    "erDiagram\n A { decimal(10,2) a }",
    "erDiagram\n A { decimal(10, 2) a }",
    "erDiagram\n A { int[] a }",
    "erDiagram\n A { int? a }",
    "erDiagram\n A { int ? a }",
    "erDiagram\n A { int a? }",
    "erDiagram\n A { List~int~ a }",
    "erDiagram\n A { List~int a }",
    "erDiagram\n A { a~b c~d e }",
    "erDiagram\n A { int *a }",
    "erDiagram\n A { 1nt a }",
    "erDiagram\n A { int 2a }",
    'erDiagram\n A { int a_1 "x\ny" }',
    'erDiagram\n A { int a "unclosed }',
    "erDiagram\n A { `my type` `my name` PK }",
    "erDiagram\n A { `` a }",
    "erDiagram\n A { int a `x",
    "erDiagram\n A { int a",
    "erDiagram\n A { int a }}",
    "erDiagram\n A { { int a } }",
    "erDiagram\n A { int a %% note\n }",
    "erDiagram\n A {\n %% note\n int a\n }",
    "erDiagram\n A {\n int a # note\n }",
    "erDiagram\n A { enum('a','b') a }",
    "erDiagram\n A { int a = 5 }",
    "erDiagram\n A { a: int }",
    "erDiagram\n A { int µ }",
    "erDiagram\n A { int ¿x }",
    "erDiagram\n A[Person] { int a }",
    'erDiagram\n A["A person"] { int a }',
    "erDiagram\n A[A person]",
    "erDiagram\n A[]",
    "erDiagram\n A[Person] ||--o{ B : x",
    "erDiagram\n A[Person]:::big { int a }",
    "erDiagram\n A:::big ||--o{ B:::small : x",
    "erDiagram\n A:::big ||--o{ B : x",
    "erDiagram\n A ||--o{ B:::small : x",
    "erDiagram\n A:::big { int a }",
    "erDiagram\n A ::: big",
    "erDiagram\n A::big",
    'erDiagram\n "my entity" ||--o{ "your entity" : "x y"',
    'erDiagram\n "" { int a }',
    'erDiagram\n "a%b" { int a }',
    'erDiagram\n "a\\b" { int a }',
    "erDiagram\n 'A' { int a }",
    "erDiagram\n A.B ||--o{ C.D : x",
    "erDiagram\n A-B ||--o{ C--D : x",
    "erDiagram\n A/B { int a }",
    "erDiagram\n A;",
    "erDiagram;\n A",
    "erDiagram\n A, B",
    "erDiagram\n A & B",
    "erDiagram\n %% note\n A",
    "erDiagram\n %%\n A",
    "erDiagram\n %% \n A",
    "erDiagram\n A %% note",
    "erDiagram\n A ||--o{ B : x %% note\n",
    "erDiagram %% note\n A",
    "%% note\nerDiagram\n A",
    '%%{init: {"theme": "dark"}}%%\nerDiagram\n A',
    "%%{init: {'theme': }}%%\nerDiagram\n A",
    "%%{wrap}%%\nerDiagram\n A",
    'erDiagram\n A %%{init: {"theme": "dark"}}%% B',
    "erDiagram\n # note\n A",
    "erDiagram\n // note\n A",
    "erDiagram\n <!-- note -->\n A",
    'erDiagram\n A ||--o{ B : "<a href="x">y</a>"',
    'erDiagram\n A ||--o{ B : "<br/>"',
    "erDiagram\n A#amp;B { int a }",
    "erDiagram\n A ||--o{ B : #35;",
    "erDiagram\n direction LR\n A",
    "erDiagram\n direction XY\n A",
    "erDiagram\n direction\n LR",
    "erDiagram\n A direction LR nonsense {{{",
    "erDiagram\n A { direction LR }",
    "erDiagram\n direction BT direction TB ]]",
    "erDiagram\n title Shop",
    "erDiagram\n title: Shop",
    "erDiagram\n accTitle: Shop ]]\n A",
    "erDiagram\n accTitle:",
    "erDiagram\n accTitle Shop",
    "erDiagram\n accDescr: {",
    "erDiagram\n accDescr { a ] b }\n A",
    "erDiagram\n accDescr { a",
    "erDiagram\n accDescr {}",
    "erDiagram\n accDescr: x\n accTitle: y",
    "erDiagram\n style A fill:#f9f",
    "erDiagram\n style A fill:#f9f \n",
    "erDiagram\n style A fill:#f9f;\n B",
    "erDiagram\n style A,B fill:#f9f,stroke-width:1.5px",
    "erDiagram\n style A fill:#f9f,stroke-width:4px\n B",
    "erDiagram\n style A",
    "erDiagram\n style A fill",
    "erDiagram\n style A,fill:red",
    'erDiagram\n style "A" fill:red',
    "erDiagram\n style A fill:rgb(1,2,3)",
    "erDiagram\n classDef big fill:#f9f,color:#fff;",
    "erDiagram\n classDef big fill:#f9f; A",
    "erDiagram\n classDef default fill:#f9f,stroke-dasharray: 5 5\n A",
    "erDiagram\n classDef big",
    "erDiagram\n class A big\n class A,B big,small",
    "erDiagram\n class A",
    "erDiagram\n class A big bigger",
    "erDiagram\n subgraph S\n A\n end",
    "erDiagram\n subgraph S\n A",
    "erDiagram\n subgraph S A end",
    "erDiagram\n subgraph S [The shop]\n A ||--o{ B : x\n subgraph T\n C\n end\n end\n D",
    "erDiagram\n subgraph S []\n A\n end",
    "erDiagram\n subgraph\n A\n end",
    "erDiagram\n subgraph S\n direction LR\n end\n end",
    "---\ntitle: Shop\n---\nerDiagram\n A",
    "---\ntitle: Shop\n---\n\n\nerDiagram\n A",
    "  ---\n  title: Shop\n  ---\nerDiagram\n A",
    "---\ntitle: Shop\nerDiagram\n A",
    "---\n---\nerDiagram\n A",
    "---\n\n---\nerDiagram\n A",
    "---\n# note\n---\nerDiagram\n A",
    "---\ntitle Shop: x: y\n---\nerDiagram\n A",
    "---\ntitle: a\ntitle: b\n---\nerDiagram\n A",
    "---\nconfig:\n  theme: dark\n look: x\n---\nerDiagram\n A",
    "---\ntitle: a\n  theme: dark: x\n---\nerDiagram\n A",
    "---\ntitle: - a\n---\nerDiagram\n A",
    "\ufefferDiagram\n A",
    "erDiagram\n\tA\t||--o{\tB\t:\tx",
    "erDiagram\r A ||--o{ B : x\r\n C",
    "erDiagram\n A\u00a0||--o{ B : x",
    "erDiagram\n A\u2028B",
    "erDiagram\n \x0b A",
    "erDiagram\n \x0c A",
    "erDiagram\n \x00",
    'erDiagram\n "a\x00b" { int a }',
    "erDiagram\n 😀 ||--o{ B : 🚀",
    "erDiagram\n A { int 😀 }",
    "erDiagram\n A --o{ B : x",
    "erDiagram\n ||--o{ B : x",
    "erDiagram\n A -> B",
    "erDiagram\n A --> B : x",
    "erDiagram\n A ||--o{ B, C : x",
    "erDiagram\n A ||--o{ B : x,y",
    "erDiagram\n A ||--o{ B : x.",
    "erDiagram\n A ||--o{ B : x;",
    "erDiagram\n A ||--o{ B : x\n A {\n int id PK\n }\n",
    "erDiagram\nA {\nint id PK\n}\nA {\nint id PK\n}",
]
