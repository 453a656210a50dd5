import re
import subprocess
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mermaid_flow_samples import ACCEPTED, REJECTED, STRICTER, damaged, verdicts
from mermaid_live.make_table import HERE

from honewheel import plugins
from honewheel.errors import ParseError
from honewheel.tasks.mermaid_flow import MermaidFlow

TASK = MermaidFlow()
SHOP = """flowchart LR
    user([Customer]) -->|orders| web[Web shop]
    web -->|reads| db[(Orders)]
    web -. notifies .-> mail[[Mailer]]
    db <--> backup[(Backup)]
    subgraph cloud [Cloud]
        web2[Worker] --> db
    end
"""
LINES = SHOP.splitlines()[1:5]
BANK = """C4Context
    Person(c, "Customer", "Has an account")
    System_Boundary(b, "Bank") {
        System(s, "Banking")
        SystemDb(d, "Accounts")
    }
    Rel(c, s, "Uses", "HTTPS")
    Rel(s, d, "Reads")
"""
CHANGES = {
    "label changed": (SHOP, "Web shop", "Shop"),
    "shape changed": (SHOP, "web[Web shop]", "web(Web shop)"),
    "link turned": (SHOP, "web2[Worker] --> db", "db --> web2[Worker]"),
    "line changed": (SHOP, "-. notifies .->", "-- notifies -->"),
    "mark changed": (SHOP, "db <--> backup", "db --> backup"),
    "link label changed": (SHOP, "|reads|", "|writes|"),
    "link dropped": (SHOP, LINES[3] + "\n", "    backup[(Backup)]\n"),
    "link rewired": (SHOP, "[Worker] --> db", "[Worker] --> mail"),
    "node moved out": (SHOP, "    end\n", "    end\n    late[Late]\n"),
    "group renamed": (SHOP, "[Cloud]", "[Cellar]"),
    "element kind": (BANK, "SystemDb(", "System("),
    "description": (BANK, "Has an account", "Has a card"),
    "technology": (BANK, '"HTTPS"', '"FTP"'),
    "relation turned": (BANK, "Rel(s, d,", "Rel(d, s,"),
    "relation both ways": (BANK, 'Rel(s, d, "Reads")', 'BiRel(s, d, "Reads")'),
    "boundary left": (
        BANK,
        '        SystemDb(d, "Accounts")\n    }\n',
        '    }\n    SystemDb(d, "Accounts")\n',
    ),
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_diagrams_as_people_write_them_are_read(text):
    assert TASK.check(text, {}).valid
    assert set(TASK.compare(text, text, {}).values()) == {1.0}


@pytest.mark.parametrize("text", REJECTED + STRICTER)
def test_what_mermaid_rejects_or_is_doubtful_is_refused_with_line_and_reason(text):
    check = TASK.check(text, {})
    assert not check.valid
    assert check.findings[0].line
    with pytest.raises(ParseError, match="line"):
        TASK.facts(text, {})


def test_the_kind_is_registered():
    assert isinstance(plugins.task("mermaid-flow"), MermaidFlow)


def test_facts_are_nodes_links_and_groups():
    text = "flowchart TD\n subgraph g [G]\n a(Start) -->|go| b\n end\n c((C)) x--x a"
    assert TASK.facts(text, {}) == {
        ("diagram", "flowchart"),
        ("node", "a", "round", "Start"),
        ("node", "b", "rect", "b"),
        ("node", "c", "circle", "C"),
        ("group", "g", "subgraph", "G"),
        ("member", "g", "a"),
        ("member", "g", "b"),
        ("edge", "a", "solid >", "b", "go", "0"),
        ("edge", "c", "solid xx", "a", "0"),
    }


def test_facts_of_a_c4_diagram():
    assert TASK.facts(BANK, {}) == {
        ("diagram", "C4Context"),
        ("node", "c", "Person", "Customer", "Has an account"),
        ("node", "s", "System", "Banking"),
        ("node", "d", "SystemDb", "Accounts"),
        ("group", "b", "System_Boundary", "Bank"),
        ("member", "b", "s"),
        ("member", "b", "d"),
        ("edge", "c", "Rel", "s", "Uses", "HTTPS", "0"),
        ("edge", "s", "Rel", "d", "Reads", "0"),
    }


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("A -->|x| B", "A -- x --> B"),
        ("A --> B", "A ----> B"),
        ("A & B --> C", "A --> C\n B --> C"),
        ("A --> B --> C", "B --> C; A --> B"),
        ('A["x y"] --> B', "A[x y]-->B"),
        ("A[a<br/>b] --> B", "A[a b] --> B"),
        ("A --> B\n style A fill:#fff\n %% note", "A-->B"),
    ],
)
def test_spellings_of_one_diagram_have_the_same_facts(one, two):
    assert TASK.facts(f"flowchart LR\n {one}", {}) == TASK.facts(f"graph TD\n {two}", {})


@given(st.permutations(LINES), st.sampled_from(["", "%% note\n", "\n\n"]))
def test_order_comments_and_layout_change_neither_facts_nor_key(lines, between):
    rest = "\n".join(SHOP.splitlines()[5:])
    text = "graph TB\n" + between.join(f"{line}\n" for line in lines).replace("    ", "\t") + rest
    found = TASK.compare(text, SHOP, {})
    assert found["facts"] == found["equivalent"] == 1


@settings(max_examples=25, deadline=None)
@given(st.permutations(["user", "web", "db", "mail", "backup", "web2", "cloud"]))
def test_renaming_ids_changes_facts_but_not_the_key(names):
    old = ["user", "web", "db", "mail", "backup", "web2", "cloud"]
    fresh = {name: f"n_{other}" for name, other in zip(old, names, strict=True)}
    text = re.sub(r"\b(web2|user|web|db|mail|backup|cloud)\b", lambda m: fresh[m[1]], SHOP)
    found = TASK.compare(text, SHOP, {})
    assert found["equivalent"] == 1
    assert found["facts"] < 1


def test_a_symmetric_link_may_be_written_from_either_end_and_others_not():
    turned = SHOP.replace("db <--> backup[(Backup)]", "backup[(Backup)] <--> db")
    assert TASK.compare(turned, SHOP, {})["equivalent"] == 1
    turned = SHOP.replace("web2[Worker] --> db", "db --> web2[Worker]")
    assert TASK.compare(turned, SHOP, {})["equivalent"] == 0


@pytest.mark.parametrize("name", CHANGES)
def test_every_single_change_of_meaning_lowers_the_score_and_breaks_equivalence(name):
    text, old, new = CHANGES[name]
    assert old in text
    found = TASK.compare(text.replace(old, new), text, {})
    assert found["valid"] == 1
    assert found["score"] < 1
    assert found["equivalent"] == 0
    assert found["facts"] == TASK.compare(text, text.replace(old, new), {})["facts"]


def test_the_order_of_relations_counts_in_a_dynamic_diagram_only():
    def text(kind, *relations):
        return "\n".join([kind, 'System(a, "A")', 'System(b, "B")', *relations])

    steps = ['Rel(a, b, "x")', 'Rel(b, a, "y")']
    for kind, same in (("C4Context", 1), ("C4Dynamic", 0)):
        found = TASK.compare(text(kind, *reversed(steps)), text(kind, *steps), {})
        assert found["equivalent"] == same
        assert (found["facts"] == 1) == bool(same)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("flowchart LR\n A --> B\n C[lone]", "lone-node", 3),
        ("flowchart LR\n A --> B\n A ---> B", "repeated-link", 3),
        ("flowchart LR\n", "no-nodes", None),
    ],
)
def test_what_mermaid_draws_but_nobody_means_is_a_warning(text, code, line):
    check = TASK.check(text, {})
    assert check.valid
    assert check.score < 1
    assert (check.findings[0].code, check.findings[0].line) == (code, line)


def test_a_fence_another_diagram_and_a_group_in_itself_are_refused():
    for text, code in (
        (f"```mermaid\n{SHOP}```", "code-fence"),
        ("erDiagram\n A", "not-a-diagram"),
        ("flowchart LR\n subgraph a\n a --> b\n end", "self-parent"),
        ("flowchart LR\n" + "a-->b\n" * 501, "too-large"),
    ):
        assert TASK.check(text, {}).findings[0].code == code


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(st.characters(codec=None, categories=None), max_size=200),
        st.integers(0, 10**6).map(lambda seed: damaged(seed, 1)[0]),
    )
)
def test_any_text_gets_a_check_and_facts_or_a_parse_error(text):
    check = TASK.check(text, {})
    assert 0 <= check.score <= 1
    assert check.valid == (check.score > 0)
    for view in (TASK.facts, TASK.equivalence_key):
        try:
            view(text, {})
        except ParseError:
            assert not check.valid


LONG = {
    "groups": "flowchart LR\n a" + " & a" * 8_000 + " --> b" + " & b" * 4_000,
    "statements": "flowchart LR\n" + "a-->b;" * 8_000,
    "nodes": "flowchart LR\n" + "".join(f"a{i}[x]\n" for i in range(5_000)),
    "subgraphs": "flowchart LR\n" + "".join(f"subgraph a{i}\n" for i in range(3_000)),
    "newlines": "\n" * 49_000 + "C4Context",
    "blanks": "flowchart LR\na" + " " * 49_000,
    "labels": "flowchart LR\na" + " -. b" * 9_000,
    "dashes": "flowchart LR\na " + "-" * 49_000,
    "quotes": "flowchart LR\na[" + '"' * 49_000,
    "words": "flowchart LR\nsubgraph " + "a " * 24_000 + "!",
    "styles": "flowchart LR\nstyle a " + "b:c," * 12_000,
    "directions": "flowchart LR\n" + "direction LR\n" * 3_800,
    "people": "C4Context\n" + "".join(f'Person(a{i}, "b")\n' for i in range(2_500)),
    "boundaries": "C4Context\n" + "".join(f'Boundary(a{i}, "b") {{\n' for i in range(2_000)),
    "arguments": "C4Context\nPerson(" + "a," * 24_000,
    "nul": "flowchart LR\n" + "\0" * 49_000,
}


@pytest.mark.parametrize("name", LONG)
def test_long_texts_take_neither_the_stack_nor_quadratic_time(name):
    start = time.thread_time()
    if TASK.check(LONG[name], {}).valid:
        TASK.equivalence_key(LONG[name], {})
    assert time.thread_time() - start < 3


@pytest.mark.npm
def test_what_is_accepted_here_the_real_mermaid_accepts():
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=280)
    assert all(verdicts([*ACCEPTED, *STRICTER]))
    assert not any(verdicts([*REJECTED]))
    accepted = [text for text in damaged(7, 8_000) if TASK.check(text, {}).valid]
    assert len(accepted) > 500
    wrong = [text for text, ok in zip(accepted, verdicts(accepted), strict=True) if not ok]
    assert wrong == []
