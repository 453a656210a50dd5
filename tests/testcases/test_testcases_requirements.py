"""Requirements files: what is read, and what is refused with the row named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import InputError
from honewheel.testcases import requirements
from honewheel.testcases.fields import Excluded
from honewheel.testcases.problems import problems

SHIPPED = Path(__file__).parents[2] / "examples" / "test-cases" / "hotel-booking.md"
HEADER = "field,type,min,max,step,required,values,excludes"


def read(tmp_path: Path, *rows: str, name: str = "form.csv"):
    path = tmp_path / name
    path.write_text("\n".join([HEADER, *rows]))
    return requirements.read(path)


def test_the_shipped_example_is_read_whole():
    found = requirements.read(SHIPPED)
    assert found.title == "Hotel booking form"
    assert len(found.fields) == 10
    assert found.field("discount").units == (1, 50)
    assert not found.field("discount").required
    assert found.field("breakfast").values == ("yes", "no")
    assert Excluded(field="room", value="single", other="view", other_value="sea") in found.excluded


def test_csv_and_markdown_say_the_same(tmp_path):
    rows = [
        "n,integer,1,12,,yes,,",
        'room,choice,,,,,"a, b",a: view = sea',
        'view,choice,,,,,"sea,yard",',
    ]
    found = read(tmp_path, *rows)
    table = "\n".join(
        [
            "# form",
            "",
            "| some | other table |",
            "| --- | --- |",
            "",
            "| Field | Type | Min | Max | Values | Excludes |",
            "|:--|---|--:|---|---|---|",
            "| n | integer | 1 | 12 | | |",
            "| room | choice | | | a, b | a: view = sea |",
            "| view | choice | | | sea, yard |",
        ]
    )
    path = tmp_path / "form.md"
    path.write_text(table)
    assert requirements.read(path) == found


@pytest.mark.parametrize(
    ("row", "unit", "value"),
    [
        ("n,integer,-5,5,,,,", 0, "-6"),
        ("n,integer,0,5,,,,", 1, "0"),
        ("n,integer,18,65,,,,", 18, "18"),
        ("n,decimal,0.01,9.99,,,,", 1, "0.01"),
        ("n,decimal,2.5,9.5,0.5,,,", 20, "10.0"),
        ("n,date,2026-02-27,2026-03-05,,,,", 3, "2026-03-01"),
        ("n,text,2,8,,,,", 3, "abc"),
    ],
)
def test_values_are_counted_in_units_and_back(tmp_path, row, unit, value):
    field = read(tmp_path, row).fields[0]
    assert field.value(unit) == value
    assert field.unit(value) == unit
    assert field.unit("") is None
    low, high = field.units
    assert 1 <= low <= high
    assert low <= field.unit(field.nominal) <= high


@given(st.integers(-500, 500), st.integers(0, 400), st.integers(-3, 403))
def test_units_keep_order_and_neighbours(low, width, at):
    rows = [{"field": "n", "type": "integer", "min": str(low), "max": str(low + width)}]
    field = requirements.parse("form", rows, "form.csv").fields[0]
    first, last = field.units
    assert last - first == width
    assert int(field.value(first + at)) == low + at
    assert field.unit(str(low + at)) == first + at


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("n,number,1,2,,,,", "row 1: n has the type 'number'"),
        (",integer,1,2,,,,", "is no name of a field"),
        ("a;b,integer,1,2,,,,", "is no name of a field"),
        ("n,integer,5,2,,,,", "min 5 is above max 2"),
        ("n,integer,1.5,2,,,,", "no multiple of the step 1"),
        ("n,integer,x,2,,,,", "min is 'x', which is no number"),
        ("n,integer,1,nan,,,,", "numbers go up"),
        ("n,integer,1,2,1,,,", "a step is for decimals"),
        ("n,decimal,1,2,0,,,", "no multiple of the step 0"),
        ("n,date,1,2,,,,", "no date like"),
        ("n,text,0,2,,,,", "length of a text is 1"),
        ("n,integer,1,2,,maybe,,", "required is 'maybe'"),
        ("n,integer,1,2,,,\"a,b\",", "values are for choices"),
        ("n,choice,1,,,,\"a,b\",", "it has no min"),
        ("n,choice,,,,,a,", "two or more values"),
        ("n,choice,,,,,\"a,a\",", "value 'a' is there twice"),
        ("n,choice,,,,,\"a=b,c\",", "holds ; = or |"),
        ("n,yes/no,,,,,\"a,b\",", "values are not given"),
        ("n,choice,,,,,\"a,b\",a with b", "VALUE: FIELD = VALUE"),
        ("n,choice,,,,,\"a,b\",a: m = b", "names m = b"),
        ("n,choice,,,,,\"a,b\",a: n = b", "its own field"),
        ("n,choice,,,,,\"a,b\",c: n = b", "names n = c"),
    ],
)  # fmt: skip
def test_a_row_that_makes_no_sense_is_named(tmp_path, row, told):
    with pytest.raises(InputError, match=told):
        read(tmp_path, row)


def test_a_file_without_a_table_is_refused(tmp_path):
    for text, told in (
        ("Please test my form.", "no table"),
        (HEADER, "no table"),
        (f"{HEADER},unit\nn,integer,1,2,,,,,m", "column 'unit'"),
        (f"{HEADER}\nn,integer,1,2,,,,\nn,integer,1,2,,,,", "'n' is there twice"),
    ):
        path = tmp_path / "form.csv"
        path.write_text(text)
        with pytest.raises(InputError, match=told):
            requirements.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        requirements.read(tmp_path / "none.md")
    (tmp_path / "latin.md").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(InputError, match="cannot be read"):
        requirements.read(tmp_path / "latin.md")


def test_every_range_and_all_choices_become_problems():
    asked = problems(requirements.read(SHIPPED), "three-value")
    assert [one.kind for one in asked] == ["boundary-table"] * 6 + ["pairwise"]
    assert '"field": "age of booker", "low": 18, "high": 95' in asked[2].prompt
    assert '"never": [[0, 0, 1, 2], [2, 1, 3, 2]]' in asked[-1].prompt
    assert all(
        '"digits": 4' in one.prompt
        for one in problems(requirements.read(SHIPPED), "two-value", 4)[:6]
    )


def test_what_no_problem_takes_is_refused(tmp_path):
    wide = read(tmp_path, "n,integer,1,1000,,,,")
    with pytest.raises(InputError, match=r"4 digits, where 2 are the most"):
        problems(wide, "two-value", 2)
    with pytest.raises(InputError, match="no rule 'x'"):
        problems(wide, "x")
    with pytest.raises(InputError, match="neither a range nor a second choice"):
        problems(read(tmp_path, 'n,choice,,,,,"a,b",'), "two-value")
    many = [f'c{at},choice,,,,,"a,b",' for at in range(6)]
    with pytest.raises(InputError, match="6 parameters of up to 2 levels"):
        problems(read(tmp_path, *many), "two-value")
