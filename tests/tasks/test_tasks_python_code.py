import ast
import json.decoder
import re
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from honewheel import plugins
from honewheel.errors import ParseError
from honewheel.tasks.python_code import PythonCode

TASK = PythonCode()
IMPORTS = ["import json\n", "from math import floor as down, ceil\n"]
DEFS = [
    '''def mean(values, *, ndigits=2):
    """Arithmetic mean."""
    total = 0
    for value in values:
        if value > 0:
            total += value
        else:
            total -= ceil(value)
    return round(total / len(values), ndigits)
''',
    """class Shelf:
    limit: int = 3

    def __init__(self, books):
        self.books = [book for book in books if book]

    def load(self, path):
        try:
            with open(path) as file:
                rows = json.load(file)
        except (OSError, ValueError) as error:
            raise RuntimeError(f"cannot read {path!r}") from error
        self.books.extend(rows)
""",
    """async def fetch(url):
    answer = await get(url)
    match answer:
        case {"data": found}:
            return found
    return None
""",
]
CODE = "".join(IMPORTS) + "\n" + "\n\n".join(DEFS)
CHANGES = {
    "operator": ("total += value", "total -= value"),
    "constant": ("total = 0", "total = 1"),
    "comparison": ("value > 0", "value >= 0"),
    "branches swapped": (
        "            total += value\n        else:\n            total -= ceil(value)",
        "            total -= ceil(value)\n        else:\n            total += value",
    ),
    "default": ("ndigits=2", "ndigits=3"),
    "parameter renamed": ("ndigits", "digits"),
    "parameter kind": ("values, *, ndigits", "values, ndigits"),
    "call": ("self.books.extend(rows)", "self.books.append(rows)"),
    "argument": ("json.load(file)", "json.load(path)"),
    "exception": ("(OSError, ValueError)", "OSError"),
    "import": ("from math import floor as down, ceil", "from math import ceil"),
    "attribute": ("self.books = [", "self.items = ["),
    "condition": ("for book in books if book]", "for book in books]"),
    "await": ("await get(url)", "get(url)"),
    "return": ("            return found", "            return answer"),
    "annotation": ("limit: int", "limit: float"),
    "order of statements": (
        "        self.books.extend(rows)\n",
        "        self.books.extend(rows)\n        self.books.sort()\n",
    ),
    "format": ("{path!r}", "{path}"),
    "def to async": ("def mean", "async def mean"),
    "name of a function": ("def mean", "def average"),
}


def codes(text):
    return [finding.code for finding in TASK.check(text, {}).findings]


def test_the_kind_is_registered():
    assert isinstance(plugins.task("python-code"), PythonCode)


def test_the_sample_is_flawless_and_wholly_like_itself():
    assert TASK.check(CODE, {}).score == 1
    assert set(TASK.compare(CODE, CODE, {}).values()) == {1.0}


def test_facts_are_signatures_imports_calls_and_statements():
    text = "from a import b as c\n\ndef f(x, y: int = 1) -> str:\n    if x:\n        return c(y)\n"
    found = {fact for fact in TASK.facts(text, {}) if fact[0] != "body"}
    assert found == {
        ("import", "a", "b", "c", "0"),
        ("function", "f", "", "0"),
        ("parameter", "f", "plain", "0", "x", "", "", "0"),
        ("parameter", "f", "plain", "1", "y", "int", "1", "0"),
        ("returns", "f", "str", "0"),
        ("statement", "f", "", "if x", "0"),
        ("statement", "f", "if", "return c(y)", "0"),
        ("call", "f", "c", "0"),
    }


@given(st.permutations(IMPORTS), st.permutations(DEFS), st.sampled_from(["", "# a note\n", "\n\n"]))
@settings(deadline=None)
def test_order_of_definitions_comments_and_layout_count_for_nothing(imports, defs, between):
    text = between.join([*imports, *defs]).replace("    ", "  ")
    found = TASK.compare(text, CODE, {})
    assert found["facts"] == found["equivalent"] == 1


LOCALS = ["total", "value", "book", "file", "rows", "error", "answer", "found", "self"]


@given(st.permutations(LOCALS))
@settings(max_examples=30, deadline=None)
def test_renaming_locals_consistently_keeps_the_key_and_changes_the_facts(names):
    fresh = {name: f"{other}_2" for name, other in zip(LOCALS, names, strict=True)}
    text = re.sub(rf"\b({'|'.join(LOCALS)})\b", lambda match: fresh[match[1]], CODE)
    found = TASK.compare(text, CODE, {})
    assert found["equivalent"] == 1
    assert found["facts"] < 1


@given(st.sampled_from(LOCALS[:-1]), st.sampled_from(["values", "len", "json", "other"]))
@settings(max_examples=30, deadline=None)
def test_renaming_only_one_place_of_a_local_breaks_the_key(name, other):
    text = re.sub(rf"\b{name}\b", other, CODE, count=1)
    assert TASK.compare(text, CODE, {})["equivalent"] == 0


@pytest.mark.parametrize("name", CHANGES)
def test_every_single_change_of_meaning_lowers_the_score_and_breaks_equivalence(name):
    old, new = CHANGES[name]
    assert old in CODE
    text = CODE.replace(old, new)
    found = TASK.compare(text, CODE, {})
    assert found["valid"] == 1
    assert 0 < found["score"] < 1
    assert found["equivalent"] == 0
    assert found["facts"] == TASK.compare(CODE, text, {})["facts"]


def test_two_statements_that_change_places_lower_the_facts():
    one, two = "def f():\n    a()\n    b()\n", "def f():\n    b()\n    a()\n"
    found = TASK.compare(one, two, {})
    assert 0 < found["facts"] < 1
    assert found["equivalent"] == 0


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("f = lambda x: x + 1", "f = lambda y: y + 1"),
        ("def f(x, /): return x", "def f(y, /): return y"),
        ("def f(): import os; return os.name", "def f(): import os as o; return o.name"),
        ("def f(n):\n def g(): return n\n return g", "def f(n):\n def h(): return n\n return h"),
        ("x = [a for a in b]", "x = [c for c in b]"),
        ("def f(a): return [(x := i) for i in a], x", "def f(a): return [(y := i) for i in a], y"),
        ("def f():\n a = 1\n def g():\n  nonlocal a\n  a = 2\n return g, a",) * 2,
        ("'''one'''\nx = 1", "x = 1  # two"),
        (
            "class A:\n def b(self): x()\n def c(self): y()",
            "class A:\n def c(s): y()\n def b(s): x()",
        ),
    ],
)
def test_what_nobody_outside_can_see_does_not_count(one, two):
    assert TASK.equivalence_key(one, {}) == TASK.equivalence_key(two, {})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("def f(x): return x", "def f(y): return y"),
        ("def f(*, x): return x", "def f(*, y): return y"),
        ("x = 1", "y = 1"),
        ("def f():\n x = 1\n return locals()", "def f():\n y = 1\n return locals()"),
        ("def f():\n global x\n x = 1", "def f():\n global y\n y = 1"),
        ("class A:\n b = 1", "class A:\n c = 1"),
        ("def f():\n x = 1\n return y", "def f():\n y = 1\n return y"),
        ("x = 1", "x = True"),
        ("x = 1", "x = '1'"),
        ("import a.b", "import a.b as a"),
        ("def f(): a()\ndef f(): b()", "def f(): b()\ndef f(): a()"),
        ("class A:\n x = 1\n def f(self): return x", "class A:\n y = 1\n def f(self): return y"),
    ],
)
def test_what_others_can_see_counts(one, two):
    assert TASK.equivalence_key(one, {}) != TASK.equivalence_key(two, {})


@pytest.mark.parametrize(
    "text",
    [
        "def f(): pass",
        "def f():\n    '''Does it.'''\n    ...",
        "import os\n\nx = 1\n\ndef f(a):\n    raise NotImplementedError\n\ndef g(): return",
        "class A:\n    pass",
        "class A:\n    def __init__(self): pass\n    def run(self): ...",
        "def f(): pass\n\nif __name__ == '__main__':\n    f()",
        "import os\n...",
    ],
)
def test_nothing_but_scaffolding_is_an_error(text):
    assert TASK.check(text, {}).score == 0
    assert codes(text)[0] == "scaffolding"


@pytest.mark.parametrize("text", ["", "# only a note", "'''only a docstring'''", "\n\n"])
def test_no_code_is_an_error(text):
    assert codes(text) == ["no-code"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def f(): return 1\ndef g(): pass", "stub"),
        ("def f():\n    x = 1\n    ...\n    return x", "placeholder"),
        ("def f():\n    # TODO: handle errors\n    return 1", "placeholder"),
        ("x = 1\n# ... rest of the code ...", "placeholder"),
        ("def f():\n    # your code here\n    return 1", "placeholder"),
        ("x = 1\n# rest of the implementation", "placeholder"),
    ],
)
def test_gaps_in_real_code_are_warnings(text, code):
    check = TASK.check(text, {})
    assert check.score == 0.9
    assert [finding.code for finding in check.findings] == [code]


@pytest.mark.parametrize(
    "text",
    [
        "class Broken(Exception):\n    pass",
        "class Shape(Protocol):\n    def area(self) -> float: ...",
        "class Shape(ABC):\n    @abstractmethod\n    def area(self): ...",
        "@overload\ndef f(x: int) -> int: ...\ndef f(x): return x",
        "try:\n    import a\nexcept ImportError:\n    pass",
        "class A:\n    def __init__(self): pass\n    def f(self): return 1",
        "@dataclass\nclass P:\n    x: int = 1",
        "x = 1  # the implementation of RFC 1",
        "x: tuple[int, ...] = ()",
    ],
)
def test_what_is_meant_to_be_empty_is_no_scaffolding(text):
    assert TASK.check(text, {}).score == 1


def test_one_block_around_the_code_is_unwrapped_and_lines_keep_their_numbers():
    check = TASK.check(f"\n```python\n{CODE}\n```\n", {})
    assert check.valid
    assert [finding.code for finding in check.findings] == ["code-fence"]
    assert TASK.compare(f"~~~\n{CODE}~~~", CODE, {})["facts"] == 1
    assert TASK.check("```py\nx = 1\ny = (\n```", {}).findings[0].line == 3


@pytest.mark.parametrize(
    "text",
    [
        "Here it is:\n```python\nx = 1\n```",
        "```python\nx = 1\n```\nThat is all.",
        "```python\nx = 1\n```\n```python\ny = 2\n```",
        "```python\nx = 1",
        "```",
        "```sql\nSELECT 1\n```",
        "```python x = 1 ```",
    ],
)
def test_prose_around_a_block_and_several_blocks_are_errors(text):
    assert codes(text) == ["code-fence"]


def test_a_fence_within_a_string_is_the_codes_own():
    text = 'def f():\n    """Shows\n    ```\n    x\n    ```\n    """\n    return 1\n'
    assert TASK.check(text, {}).score == 1
    assert TASK.compare(f"```\n{text}```", text, {})["facts"] == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [("x = 1\nreturn x", 2), ("def f(a, a): return 1", 1), ("x = (", 1), ("x\0", None)],
)
def test_what_python_does_not_compile_is_an_error_with_its_line(text, line):
    check = TASK.check(text, {})
    assert check.score == 0
    assert check.findings[0].code == "syntax"
    assert check.findings[0].line == line


def test_code_is_never_run(tmp_path):
    target = tmp_path / "touched"
    text = f"open({str(target)!r}, 'w')\nraise SystemExit"
    assert TASK.check(text, {}).valid
    TASK.compare(text, text, {})
    assert not target.exists()


def test_doubtful_escapes_neither_warn_nor_change_the_filters():
    before = list(warnings.filters)
    assert TASK.check("print('\\d')\nx = 1 is 1", {}).score == 1
    assert warnings.filters == before


DEEP = {
    "minus": "-" * 49_000 + "1",
    "not": "not " * 12_000 + "1",
    "lambdas": "lambda:" * 7_000 + "1",
    "attributes": "a" + ".b" * 24_000,
    "calls": "a" + "()" * 24_000,
    "sum": "1" + "+1" * 24_000,
    "conditions": "1 if 1 else " * 4_000 + "1",
    "brackets": "(" * 49_000,
    "elifs": "if a: b\n" + "elif a: b\n" * 4_000,
    "indents": "".join(" " * i + "if 1:\n" for i in range(120)),
    "loops": "[x " + "for x in x " * 4_000 + "]",
    "comparisons": "a" + "<a" * 24_000,
    "chain": "a=" * 24_000 + "1",
    "decorators": "@a\n" * 10_000 + "def f(): return 1",
    "functions": "def f(): return 1\n" * 1_000,
    "classes": "class A: pass\n" * 1_000,
    "long integer": "x = 0x" + "f" * 40_000,
    "long literal": "x = 1" + "0" * 40_000,
    "strings": "'a' " * 12_000,
    "notes": "# TODO\n" * 7_000 + "x = 1",
    "fences": "```\n" * 12_000,
    "surrogates": "\udfff" * 100,
    "escaped surrogates": "x = '\\udfff'\ny = f'\\udfff{x}'",
    "nul": "x = 1\0",
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_and_long_code_takes_neither_the_stack_nor_quadratic_time(name):
    start = time.thread_time()
    exercise(DEEP[name])
    assert time.thread_time() - start < 4


def test_the_deepest_code_that_is_read_has_facts_and_a_key():
    text = "x = " + "-" * 70 + "y"
    assert TASK.check(text, {}).valid
    TASK.facts(text, {})
    TASK.equivalence_key(text, {})
    assert codes("x = " + "-" * 90 + "y") == ["too-deep"]


def exercise(text):
    check = TASK.check(text, {})
    assert 0 <= check.score <= 1
    assert check.valid == (check.score > 0)
    for view in (TASK.facts, TASK.equivalence_key):
        try:
            view(text, {})
        except ParseError:
            assert not check.valid


PIECES = (
    "def f(a, b=1):|class A(B):|    |return|x|=|(|)|[|]|lambda a: a|for i in|if|else:|:|...|pass|"
    "import os|from a import *|global x|nonlocal x|match x:|case [*a]:|try:|except* E as e:|await|"
    "async|yield|f'{x!r:>{y}}'|b'a'|1j|@d|*|**|:=|not|\n|\n    |\n        |;|,|.|```|#|\\|del x"
).split("|")


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(st.characters(codec=None, categories=None), max_size=100),
        st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join),
        st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    )
)
def test_any_text_gets_a_check_and_facts_or_a_parse_error(text):
    exercise(text)


@pytest.mark.parametrize("module", [ast, json.decoder, subprocess, textwrap])
def test_real_modules_are_valid_and_wholly_like_themselves(module):
    source = Path(module.__file__).read_text()[:50_000]
    source = source[: source.rindex("\n\n\n")]
    assert TASK.check(source, {}).valid
    assert TASK.compare(source, source, {})["score"] == 1


def test_importing_the_kind_imports_nothing_heavy():
    code = "import sys, honewheel.tasks.python_code; print('jsonschema' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
