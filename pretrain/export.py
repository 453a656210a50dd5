"""Writes a model as a complete Hugging Face folder."""

import copy
import os
import shutil
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def export_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Export bf16 weights, configuration and tokenizer; files the folder has besides stay."""
    staging = folder.with_name(f".{folder.name}.staging")
    shutil.rmtree(staging, ignore_errors=True)
    halved = copy.deepcopy(model).to(torch.bfloat16)
    halved.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    halved.save_pretrained(staging, safe_serialization=True)
    tokenizer.save_pretrained(staging)
    folder.mkdir(parents=True, exist_ok=True)
    for path in staging.iterdir():
        path.chmod(0o644)
        os.replace(path, folder / path.name)
    staging.rmdir()
