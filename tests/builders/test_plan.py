"""What can be known of a build is said before it is paid for, and what was paid for is not made anew without a word."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from images_server import ImagesServer
from lmm_server import Fault, LmmServer
from PIL import Image

from fashionedit.cli import main

PHOTOGRAPHS = 6


@pytest.fixture
def lmm() -> Iterator[LmmServer]:
    with LmmServer() as server:
        yield server


@pytest.fixture
def images() -> Iterator[ImagesServer]:
    with ImagesServer() as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "caption", "legend", "item_id"])
        for number in range(PHOTOGRAPHS):
            Image.effect_noise((96, 128), 40 + number).convert("RGB").save(folder / f"p{number}.png")
            table.writerow([f"p{number}.png", f"A coat, number {number}.", f"A dress {number}.", f"G{number // 2}"])
    return folder


class Shop:
    """The build command with its photographs and both services."""

    def __init__(self, source: Path, images: ImagesServer, lmm: LmmServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.source, self.images, self.lmm, self.capsys = source, images, lmm, capsys
        self.out = source.parent / "set"

    @property
    def calls(self) -> int:
        return self.images.calls.total() + self.lmm.calls

    def build(self, *more: str, at_openai: bool = False) -> tuple[int, str]:
        """Returns the exit code and all that was printed."""
        self.capsys.readouterr()
        arguments = [
            *("build", "--source", str(self.source), "--out", str(self.out), "--quiet", "--encoder", "offline"),
            *("--drafts", "openai:toy", "--draft", f"base_url={self.images.url}", "--min-similarity", "none"),
            *("--model", "toy-lmm", *([] if at_openai else ["--base-url", self.lmm.url]), *more),
        ]
        code: int | str | None = 0
        try:
            main(arguments)
        except SystemExit as stop:
            code = stop.code
        printed = self.capsys.readouterr()
        assert isinstance(code, int)
        return code or 0, printed.out + printed.err


@pytest.fixture
def shop(
    source: Path,
    images: ImagesServer,
    lmm: LmmServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return Shop(source, images, lmm, capsys)


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--encoder", "klip"], "no encoder is called 'klip'"),
        (["--encoder", "clip:nowhere"], "names no folder"),
        (["--min-similarity", "101"], "-100..100"),
        (["--drafts", "folder:photos"], "take no base_url"),
        (["--drafts", "openai:"], "makes drafts"),
        (["--draft", "colour=red"], "take no colour"),
        (["--split", "VALIDATION"], "the source does not have, such as stranger"),
        (["--selection", "SELECTION"], "names no photograph of the source"),
        (["--again", "paint"], "no stage 'paint' can be made again"),
        (["--work", "INSIDE"], "lie apart"),
        (["--retry", "one-color image"], "one-colour image, refused, safety filter, or dropped"),
    ],
)
def test_what_can_be_known_is_said_before_paying(shop: Shop, more: list[str], says: str, dry: list[str]) -> None:
    places = {name: shop.source.parent / name.lower() for name in ("VALIDATION", "SELECTION")}
    places["VALIDATION"].write_text("p0\nstranger\n")
    places["SELECTION"].write_text('{"stranger.png": "91.0"}')
    places["INSIDE"] = shop.out / "work"
    code, printed = shop.build(*(str(places.get(word, word)) for word in more), *dry)
    assert (code, shop.calls) == (2, 0)
    assert says in printed
    assert not shop.out.exists()
    if (work := shop.out.with_name("set.build")).exists():
        assert any(work.glob("photos/records/*/*"))  # what was begun, and never a folder with its mark alone


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_the_key_and_the_model_of_the_analysis_are_checked_before_drafts_are_paid_for(
    shop: Shop, dry: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LmmServer(models=("other-lmm",), key="right") as server:
        shop.lmm = server
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        code, printed = shop.build(*dry)
        assert (code, shop.calls) == (2, 0)
        assert "does not accept the key" in printed
        monkeypatch.setenv("OPENAI_API_KEY", "right")
        code, printed = shop.build(*dry)
        assert (code, shop.calls) == (2, 0)
        assert "does not have the model toy-lmm" in printed
        assert "--model" in printed
        assert shop.build("--model", "other-lmm", *dry)[0] == 0
    monkeypatch.delenv("OPENAI_API_KEY")
    shop.out = shop.out.with_name("another")
    code, printed = shop.build(*dry, at_openai=True)
    assert (code, shop.images.calls.total()) == (2, 0 if dry else PHOTOGRAPHS)
    assert "there is no key; set OPENAI_API_KEY" in printed


def test_an_analysis_service_that_is_not_there_stops_a_build_before_drafts_are_paid_for(shop: Shop) -> None:
    nowhere = ("--base-url", "http://127.0.0.1:9/v1")
    code, printed = shop.build(*nowhere)
    assert (code, shop.calls) == (2, 0)
    assert "the connection to 127.0.0.1:9 broke" in printed
    assert "check --base-url" in printed
    assert shop.build(*nowhere, "--dry-run")[0] == 0  # a plan needs no network


def test_other_captions_are_paid_for_with_consent_only(shop: Shop) -> None:
    assert shop.build("--column", "caption=legend")[0] == 0
    paid = shop.calls
    for dry in ([], ["--dry-run"]):
        code, printed = shop.build(*dry)  # a forgotten --column
        assert code == 2
        assert f"{PHOTOGRAPHS} photographs, such as p0, have drafts that were made of another caption" in printed
        assert "--again generate" in printed
    code, printed = shop.build("--again", "generate")
    assert code == 2
    assert "have answers" in printed
    assert shop.calls == paid

    code, printed = shop.build("--again", "generate,analyse", "--dry-run", "--json")
    calls = {line["stage"]: line["calls"] for line in json.loads(printed)["stages"]}
    assert (calls["generate"], calls["analyse"]) == (PHOTOGRAPHS, PHOTOGRAPHS)
    assert shop.build("--again", "generate,analyse")[0] == 0
    assert shop.calls == 2 * paid
    assert shop.build("--column", "caption=legend")[0] == 0  # the old drafts and answers were kept
    assert shop.build()[0] == 0
    assert shop.calls == 2 * paid


def test_another_model_is_paid_for_with_consent_only(shop: Shop) -> None:
    assert shop.build()[0] == 0
    before = shop.lmm.calls
    code, printed = shop.build("--model", "other-lmm")
    assert (code, shop.lmm.calls) == (2, before)
    assert "--again analyse" in printed
    code, printed = shop.build("--model", "other-lmm", "--again", "analyse", "--dry-run", "--json")
    assert [line["calls"] for line in json.loads(printed)["stages"] if line["stage"] == "analyse"] == [PHOTOGRAPHS]
    assert shop.build("--model", "other-lmm", "--again", "analyse")[0] == 0
    assert shop.lmm.calls == 2 * before


def test_another_number_in_validation_is_said_and_made_with_consent(shop: Shop) -> None:
    code, printed = shop.build("--validation", "2")
    assert code == 0
    assert "2 validation" in printed
    code, printed = shop.build("--validation", "4")
    assert code == 2
    assert "--again split" in printed
    code, printed = shop.build("--validation", "4", "--again", "split")
    assert code == 0
    assert "4 validation" in printed


def test_the_card_and_the_provenance_name_the_models_that_answered(shop: Shop) -> None:
    assert shop.build()[0] == 0
    card = (shop.out / "README.md").read_text()
    assert f"| differences | toy-lmm-2026-11-24 ({PHOTOGRAPHS}), asked for as toy-lmm, prompt paper" in card
    made = json.loads((shop.out / "provenance.json").read_text())
    (answers,) = made["differences"]
    assert (answers["asked"], answers["answered"], answers["samples"]) == ("toy-lmm", "toy-lmm-2026-11-24", PHOTOGRAPHS)
    assert answers["host"] == made["drafts"][0]["host"] == "127.0.0.1"
    assert len(answers["prompt_sha256"]) == 64
    assert len(answers["dates"]) == 2
    (drafts,) = made["drafts"]
    assert (drafts["model"], drafts["samples"], made["base_seed"]) == ("toy", PHOTOGRAPHS, 0)


def test_an_item_with_several_photographs_is_a_garment(shop: Shop) -> None:
    code, printed = shop.build("--validation", "2")
    assert code == 0
    assert "Garments in both splits: none." in printed
    validation = json.loads((shop.out / "split.json").read_text())["validation"]
    assert len(validation) == 1
    assert validation[0] in ("G0", "G1", "G2")


def test_unknown_garments_are_not_called_none(shop: Shop) -> None:
    table = shop.source / "metadata.csv"
    table.write_text(table.read_text().replace("item_id", "cupboard"))
    code, printed = shop.build()
    assert code == 0
    assert "Garments in both splits: not known, because no photograph says which garment it shows." in printed
    assert "--column garment_id=COLUMN" in printed
    assert "none." not in printed.split("Equal pictures")[0]
    assert "not known, because" in (shop.out / "README.md").read_text()


def test_a_photograph_of_one_colour_is_no_sample(shop: Shop) -> None:
    Image.new("RGB", (96, 128), (10, 10, 10)).save(shop.source / "p0.png")
    Image.new("RGB", (96, 128)).save(shop.source / "p1.png")
    code, printed = shop.build()
    assert code == 0
    assert "one-colour image: 1" in printed
    assert "black image: 1" in printed
    assert shop.lmm.calls == PHOTOGRAPHS - 2


@pytest.mark.parametrize(("stage", "inner"), [("generate", "records"), ("generate", "files"), ("analyse", "records")])
def test_nothing_is_paid_for_where_it_could_not_be_kept(shop: Shop, stage: str, inner: str) -> None:
    assert shop.build("--only", "photos")[0] == 0
    folder = shop.source.parent / "set.build" / stage
    folder.mkdir()
    (folder / inner).write_text("a file in the place of a folder")
    for _ in range(2):
        code, printed = shop.build()
        paid = shop.images.calls.total() if stage == "generate" else shop.lmm.calls
        assert (code, paid) == (2, 0), printed
        assert str(folder / inner) in printed


def test_a_stop_for_a_common_failure_comes_with_more_calls_than_a_part_has_pairs(shop: Shop) -> None:
    with (shop.source / "metadata.csv").open("a", newline="") as file:
        table = csv.writer(file)
        for number in range(PHOTOGRAPHS, 50):
            Image.effect_noise((96, 128), 40 + number).convert("RGB").save(shop.source / f"p{number}.png")
            table.writerow([f"p{number}.png", f"A coat, number {number}.", "", f"G{number}"])
    with LmmServer(lambda call: Fault(refusal="I can't help with people.")) as server:
        shop.lmm = server
        code, printed = shop.build("--concurrency", "32")
        assert (code, server.calls) == (2, 32), printed
        assert "the first 32 pairs all ended the same way: refused" in printed
