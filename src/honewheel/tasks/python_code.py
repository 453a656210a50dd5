"""Python code: valid means that Python compiles it and that it is more than scaffolding.

The code is parsed and compiled, never run. What counts as Python is what the interpreter that
honewheel runs on accepts. One Markdown block around the whole code is unwrapped, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from honewheel.errors import ParseError
from honewheel.records import Check, Fact, Finding, digest
from honewheel.tasks.facts import Refused, compare, judged, parse_error
from honewheel.tasks.python_facts import facts
from honewheel.tasks.python_scaffolding import findings
from honewheel.tasks.python_shape import canonical
from honewheel.tasks.python_source import Source, read


class PythonCode:
    kind = "python-code"
    version = "python-code/1"

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """Errors for what does not compile or does nothing; warnings for gaps and stubs."""
        try:
            return judged([*_found(read(output))])
        except Refused as refused:
            return judged([refused.finding])

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """See `python_facts`."""
        source = _source(output)
        try:
            return facts(source.tree)
        except RecursionError as error:
            raise ParseError("nested too deeply") from error

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash of the code without docstrings, comments, layout, names of locals, and the order
        of imports and of definitions in the module and in classes. See `python_shape`.
        """
        source = _source(output)
        try:
            return digest(canonical(source.tree))
        except RecursionError as error:
            raise ParseError("nested too deeply") from error

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """See `honewheel.tasks.facts.compare`."""
        return compare(self, output, reference, context)


def _source(output: str) -> Source:
    try:
        return read(output)
    except Refused as refused:
        raise parse_error(refused.finding) from refused


def _found(source: Source) -> Iterator[Finding]:
    if source.fenced:
        message = "the code stands in a Markdown block; the code alone is expected"
        yield Finding(code="code-fence", message=message, severity="warning", line=1)
    yield from findings(source.tree, source.code)
