"""Where a base comes from, what it hashes to, and what is refused before it is loaded."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from honewheel.errors import Damaged, NotFound, UnsafeModel
from honewheel.families import weights
from honewheel.families.causal_lm import base
from honewheel.families.causal_lm.family import CausalLM


@pytest.fixture
def copy(llama: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llama, tmp_path / "base"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_importing_the_family_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, honewheel.families.causal_lm.family as f; f.CausalLM().ranges('lora');"
        "print(sorted({'torch', 'transformers', 'peft', 'tokenizers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_resolves_to_itself_with_a_hash_that_any_weight_byte_changes(copy: Path) -> None:
    folder, before = CausalLM().resolve(str(copy))
    assert folder == copy
    assert base.resolve(str(copy))[1] == before
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert base.resolve(str(copy))[1] != before


def test_the_hash_follows_tokenizer_and_template_but_not_a_readme(copy: Path) -> None:
    before = base.resolve(str(copy))[1]
    (copy / "README.md").write_text("# A base")
    assert base.resolve(str(copy))[1] == before
    (copy / "chat_template.jinja").write_text("{{ messages[0].content }}")
    assert base.resolve(str(copy))[1] != before


def test_the_embedded_base_is_looked_for_inside_the_package() -> None:
    assert base.locate("honewheel/tiny").parts[-3:] == ("honewheel", "models", "tiny")


def test_a_hub_name_comes_from_the_local_cache(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = tmp_path / "models--house--small"
    shutil.copytree(llama, cached / "snapshots" / ("a" * 40))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert base.resolve("house/small") == (
        cached / "snapshots" / ("a" * 40),
        base.resolve(str(llama))[1],
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("house/absent", "hf download house/absent"),
        ("./absent", "There is no folder ./absent"),
        ("/absent/base", "There is no folder /absent/base"),
    ],
)
def test_a_missing_base_says_how_to_get_it(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(NotFound, match=told):
        base.resolve(name)


@pytest.mark.parametrize("absent", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_incomplete_folder_names_what_it_lacks(copy: Path, absent: str) -> None:
    (copy / absent).unlink()
    with pytest.raises(NotFound, match=r"safetensors" if "model" in absent else absent):
        base.resolve(str(copy))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "x.ckpt"])
def test_pickle_weights_are_refused_without_being_read(copy: Path, name: str) -> None:
    marker = copy / "executed"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (marker,))

    (copy / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UnsafeModel, match=name):
        base.resolve(str(copy))
    with pytest.raises(UnsafeModel, match=name):
        CausalLM().open(str(copy), None)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("file", "changes", "key"),
    [
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}, "auto_map"),
        ("config.json", {"_attn_implementation_internal": "evil/repo"}, "_internal"),
        ("config.json", {"text_config": {"deep": [{"auto_map": {"A": "b"}}]}}, "auto_map"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.T", None]}}, "auto_map"),
    ],
)
def test_a_config_that_runs_code_is_refused(
    copy: Path, file: str, changes: dict[str, object], key: str
) -> None:
    edit(copy / file, **changes)
    with pytest.raises(UnsafeModel, match=key):
        base.resolve(str(copy))


def test_unreadable_config_and_weights_are_named(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(Damaged, match=r"model\.safetensors is no readable safetensors file"):
        weights.tensor_shapes(copy)
    (copy / "config.json").write_text("{")
    with pytest.raises(Damaged, match=r"config\.json cannot be read as JSON"):
        base.resolve(str(copy))


def test_weights_that_do_not_fit_their_config_are_refused_not_reinitialised(copy: Path) -> None:
    edit(copy / "config.json", num_hidden_layers=3)
    with pytest.raises(Damaged, match="tensors are missing"):
        CausalLM().open(str(copy), None)


def test_shapes_are_read_from_the_header(bases: Callable[[str], Path]) -> None:
    shapes = weights.tensor_shapes(bases("llama"))
    assert shapes["model.embed_tokens.weight"] == (264, 64)
    assert shapes["model.layers.1.mlp.down_proj.weight"] == (64, 128)
