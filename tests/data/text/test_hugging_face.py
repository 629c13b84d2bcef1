"""The appendix for those online: by fakes of both packages, and by the packages themselves where they are installed."""

from __future__ import annotations

import importlib.util
import json
import sys
import types

import pytest
import torch

from course_lib.data import DataNotFound
from course_lib.data.text.hugging_face import HubEncoder, load_hub_texts

ROWS = [("A long report about football", 1), ("Shares fell again", 0), ("The match ended", 1), ("Banks earn more", 0)]


class Table:
    """What `datasets.load_dataset` gives, as far as it is used."""

    def __init__(self, rows):
        self.rows, self.column_names = rows, ["text", "label"]
        self.features = {"label": types.SimpleNamespace(names=["money", "sport"])}

    def __len__(self):
        return len(self.rows)

    def select(self, positions):
        return Table([self.rows[k] for k in positions])

    def __getitem__(self, column):
        return [row[self.column_names.index(column)] for row in self.rows]


@pytest.fixture
def hub(monkeypatch):
    """Both packages as fakes."""

    def load_dataset(name, split):
        if name == "not/there":
            raise ConnectionError("no network")
        return Table(ROWS)

    class Tokenizer:
        def __call__(self, texts, **options):
            longest = max(len(text.split()) for text in texts)
            mask = torch.tensor([[k < len(text.split()) for k in range(longest)] for text in texts]).long()
            return {"input_ids": mask * 7, "attention_mask": mask}

    class Model(torch.nn.Module):
        def forward(self, input_ids, attention_mask):
            hidden = torch.arange(input_ids.shape[1]).float()[None, :, None].expand(*input_ids.shape, 3)
            return types.SimpleNamespace(last_hidden_state=hidden)

    def found(value):
        def from_pretrained(name):
            if name == "not/there":
                raise OSError("no network")
            return value

        return types.SimpleNamespace(from_pretrained=from_pretrained)

    transformers = types.SimpleNamespace(AutoTokenizer=found(Tokenizer()), AutoModel=found(Model()))
    datasets = types.SimpleNamespace(load_dataset=load_dataset, __version__="fake")
    monkeypatch.setitem(sys.modules, "datasets", datasets)
    monkeypatch.setitem(sys.modules, "transformers", transformers)


def test_texts_of_the_hub_are_text_data(hub):
    news = load_hub_texts("made/news", n=3)
    assert len(news) == 3 and news.name == "news" and news.class_names == ("money", "sport")
    for words, label in zip(news.texts, news.labels.tolist(), strict=True):
        assert (words[:1].upper() + words[1:], label) in [(text, label) for text, label in ROWS]
    again = load_hub_texts("made/news", n=3)
    assert again.texts == news.texts and len(set(news.files)) == 3


def test_features_are_the_mean_over_the_words(hub):
    features = HubEncoder("made/model").features(["one two three", "one"], batch_size=2)
    assert features.tolist() == [[1.0] * 3, [0.0] * 3]
    assert HubEncoder("made/model").features(["one two three", "one"], batch_size=1).shape == (2, 3)


@pytest.mark.parametrize("load", [load_hub_texts, HubEncoder])
def test_without_a_connection_the_message_names_what_works_offline(hub, load):
    with pytest.raises(DataNotFound, match=r"no network.*runs offline.*load_docstrings"):
        load("not/there")


def test_a_column_that_is_not_there_is_named(hub):
    with pytest.raises(ValueError, match="has the columns text, label, not 'words'"):
        load_hub_texts("made/news", text="words")


@pytest.mark.parametrize(("load", "package"), [(load_hub_texts, "datasets"), (HubEncoder, "transformers")])
def test_without_the_package_the_message_says_how_to_get_it_and_what_works_without(monkeypatch, load, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataNotFound, match=rf"pip install {package}.*load_docstrings"):
        load()


installed = all(importlib.util.find_spec(name) for name in ("datasets", "transformers"))


@pytest.mark.skipif(not installed, reason="needs the packages datasets and transformers")
def test_a_local_folder_with_a_tiny_model_and_made_texts(tmp_path):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    (tmp_path / "texts").mkdir()
    lines = [json.dumps({"text": text, "label": ("money", "sport")[label]}) for text, label in ROWS]
    (tmp_path / "texts" / "train.jsonl").write_text("\n".join(lines))
    news = load_hub_texts(tmp_path / "texts")
    assert len(news) == 4 and news.class_names == ("money", "sport")

    words = sorted({word for text in news.texts for word in text.split()})
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "model")
    config = BertConfig(
        vocab_size=5 + len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(tmp_path / "model")
    encoder = HubEncoder(tmp_path / "model")
    features = encoder.features(news.texts)
    assert features.shape == (4, 8) and torch.allclose(encoder.features(news.texts[:1]), features[:1], atol=1e-5)
