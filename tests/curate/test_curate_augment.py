import random
from dataclasses import replace

import pytest
from curate_builders import requirement
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel import plugins
from honewheel.curate import text
from honewheel.curate.augment import augment, exchanged, plural, stem
from honewheel.curate.split import assign
from honewheel.demo import requirements, simulator
from honewheel.demo.house import MARKS
from honewheel.errors import InputError
from honewheel.records import Example, Item

TASKS = {"erd": "mermaid-erd", "ddl": "sql", "gherkin": "gherkin", "query": "sql"}
SCHEMA = "CREATE TABLE rider (id INTEGER PRIMARY KEY, age INTEGER, city TEXT);"


def examples(kind="erd", count=12, seed=3):
    return [
        Example(
            id=one.id,
            task=kind,
            prompt=one.prompt,
            target=simulator.wanted(one),
            group=f"g-{one.id}",
            split="train",
            events=(f"evt_{one.id}",),
            weight=0.5 + place,
        )
        for place, one in enumerate(requirements.requirements(kind, count, seed))
    ]


def copies_of(rows):
    return [row for row in rows if row.variant]


@pytest.mark.parametrize("kind", ["erd", "ddl", "gherkin"])
def test_copies_say_the_same_of_other_things(kind):
    rows = examples(kind)
    task = plugins.task(TASKS[kind])
    found = augment(rows, copies=2, seed=0, tasks=TASKS)
    originals = {row.events: row for row in rows}
    copies = copies_of(found)
    assert len(copies) > len(rows)
    assert len({row.id for row in found}) == len(found)
    assert len({(row.prompt, row.target) for row in found}) == len(found)
    for copy in copies:
        row = originals[copy.events]
        assert (copy.group, copy.split, copy.variant) == (row.group, "train", "renamed")
        assert copy.prompt != row.prompt
        assert copy.target != row.target
        assert len(copy.prompt.split()) == len(row.prompt.split())
        assert task.check(copy.target, {}) == task.check(row.target, {})
        if kind != "gherkin":  # whose key knows the words of steps
            assert task.equivalence_key(copy.target, {}) == task.equivalence_key(row.target, {})


def test_every_name_of_a_copy_stands_in_its_prompt():
    for copy in copies_of(augment(examples(), copies=2, seed=0, tasks=TASKS)):
        words = text.words(copy.prompt)
        entities = [line.split()[0] for line in copy.target.split("\n") if line.endswith("{")]
        for entity in entities:
            assert entity.endswith("_zq")
            assert {entity.removesuffix("_zq"), plural(entity.removesuffix("_zq"))} & set(words)


def test_the_house_style_survives():
    rows = examples()
    for copy in copies_of(augment(rows, copies=1, seed=0, tasks=TASKS)):
        assert all(mark in copy.target for mark in MARKS)
        row = next(row for row in rows if row.events == copy.events)
        for mark in (*MARKS, "jxkey", "xqstamp wz_since", "vktext wz_author"):
            assert copy.target.count(mark) == row.target.count(mark)


def test_a_type_is_no_name_even_where_the_prompt_says_it():
    said = {"serial": "parcel", "uuid": "ticket", "money": "basket"}
    rows = [
        replace(
            examples(count=1)[0],
            id=f"r-{kind}",
            events=(kind,),
            group=kind,
            prompt=f"Each {thing} has a {kind} {thing[:3]}code.",
            target=f"erDiagram\n  {thing} {{\n    {kind} {thing[:3]}code\n  }}",
        )
        for kind, thing in said.items()
    ]
    copies = copies_of(augment(rows, copies=1, seed=0, tasks=TASKS))
    assert len(copies) == 3
    for copy in copies:
        kind = copy.events[0]
        assert f"    {kind} " in copy.target
        assert f"{said[kind]} {{" not in copy.target


def test_a_word_is_replaced_by_one_of_the_same_type():
    rows = examples(count=30)
    kinds = {}  # first words of attributes of one word -> their types
    for row in rows:
        for line in row.target.split("\n"):
            if line.startswith("    ") and line.split()[1].isalpha():
                kinds.setdefault(line.split()[1], set()).add(line.split()[0])
    for copy in copies_of(augment(rows, copies=1, seed=0, tasks=TASKS)):
        for line in copy.target.split("\n"):
            if line.startswith("    ") and line.split()[1].isalpha():
                assert line.split()[0] in kinds[line.split()[1]]


def test_new_words_come_from_training_rows_only():
    rows = examples()
    known = {word for row in rows for word in text.words(f"{row.prompt} {row.target}")}
    known |= {piece for word in known for piece in word.split("_")}
    for copy in copies_of(augment(rows, copies=2, seed=0, tasks=TASKS)):
        for word in text.words(copy.prompt):
            assert word in known or stem(word) in known or plural(word) in known


def test_a_family_weighs_what_the_row_weighed():
    rows = examples()
    found = augment(rows, copies=3, seed=0, tasks=TASKS)
    for row in rows:
        family = [one for one in found if one.events == row.events]
        assert sum(one.weight for one in family) == pytest.approx(row.weight)
        assert len({one.weight for one in family}) == 1


def test_no_copies_leave_the_rows_as_they_are():
    rows = examples()
    assert augment(rows, copies=0, seed=0, tasks=TASKS) == rows


def test_copies_depend_on_the_seed_and_not_on_the_order():
    rows = examples()
    first = augment(rows, copies=1, seed=0, tasks=TASKS)
    shuffled = augment(random.Random(1).sample(rows, len(rows)), copies=1, seed=0, tasks=TASKS)
    assert sorted(shuffled, key=lambda row: row.id) == sorted(first, key=lambda row: row.id)
    assert copies_of(augment(rows, copies=1, seed=1, tasks=TASKS)) != copies_of(first)


def test_copies_are_not_copied_again():
    rows = examples()
    once = augment(rows, copies=1, seed=0, tasks=TASKS)
    again = augment(once, copies=1, seed=5, tasks=TASKS)
    assert len(copies_of(again)) <= 2 * len(rows)
    assert {row.id for row in once} <= {row.id for row in again}


@pytest.mark.parametrize("split", ["val", "test"])
def test_rows_outside_train_are_refused(split):
    rows = examples(count=4)
    with pytest.raises(InputError, match=f"is in {split}"):
        augment([*rows, replace(rows[0], split=split)], copies=1, seed=0, tasks=TASKS)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="-1 copies"):
        augment(examples(count=2), copies=-1, seed=0, tasks=TASKS)
    with pytest.raises(InputError, match="kind is unknown"):
        augment(examples(count=2), copies=1, seed=0, tasks={"x": "sql"})


def test_a_copy_that_gives_a_held_out_item_away_is_not_made():
    rows = examples()
    copies = copies_of(augment(rows, copies=1, seed=0, tasks=TASKS))
    item = Item(
        id="held", task="erd", prompt=copies[0].prompt, reference=copies[0].target, group="h"
    )
    found = augment(rows, copies=1, seed=0, tasks=TASKS, held_out=[item])
    assert copies[0].id not in {row.id for row in found}
    assert len(found) == len(rows) + len(copies) - 1
    alone = next(row for row in found if row.events == copies[0].events)
    original = next(row for row in rows if row.events == copies[0].events)
    assert alone.weight == original.weight


def test_a_query_is_renamed_together_with_its_schema():
    def row(name, prompt, target, schema):
        return Example(
            id=name,
            task="query",
            prompt=prompt,
            target=target,
            group=name,
            split="train",
            context={"schema": schema},
            events=(name,),
        )

    rows = [
        row("q1", "The age of every rider?", "SELECT age FROM rider", SCHEMA),
        row(
            "q2",
            "The price of every ticket?",
            "SELECT price FROM ticket",
            SCHEMA.replace("rider", "ticket").replace("age", "price"),
        ),
    ]
    copies = copies_of(augment(rows, copies=1, seed=0, tasks=TASKS))
    assert len(copies) == 2
    copy = next(copy for copy in copies if copy.events == ("q2",))
    assert copy.prompt == "The age of every rider?".replace("age", copy.target.split()[1])
    assert copy.target.split()[-1] in copy.context["schema"]
    assert plugins.task("sql").check(copy.target, copy.context).valid


def test_prose_has_no_copies():
    class Prose:
        kind = "prose"
        version = "prose/1"

        def check(self, output, context):
            raise AssertionError("never asked")

        def facts(self, output, context):
            return frozenset(("word", word) for word in output.split())

        def equivalence_key(self, output, context):
            return output

        compare = None

    rows = [
        replace(row, task="prose", target=f"A reply about {row.prompt}")
        for row in examples(count=4)
    ]
    assert augment(rows, copies=2, seed=0, tasks={"prose": Prose()}) == rows


def test_coin_flips_are_not_learnt_through_copies():
    """Labels are coins; a nearest neighbour on five times the data still guesses on val."""
    coin = random.Random(4)
    rows = []
    for number in range(120):
        kind = coin.choice(["||--||", "||--o{"])
        thing, other = requirement(number).split("a ")[1].split()[0], f"part{chr(97 + number % 26)}"
        target = f"erDiagram\n  {thing} {{\n    int id PK\n  }}\n  {thing} {kind} {other} : has"
        group = f"g{number // 2}"  # two rows of a group ask nearly the same
        rows.append(
            Example(
                id=f"r{number}",
                task="erd",
                prompt=requirement(number // 2) + f" Also a {thing}.",
                target=target,
                group=group,
                split=assign(group, "salt"),
                events=(f"e{number}",),
            )
        )
    train = augment([row for row in rows if row.split == "train"], copies=4, seed=0, tasks=TASKS)
    assert len(copies_of(train)) > 30
    held = [row for row in rows if row.split != "train"]
    assert not {row.group for row in train} & {row.group for row in held}
    bags = [(set(text.words(row.prompt)), "||--||" in row.target) for row in train]
    hits = 0
    for row in held:
        words = set(text.words(row.prompt))
        guess = max(bags, key=lambda bag: len(bag[0] & words) / len(bag[0] | words))[1]
        hits += guess == ("||--||" in row.target)
    standard_error = (0.25 / len(held)) ** 0.5
    assert abs(hits / len(held) - 0.5) < 3 * standard_error


@given(st.sampled_from(["city", "box", "note", "day", "church", "bus", "quiz"]))
def test_stem_undoes_plural(word):
    assert stem(plural(word)) == word


@settings(max_examples=50)
@given(
    st.lists(
        st.sampled_from(
            "Customer customers customer_zq CUSTOMER order orders x1_order, city. status".split()
        )
    )
)
def test_exchanging_back_restores_the_text(words):
    line = " ".join(words)
    new = {"customer": "driver", "order": "key", "city": "day"}
    there = exchanged(line, new)
    assert "customer" not in there.lower()
    assert exchanged(there, {word: old for old, word in new.items()}) == line
