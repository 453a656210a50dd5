from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_samples import HOSTILE

from honewheel.report.inert import clean, code, escape_markdown, fence, shorten

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# Letters of every dialect of trouble, so that examples hit syntax instead of missing it.
TROUBLE = st.text(
    alphabet="a1 \\`*_{}[]()<>#|~!&$^+-=.:/\n\t\r\x00\x1b\u202e\x85\u2028;\"'x", max_size=60
)


def _reads(text: str) -> str:
    """What `text` should look like on one line."""
    return " ".join(clean(text).split())


def _inline(source: str) -> list[tuple[str, str]]:
    tokens = PARSER.parse(source)
    assert [token.type for token in tokens] in (
        ["paragraph_open", "inline", "paragraph_close"],
        [],
    ), source
    return [(item.type, item.content) for token in tokens for item in token.children or ()]


@given(TROUBLE | st.text(max_size=60))
def test_escaped_text_reads_as_it_was_and_starts_nothing(text: str) -> None:
    found = _inline(escape_markdown(text))
    assert {kind for kind, _ in found} <= {"text", "text_special"}
    assert "".join(content for _, content in found) == _reads(text)


@given(TROUBLE | st.text(max_size=60))
def test_a_code_span_holds_the_whole_text_and_nothing_else(text: str) -> None:
    found = _inline(code(text))
    assert {kind for kind, _ in found} <= {"text", "text_special", "code_inline"}
    assert "".join(content for _, content in found) == _reads(text)


@given(TROUBLE | st.text(max_size=60))
def test_escaped_text_stays_in_its_table_cell(text: str) -> None:
    for cell in (escape_markdown(text), code(text)):
        tokens = PARSER.parse(f"| a | b |\n|---|---|\n| {cell} | end |\n")
        cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
        read = ["".join(part.content for part in cell.children or ()) for cell in cells]
        assert read == [_reads(text), "end"]


@given(TROUBLE | st.text(max_size=60))
def test_nothing_in_a_fenced_text_closes_the_fence(text: str) -> None:
    tokens = PARSER.parse(f"{fence(text)}\n\nafter\n")
    assert [token.type for token in tokens][:2] == ["fence", "paragraph_open"]
    assert tokens[0].content == f"{clean(text)}\n"


def test_control_characters_become_visible_and_surrogates_become_the_replacement() -> None:
    assert clean("a\x00b\x1b[31m\u202ec\x7f\r\nd\ud800") == "a␀b␛[31m(U+202E)c␡\nd\ufffd"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_cleaned_text_fits_any_file_and_cleaning_again_changes_nothing(text: str) -> None:
    once = clean(text)
    assert once.encode().decode() == once
    assert clean(once) == once
    assert not set(once) & {chr(code) for code in range(32) if chr(code) not in "\n\t"}


def test_addresses_do_not_become_links_in_the_dialect_that_links_bare_ones() -> None:
    found = escape_markdown("http://evil.example www.evil.example mailto:a@b.c WWW.evil.example")
    assert "http://" not in found
    assert "www." not in found.lower()
    assert "mailto:" not in found


def test_long_text_is_cut_and_says_by_how_much() -> None:
    assert shorten("x" * 5_000, 4_000) == "x" * 4_000 + "\n… 1,000 more characters"
    assert shorten("x" * 4_000, 4_000) == "x" * 4_000


def test_the_hostile_sample_is_hostile_without_these_functions() -> None:
    types = {item.type for token in PARSER.parse(HOSTILE) for item in token.children or ()}
    assert "html_block" in {token.type for token in PARSER.parse(HOSTILE)} or "html_inline" in types
    assert html.escape(HOSTILE) != HOSTILE
