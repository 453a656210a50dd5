"""A report on disk: Markdown beside its pictures, and one HTML file that needs nothing else.

What models and users wrote is treated as hostile: see `inert.py`. The HTML has no script and
loads nothing; its content policy forbids both.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from honewheel.atomic import write_file
from honewheel.report import numbers, words
from honewheel.report.collect import CycleReport
from honewheel.report.inert import Markdown, clean, code, escape_markdown, fence, shorten
from honewheel.report.plots import Plot, draw

_TEXT_LIMIT = 4000  # characters of one prompt or output; enough for an artifact of 100 lines


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where a report lies."""

    markdown: Path
    html: Path
    plots: tuple[Path, ...]


def write(report: CycleReport, out_dir: Path) -> ReportFiles:
    """Write `<cycle id>.md`, `.html` and the plots into `out_dir`; each file whole or not at all.

    Raises:
        MissingExtra: matplotlib is not installed.
        StoreFull: no space left.
    """
    stem = _slug(report.cycle.id)
    plots = {plot.name: plot for plot in draw(report)}
    places = {name: out_dir / f"{stem}-{name}.png" for name in plots}
    for name, plot in plots.items():
        write_file(places[name], plot.png)
    files = ReportFiles(out_dir / f"{stem}.md", out_dir / f"{stem}.html", tuple(places.values()))
    write_file(files.markdown, markdown(report, plots, stem).encode())
    write_file(files.html, html(report, plots).encode())
    return files


def markdown(report: CycleReport, plots: Mapping[str, Plot], stem: str) -> str:
    """The report as Markdown that refers to `<stem>-<plot>.png` beside it."""
    sources = {name: f"{stem}-{name}.png" for name in plots}
    return _render(_markdown_environment(), "report.md.jinja", report, plots, sources)


def html(report: CycleReport, plots: Mapping[str, Plot]) -> str:
    """The report as one HTML page with its plots inside."""
    sources = {
        name: f"data:image/png;base64,{base64.b64encode(plot.png).decode()}"
        for name, plot in plots.items()
    }
    return _render(_html_environment(), "report.html.jinja", report, plots, sources)


def _render(
    environment: Environment,
    template: str,
    report: CycleReport,
    plots: Mapping[str, Plot],
    sources: Mapping[str, str],
) -> str:
    return environment.get_template(template).render(
        report=report, words=words, plots=plots, sources=sources
    )


def _html_environment() -> Environment:
    """Every expression is cleaned, then escaped; only macros' own output is passed as it is."""
    environment = _environment(autoescape=True, finalize=_visible)
    environment.filters |= _numbers(str)
    return environment


def _markdown_environment() -> Environment:
    """Every expression is escaped unless a filter made Markdown of it."""
    environment = _environment(autoescape=False, finalize=_escaped)
    environment.filters |= _numbers(Markdown)
    environment.filters |= {"code": code, "fence": fence, "asis": Markdown}
    return environment


def _environment(*, autoescape: bool, finalize: Callable[[Any], Any]) -> Environment:
    environment = Environment(
        loader=PackageLoader("honewheel.report"),
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["setting"] = numbers.setting
    environment.filters["shorten"] = lambda text: shorten(text, _TEXT_LIMIT)
    return environment


def _visible(value: Any) -> Any:
    return clean(value) if type(value) is str else value  # Markup is a str that is HTML already


def _escaped(value: Any) -> Markdown:
    return value if isinstance(value, Markdown) else escape_markdown(str(value))


def _numbers(kind: type[str]) -> dict[str, Callable[..., str]]:
    """The number filters; for Markdown their output needs no escaping ("+4.2" starts no list)."""
    found: Sequence[Callable[..., str]] = (
        numbers.points,
        numbers.signed,
        numbers.interval,
        numbers.count,
        numbers.share,
        numbers.duration,
        numbers.percent,
        numbers.moment,
    )
    return {function.__name__: _as(kind, function) for function in found}


def _as(kind: type[str], function: Callable[..., str]) -> Callable[..., str]:
    return lambda *values: kind(function(*values))


def _slug(name: str) -> str:
    """`name` as part of a file name: letters, digits, dots and dashes, no leading dot."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".-") or "cycle"
