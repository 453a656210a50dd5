"""Verbs for what an embedding model is used for: vectors, an index, neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from honewheel import plugins
from honewheel.errors import ConfigError, Damaged, InputError
from honewheel.loop import registry
from honewheel.protocols import Embedding
from honewheel.records import Progress, Version
from honewheel.wheel.base import Opened, nobody

if TYPE_CHECKING:
    from honewheel.export.index import Built, Maker, Neighbour, Vectors


class Embedded(Opened):
    """Vectors of a version, and an index of them that follows the champion."""

    @contextmanager
    def vectors(self, version: str) -> Iterator[Embedding]:
        """A version open to embed texts: `with wheel.vectors("tickets") as m: m.embed(texts)`.

        "tickets" is the champion, "tickets@3" a version. Raises NotFound, ConfigError (its family
        makes no vectors), Damaged, MissingExtra.
        """
        found = self._made_by(version)
        family = plugins.family(self.config.model(found.model)[1].family)
        folder = self.store.files.verify(found.files) if found.files else None
        with family.open(found.base, folder) as model:
            if not isinstance(model, Embedding):
                raise ConfigError(
                    f"{found.model} is of the family {family.name}, which makes no vectors. Name a "
                    "model whose family is embedding."
                )
            yield model

    def embed(
        self,
        version: str,
        path: str | Path,
        out: str | Path,
        *,
        on_progress: Callable[[Progress], None] = nobody,
    ) -> Built:
        """Index the texts of a file in the folder `out`: vectors, texts, and who made them.

        Texts that are in the index already, by this version, are not embedded again; a build that
        was stopped goes on. Raises InputError, ConfigError, NotFound.
        """
        from honewheel.export import index, rows

        source = Path(path)
        if not source.is_file():
            raise InputError(f"There is no file {source}.")
        total = sum(1 for _ in rows.read(source))  # it is readable to its end, before any work
        with self.vectors(version) as model:
            maker = _maker(self._made_by(version))
            return index.build(rows.read(source), model, maker, Path(out), on_progress, total)

    def reindex(
        self,
        out: str | Path,
        version: str | None = None,
        *,
        on_progress: Callable[[Progress], None] = nobody,
    ) -> Built:
        """Embed the texts of an index anew, by the champion of the model that made it.

        The index stays as it is until the new vectors are complete; a run that was stopped goes
        on. Raises NotFound, ConfigError (vectors of another length), Damaged.
        """
        from honewheel.export import index

        folder = Path(out)
        there = index.read(folder)
        wanted = version or there.version.partition("@")[0]
        with self.vectors(wanted) as model:
            maker = _maker(self._made_by(wanted))
            return index.build(index.rows(folder), model, maker, folder, on_progress, there.texts)

    def search_similar(
        self,
        text: str,
        out: str | Path,
        *,
        most: int = 10,
        by: Callable[[Version, str], Vectors] | None = None,
    ) -> list[Neighbour]:
        """The texts of an index nearest to `text` with their cosines, the nearest first.

        `text` is embedded by the version that made the index; `by` does so where that version is
        loaded already, and gives a vector [d] of length one. An index that is exchanged meanwhile
        is searched anew. Raises NotFound, InputError, ConfigError (that version is not what it
        was), Damaged.
        """
        from honewheel.export import index

        if not text.strip():
            raise InputError("The text to look for is empty.")
        folder = Path(out)
        while True:
            made = self._made_index(folder)
            vector = (by or self._vector)(made, text)
            try:
                found = index.search(folder, vector, most)
            except Damaged:
                if index.read(folder).version == made.name:
                    raise
                continue
            if index.read(folder).version == made.name:
                return found

    def _vector(self, version: Version, text: str) -> Vectors:
        with self.vectors(version.name) as model:
            found: Vectors = model.embed([text])[0]
        return found

    def _made_index(self, folder: Path) -> Version:
        """The version that made an index, as it is here."""
        from honewheel.export import index

        there = index.read(folder)
        version = self._made_by(there.version)
        made = _maker(version)
        if (made.files, made.base_hash) != (there.files, there.base_hash):
            raise ConfigError(
                f"The index in {folder} was made by {there.version} with {there.files[:12]}, which "
                f"here is {made.files[:12]}: it belongs to another project. Embed the texts again."
            )
        return version

    def _made_by(self, name: str) -> Version:
        """The version called `name`; a model that was never trained has its base as champion."""
        model = name.partition("@")[0]
        if model in self.config.settings.models:
            registry.ensure_champion(self.store, self.config, model, self.clock())
        return registry.find(self.store, self.config, name)


def _maker(version: Version) -> Maker:
    from honewheel.export.index import Maker

    return Maker(
        version=version.name,
        files=version.files or version.base_hash,
        base=version.base,
        base_hash=version.base_hash,
    )
