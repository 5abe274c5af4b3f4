from __future__ import annotations

import pytest
import yaml

from fashionedit.card import SplitSize, card_text, data_files, read_card
from fashionedit.errors import InvalidDataError
from fashionedit.schema import COLUMNS

SIZES = {"train": SplitSize(1000, 5_000_000), "validation": SplitSize(12, 60_000)}


def _head(card):
    _, front, body = card.split("---\n", 2)
    return yaml.safe_load(front), body


def test_head_holds_files_columns_and_sizes():
    head, body = _head(card_text("Toys: a “set”", SIZES, licence="cc0-1.0"))
    assert head["configs"] == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "train", "path": "data/train-*.parquet"},
                {"split": "validation", "path": "data/validation-*.parquet"},
            ],
        }
    ]
    assert [column["name"] for column in head["dataset_info"]["features"]] == list(COLUMNS)
    assert [(split["name"], split["num_examples"]) for split in head["dataset_info"]["splits"]] == [
        ("train", 1000),
        ("validation", 12),
    ]
    assert (head["pretty_name"], head["license"]) == ("Toys: a “set”", "cc0-1.0")
    assert head["size_categories"] == ["1K<n<10K"]
    assert "control" not in body


def test_page_states_columns_box_convention_loading_and_licence():
    _, body = _head(card_text("Toys", SIZES))
    for column in COLUMNS:
        assert f"`{column}`" in body
    assert "[ymin, xmin, ymax, xmax]" in body
    assert "0..1000" in body
    assert "load_dataset(" in body
    assert "No licence is stated" in body
    assert "| `validation` | 12 |" in body


def test_a_control_set_says_so_first():
    head, body = _head(card_text("Toys", SIZES, control_set=True, renderer="toys 1", licence_note="Ours."))
    assert "control-set" in head["tags"]
    assert body.index("This is a control set") < body.index("## Columns")
    assert "toys 1" in body
    assert body.rstrip().endswith("Ours.")


def test_a_title_can_not_break_the_head():
    head, body = _head(card_text("a\n---\nlicense: mit\n# {b}", SIZES))
    assert head["pretty_name"] == "a --- license: mit # {b}"
    assert body.startswith("\n# a --- license: mit # {b}\n")
    assert "license" not in head


def test_files_by_their_usual_names():
    names = ["data/validation-00000-of-00002.parquet", "data/validation-00001-of-00002.parquet", "data/test-0.parquet"]
    assert data_files(None, reversed(names), place="it") == {"validation": names[:2]}
    assert data_files("# no head", ["val.parquet", "train-0.parquet"], place="it") == {
        "train": ["train-0.parquet"],
        "validation": ["val.parquet"],
    }
    assert data_files(None, [], place="it") == {}


CONFIGS = """---
configs:
- config_name: annotations
  data_files:
  - {split: train, path: annotations/*.parquet}
- config_name: default
  data_files:
  - {split: val, path: [./full/a.parquet, "full/b*.parquet"]}
  - {split: test, path: full/test.parquet}
---
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_files_by_the_cards_default_configuration(newline):
    names = ["annotations/x.parquet", "full/a.parquet", "full/b1.parquet", "full/c.parquet", "data/train-0.parquet"]
    card = CONFIGS.replace("\n", newline)
    assert data_files(card, names, place="it") == {"validation": ["full/a.parquet", "full/b1.parquet"]}


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (CONFIGS, "it/README.md names ./full/a.parquet|names full/a.parquet"),
        ("---\nconfigs: [\n---\n", "it/README.md has YAML that can't be read"),
        ("---\nconfigs:\n- data_files:\n  - train\n---\n", "data_files without split and path"),
        ("---\nconfigs:\n- data_files:\n  - {split: train, path: ../x.parquet}\n---\n", r"names \.\./x"),
    ],
)
def test_a_card_that_does_not_fit_is_named(card, message):
    with pytest.raises(InvalidDataError, match=message):
        data_files(card, ["data/train-0.parquet"], place="it")


@pytest.mark.parametrize(
    "head", ["configs: 3", "5", "- a", "configs: []", "license: mit", "", "configs: [3, [6]]", "d: 2001-99-99", "n: 0x"]
)
def test_a_card_without_configurations_is_as_none(head):
    assert data_files(f"---\n{head}\n---\n", ["data/train-0.parquet"], place="it") == {
        "train": ["data/train-0.parquet"]
    }


_LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join(['*' + before] * 9)}]\n"
    for before, after in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "head",
    [
        _LAUGHS + "configs: [{config_name: default, data_files: [{split: *j, path: *j}]}]",
        "configs: [{config_name: default, data_files: 5}]",
        "configs: [{config_name: default, data_files: [{split: 5}]}]",
        "configs: [{config_name: default, data_files: [{split: train, path: {a: b}}]}]",
        "configs: [{config_name: default, data_files: [{split: [train], path: x}]}]",
        "configs: [{config_name: default, data_files: 'train.parquet'}]",
        "configs: " + "[" * 5_000,
        "a: " + "x" * 300_000,
        "configs: [{config_name: default, data_files: [{split: train, path: [" + "x, " * 1_001 + "x]}]}]",
    ],
)
@pytest.mark.timeout(30)
def test_a_hostile_head_is_one_sentence(head):
    with pytest.raises(InvalidDataError, match=r"set/README\.md"):
        data_files(f"---\n{head}\n---\n", ["data/train-0.parquet"], place="set")


def test_a_card_is_read_in_bounds(tmp_path):
    assert read_card(tmp_path) is None
    (tmp_path / "README.md").write_bytes(b"\xff text")
    assert read_card(tmp_path) == "\ufffd text"
    with (tmp_path / "README.md").open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(InvalidDataError, match="more than the 4,000,000 bytes"):
        read_card(tmp_path)
