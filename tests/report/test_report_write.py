from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from report_samples import HOSTILE, comparison, decision, fill, reported

from honewheel.errors import NotFound
from honewheel.records import GuardResult
from honewheel.report.collect import CycleReport, collect
from honewheel.report.inert import clean
from honewheel.report.numbers import interval, points, signed
from honewheel.report.write import ReportFiles, html, markdown, write
from honewheel.store import Store

# What a store keeps of HOSTILE: it refuses NUL and lone surrogates in the log.
STORED = HOSTILE.replace("\x00", "").replace("\ud800", "")
VOID = {"meta", "img"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "header", "section", "div", "p", "h1"),
    *("h2", "h3", "h4", "ul", "li", "table", "tr", "th", "td", "code", "pre", "b", "span", "img"),
}


class Page(HTMLParser):
    """Elements, attributes and texts of a page; complains of anything unbalanced."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.rows: list[list[str]] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows = self.tables.setdefault(str(dict(attrs)["id"]), [])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.strip()

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def in_markdown(report: CycleReport) -> str:
    return markdown(report, {}, "cycle")


def in_html(report: CycleReport) -> Page:
    return Page(html(report, {}))


def texts(**options: object) -> tuple[str, str]:
    """What Markdown and HTML readers see of such a cycle, pictures aside."""
    report = reported(**options)
    return in_markdown(report), "".join(in_html(report).text)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    """A written report, pictures and all, in which whatever others say is hostile."""
    report = reported(text=STORED, output=HOSTILE)
    assert report.lines[0].comparison.name.endswith(STORED)
    return write(report, tmp_path_factory.mktemp("hostile"))


def headings(source: str) -> list[str]:
    tokens = MarkdownIt("commonmark").parse(source)
    return [
        str(tokens[place + 1].content)
        for place, token in enumerate(tokens)
        if token.type == "heading_open"
    ]


def test_a_report_says_by_which_schedule_a_cycle_ran_and_why() -> None:
    why = "41 effective new examples wait (min_new 40)"
    for text in texts(schedule="light", reason=why):
        assert f"A light cycle: {why}" in text.replace("\\", "")
    for text in texts(reason="asked for"):
        assert "A cycle by the model's own settings: asked for" in text
    assert in_html(reported(schedule="deep", reason=why)).tables["lineage"][1:3] == [
        ["schedule", "deep"],
        ["run because", why],
    ]
    assert "run because" not in "".join(texts())  # a cycle that said nothing of it


def test_every_number_in_the_table_is_the_one_in_the_store(store: Store) -> None:
    report = collect(store, fill(store))
    stored = store.versions.decision(report.cycle.id)
    assert stored is not None
    assert stored.primary is not None
    lines = [(stored.primary, "primary", None, "better")]
    lines += [(guard.comparison, "guard", guard.margin, guard.state) for guard in stored.guards]
    expected = [
        [
            "erd" if kind == "primary" else found.name,
            kind,
            points(found.base),
            points(found.champion),
            points(found.challenger),
            signed(found.difference),
            interval(found.low, found.high),
            points(margin),
            state,
            f"{found.items:,}",
        ]
        for found, kind, margin, state in lines
    ]
    assert in_html(report).tables["lines"][1:] == expected
    source = in_markdown(report)
    for name, *cells in expected:
        numbers = [*cells[:4], f"{cells[4]} {cells[5]}", *cells[6:]]
        assert f"| `{name}` | {' | '.join(numbers)} |" in source


def test_validity_and_exact_matches_are_the_means_of_the_stored_rows(store: Store) -> None:
    report = collect(store, fill(store))
    rows = store.versions.eval_rows(report.cycle.id)
    shown = {row[0]: row[4:] for row in in_html(report).tables["panels"][1:]}
    assert set(shown) == {"panel-erd", "legacy"}
    for suite, cells in shown.items():
        expected = []
        for metric in ("valid", "exact"):
            for version in ("artifacts@0", "artifacts@0", "artifacts@4"):
                scores = [
                    row.metrics[metric]
                    for row in rows
                    if (row.suite, row.version) == (suite, version)
                ]
                expected.append(points(sum(scores) / len(scores)))
        assert cells == expected
        assert len(set(expected)) > 2  # the sample tells the columns apart


def test_a_state_of_two_words_is_not_coloured_as_its_second_word() -> None:
    cells = [found for tag, found in in_html(reported()).elements if tag == "td"]
    classes = [str(found.get("class")) for found in cells]
    assert "not-worse" in classes
    assert "not worse" not in classes


def test_a_promotion_says_what_replaced_what_and_how_to_go_back() -> None:
    source = in_markdown(reported())
    assert headings(source)[0].endswith("Promoted: artifacts@4 replaces artifacts@0")
    assert "`honewheel rollback artifacts`: back to artifacts@0" in source
    assert "`honewheel trace artifacts@4`" in source
    assert "`honewheel explain evt_d0`" in source
    assert "+42.7 points, 95 % interval \\[+36.2, +49.1\\], on 174 held-out prompts" in source
    for reason in decision().reasons:
        assert f"- {reason}" in source


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("reject", "Rejected: artifacts@0 stays champion"),
        ("undecided", "Undecided: artifacts@0 stays champion"),
    ],
)
def test_a_refusal_says_who_stays_and_offers_no_rollback(verdict: str, words: str) -> None:
    source = in_markdown(reported(steps=5, verdict=verdict))
    assert headings(source)[0].endswith(words)
    assert "honewheel rollback" not in source
    assert '`honewheel promote artifacts@4 --force "REASON"`' in source


def test_simulated_sources_are_flagged_at_the_top_with_their_share() -> None:
    words = "150 of 285 examples trained on (52.6 %) come from simulated sources, not from people."
    for source in texts():
        assert 0 < source.index(words) < source.index("Tasks and guards")


def test_nothing_is_flagged_when_no_source_is_simulated() -> None:
    for source in texts(simulated=0):
        assert "simulated sources" not in source


def test_the_data_section_tells_counts_by_task_and_reasons_with_events() -> None:
    page = in_html(reported())
    assert page.tables["tasks"][1:] == [
        ["ddl", "0", "80", "0", "0"],
        ["erd", "205", "0", "35", "150"],
    ]
    assert [row[:2] for row in page.tables["dropped"][1:]] == [
        ["near-duplicate", "61"],
        ["low-value", "48"],
        ["held-out", "35"],
        ["quarantined", "3"],
    ]
    assert "evt_d0" in page.tables["dropped"][1][2]
    assert "similarity 0.94" in page.tables["dropped"][1][2]


def test_the_data_section_tells_copies_pairs_and_what_curation_decided() -> None:
    for page in (in_markdown(reported()), " ".join(in_html(reported()).text)):
        assert "12 of the rows are copies with other names" in page
        assert "7 preference pairs and 3 rated answers" in page
        assert "Half-life: 45 days" in page


def test_a_dataset_that_retention_removed_leaves_the_sums_and_says_why(store: Store) -> None:
    cycle = fill(store)
    store.files.gc(set())
    report = collect(store, cycle)
    page = in_html(report)
    assert "tasks" not in page.tables
    text = "".join(page.text)
    assert "1,412 events became 205 new examples" in text
    assert "there are none by task: Dataset" in text
    assert "there are none by task: Dataset" in in_markdown(report)


def test_training_shows_what_was_set_and_what_was_done() -> None:
    report = reported()
    page = in_html(report)
    assert ["learning_rate", "0.0002", "0.0001"] in page.tables["settings"]
    assert ["rank", "16", "–"] in page.tables["settings"]
    assert ["optimizer", "–", "AdamW"] in page.tables["settings"]
    text = "".join(page.text)
    assert "300 steps in 1 min 38 s" in text
    assert report.training is not None
    assert report.training.best_val is not None
    assert report.training.best_val.step == 300


def test_lineage_names_every_hash() -> None:
    report = reported()
    assert report.build is not None
    assert report.challenger is not None
    rows = dict(in_html(report).tables["lineage"])
    assert rows["dataset"] == report.build.dataset
    assert rows["files"] == report.challenger.files
    assert rows["base hash"] == "b" * 64
    assert rows["run"] == "run_01"
    assert rows["parent"] == "artifacts@0"
    assert rows["as of"] == "2025-11-20 09:30:00 UTC, sequence number 8,123"


def test_the_largest_changes_stand_side_by_side_with_prompt_and_reference() -> None:
    report = reported()
    changes = report.changes
    assert len(changes.improvements) == len(changes.losses) == 5
    gains = [change.difference for change in changes.improvements]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] == max(after - before for before, after in changes.scores)
    drops = [change.difference for change in changes.losses]
    assert drops[0] == min(after - before for before, after in changes.scores)
    source, text = texts()
    suites = set()
    for change in (*changes.improvements, *changes.losses):
        suites.add(change.suite)
        number = int(change.item.rpartition("-")[2])
        imported = change.suite == "legacy"
        assert change.prompt == (f"prompt {number}: " if imported else f"asked {number}: ")
        expected = f"reference {number}: " if imported else f"corrected {number}: "
        assert change.reference == expected
        for part in (change.prompt, expected, change.champion_output, change.challenger_output):
            assert part in text
            assert part in source
    assert suites == {"legacy", "panel-erd"}


def test_several_tasks_stand_below_their_mean_unless_they_are_guards_already(
    store: Store,
) -> None:
    report = collect(store, fill(store, steps=4, state="running"))
    erd, gherkin = comparison("erd", 0.4, 0.5, 0.2), comparison("gherkin", 0.4, 0.2, 0.05)
    found = replace(
        decision(), tasks=(erd, gherkin), primary=comparison("mean", 0.4, 0.35, 0.1), guards=()
    )
    store.versions.save_decision(report.cycle.id, found)
    lines = collect(store, report.cycle.id).lines
    assert [(line.kind, line.comparison.name, line.state) for line in lines] == [
        ("primary", "mean", "unclear"),
        ("task", "erd", "unclear"),
        ("task", "gherkin", "worse"),
    ]
    guard = GuardResult(comparison=erd, margin=0.03, state="not worse")
    store.versions.save_decision(report.cycle.id, replace(found, guards=(guard,)))
    lines = collect(store, report.cycle.id).lines
    assert [(line.kind, line.comparison.name) for line in lines] == [
        ("primary", "mean"),
        ("task", "gherkin"),
        ("guard", "erd"),
    ]


def test_a_verdict_without_any_comparison_is_still_a_report() -> None:
    bare = replace(decision("undecided"), primary=None, tasks=(), guards=(), reasons=("no items",))
    whole = reported(steps=5, verdict="undecided")
    report = replace(whole, decision=bare, lines=(), challenger=None)
    for source in (in_markdown(report), "".join(in_html(report).text)):
        assert "Undecided: artifacts@0 stays champion" in source
        assert "no items" in source


@pytest.mark.parametrize("steps", range(6))
def test_a_failed_cycle_says_how_far_it_got_and_why(steps: int) -> None:
    error = "The loss became NaN at step 40.\nLower train.learning_rate."
    names = ("finding the champion", "building the dataset", "training", "evaluation", "the gate")
    stage = (*names, "promotion")[steps]
    for source in texts(steps=steps, state="failed", verdict=None, error=error):
        assert f"Failed in {stage}" in source
        assert error in source
        assert "honewheel cycle artifacts" in source
        assert ("Data" in source) == (steps > 1)
        assert ("Last training loss" in source) == (steps > 2)
        assert ("Answers that changed" in source) == (steps > 3)
        assert ("Tasks and guards" in source) == (steps > 4)


def test_a_running_cycle_says_what_comes_next() -> None:
    for source in texts(steps=2, state="running"):
        assert "Not finished: training comes next" in source


def test_an_unknown_cycle_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="cyc-nowhere"):
        collect(store, "cyc-nowhere")


def test_hostile_texts_are_inert_in_html(hostile: ReportFiles) -> None:
    source = hostile.html.read_text()
    page = Page(source)
    assert {tag for tag, _ in page.elements} <= ALLOWED
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name in ("href", "action") for name in attributes)
        if tag == "img":
            assert str(attributes["src"]).startswith("data:image/png;base64,")
    assert clean(HOSTILE) in "".join(page.text)
    assert not set(source) & {chr(code) for code in range(32) if chr(code) not in "\n\t"}
    assert "\u202e" not in source


def test_hostile_texts_are_inert_in_markdown(hostile: ReportFiles) -> None:
    source = hostile.markdown.read_text()
    assert headings(source) == [
        "artifacts, cycle 4: Promoted: artifacts@4 replaces artifacts@0",
        *("Tasks and guards", "Validity and exact matches", "Answers that changed"),
        *("Largest improvements", "Largest losses", "Data", "Training", "Lineage", "Next steps"),
    ]
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)
    inline = [item for token in tokens for item in token.children or ()]
    assert "html_block" not in {token.type for token in tokens}
    assert not {"html_inline", "link_open"} & {item.type for item in inline}
    images = [str(item.attrs["src"]) for item in inline if item.type == "image"]
    assert images == [path.name for path in _in_reading_order(hostile)]
    fences = [token.content for token in tokens if token.type == "fence"]
    assert len(fences) == 4 * 10
    assert any(clean(HOSTILE) in content for content in fences)
    assert not set(source) & {chr(code) for code in range(32) if chr(code) not in "\n\t"}


def _in_reading_order(files: ReportFiles) -> list[Path]:
    return sorted(
        files.plots,
        key=lambda path: ("differences", "scores", "items", "feedback", "loss").index(
            path.stem.rpartition("-")[2]
        ),
    )


def test_the_page_needs_nothing_but_itself(hostile: ReportFiles) -> None:
    plain = html(reported(), {})
    assert "default-src 'none'; img-src data:;" in plain
    assert not re.search(r"(?i)<script|<link|<iframe|https?://|@import|url\(", plain)
    assert "prefers-color-scheme: dark" in plain
    assert 'name="viewport" content="width=device-width' in plain
    assert hostile.html.read_text().count('src="data:image/png;base64,') == len(hostile.plots) == 5


def test_a_report_is_its_two_texts_and_its_pictures_and_nothing_else(hostile: ReportFiles) -> None:
    assert {path.name for path in hostile.html.parent.iterdir()} == {
        *("artifacts-0004.md", "artifacts-0004.html", "artifacts-0004-differences.png"),
        *("artifacts-0004-scores.png", "artifacts-0004-items.png", "artifacts-0004-loss.png"),
        "artifacts-0004-feedback.png",
    }


def test_a_report_written_again_later_has_the_same_bytes(store: Store, tmp_path: Path) -> None:
    cycle = fill(store, steps=1, state="failed", verdict=None, error="no disk")
    first = write(collect(store, cycle), tmp_path / "reports")
    before = [first.markdown.read_bytes(), first.html.read_bytes()]
    assert write(collect(store, cycle), tmp_path / "reports") == first
    assert [first.markdown.read_bytes(), first.html.read_bytes()] == before
    assert first.plots == ()


def test_a_cycle_id_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    report = reported(steps=1, state="failed", verdict=None)
    odd = replace(report, cycle=replace(report.cycle, id="../../etc/cron"))
    assert write(odd, tmp_path / "reports").html == tmp_path / "reports" / "etc-cron.html"


def test_a_long_output_is_cut_and_says_so() -> None:
    for source in texts(output="x" * 9_000):
        assert "… 5,0" in source
        assert "x" * 4_001 not in source


def test_a_value_that_is_missing_is_an_error_and_not_an_empty_cell() -> None:
    report = reported()
    with pytest.raises(UndefinedError):
        html(replace(report, panels=(object(),)), {})  # type: ignore[arg-type]
