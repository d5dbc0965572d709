"""Tiny cross-encoders, made on the spot: no real one is to be had as a package."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.embedders.conftest import LETTERS, WORDS

LONGEST = 32


def save_cross_encoder(folder: Path, base: Path, *, labels: int = 1, activation: str = "Identity") -> Path:
    """Save a BERT of random weights that reads 32 tokens, as sentence-transformers does."""
    import torch
    from sentence_transformers import CrossEncoder
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    wrap: Any = PreTrainedTokenizerFast  # which is not typed
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    wrap(tokenizer_object=tokenizer, model_max_length=LONGEST, **names).save_pretrained(base)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LONGEST,
        initializer_range=0.5,
    )
    config.num_labels = labels
    BertForSequenceClassification(config).save_pretrained(base)
    kind = getattr(torch.nn, activation)
    CrossEncoder(str(base), device="cpu", activation_fn=kind()).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def cross_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of one label, saved by sentence-transformers. Read-only."""
    return save_cross_encoder(tmp_path_factory.mktemp("cross") / "tiny", tmp_path_factory.mktemp("base"))


@pytest.fixture
def copy_of_cross(cross_folder: Path, tmp_path: Path) -> Path:
    """A copy of the cross-encoder to spoil."""
    return Path(shutil.copytree(cross_folder, tmp_path / "copy"))
