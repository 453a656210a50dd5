"""Settings go back into honewheel.toml, and its comments stay."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from honewheel.errors import ConfigError
from honewheel.loop import written


def test_values_are_set_with_their_comment_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "honewheel.toml"
    file.write_text('# ours\n[models.a]\nbase = "x"  # why\n\n[curate]\nseed = 1\n')
    changes = {"models.a.train.rank": 32, "models.a.train.learning_rate": 0.002, "curate.seed": 2}
    assert written.write(tmp_path, changes, "found") == [
        "models.a.train.rank = 32",
        "models.a.train.learning_rate = 0.002",
        "curate.seed = 2",
    ]
    text = file.read_text()
    assert "# ours" in text
    assert "# why" in text
    assert "rank = 32 # found" in text
    found = tomllib.loads(text)
    assert found["models"]["a"] == {"base": "x", "train": {"rank": 32, "learning_rate": 0.002}}
    assert found["curate"] == {"seed": 2}


def test_nothing_to_change_leaves_the_file_alone_and_no_file_is_an_error(tmp_path: Path) -> None:
    assert written.write(tmp_path, {}) == []
    with pytest.raises(ConfigError, match="cannot be changed"):
        written.write(tmp_path, {"curate.seed": 2})
