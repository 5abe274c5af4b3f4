"""Publishing with the real client to a Hub on loopback, each time in a process of its own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
from dataclasses import replace

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hub_server import HubServer
from PIL import Image, PngImagePlugin
from publishing_toys import (
    caption,
    encode,
    identity,
    photographs,
    picture,
    python,
    sample,
    toy_sketch,
    write_full,
    write_photographs,
)

from fashionedit.annotations_form import write_annotations
from fashionedit.builders.publish.dataset import publish_dataset
from fashionedit.cli import main
from fashionedit.errors import InvalidDataError
from fashionedit.folder import FashionEditFolder, open_folder
from fashionedit.images import EncodedImage, pixel_digest

# the Hub's own client sends large files in a way that its HTTP library has another name for by now
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAME = "some-org/fashion-set"
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8")


@pytest.fixture
def hub():
    with HubServer(lfs_from=20_000) as server:
        yield server


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return write_full(tmp_path_factory.mktemp("full") / "toys", files={"eval.yaml": b"name: toys\n"})


def publish(hub, home, *arguments):
    return python("publish", *map(str, arguments), "--quiet", environment=hub.environment(), home=home)


@pytest.fixture
def here(hub, tmp_path, monkeypatch):
    """Gives the command in this process, with the real client turned to the Hub on loopback."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("FASHIONEDIT_CACHE", str(tmp_path / "cache"))

    def run(*arguments, token="hf_tester", endpoint=hub.url, offline=False):
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        environment = {"HF_TOKEN": token}  # None takes it away
        done = CliRunner(env=environment).invoke(main_command, ["publish", *map(str, arguments), "--quiet"])
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def main_command(arguments):
    main(arguments)


def sentence(done):
    assert done.returncode == 2, done.stderr + done.stdout
    assert done.stderr.startswith("fashionedit: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def left_behind(home):
    return [path for path in (home / "cache").rglob("*") if path.is_file()] if (home / "cache").exists() else []


def dhash(image):
    """Another perceptual hash than the guard's: whether each part is lighter than the one to its right."""
    grey = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.LANCZOS), np.int16)
    return grey[:, 1:] > grey[:, :-1]


def pictures_in(data):
    """Yields every picture that the bytes hold, wherever it starts."""
    for signature in SIGNATURES:
        place = data.find(signature)
        while place >= 0:
            try:
                with Image.open(io.BytesIO(data[place:])) as image:
                    image.load()
                    yield image.convert("RGB")
            except (OSError, SyntaxError, ValueError):
                pass
            place = data.find(signature, place + 1)


def words(text):
    kept = (letter if letter.isalnum() else " " for letter in unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(kept).split())


def leaks(received, full):
    """Returns what of the full set is in the bytes: captions, originals, crops, sketches, examples."""
    protected, texts = [], {}
    for split in ("train", "validation"):
        folder = FashionEditFolder(full, split)
        for one in folder:
            texts[one.id] = words(one.annotation)
            shown = [one.original, *(d.reference for d in one.differences), *one.sketches, *one.examples]
            protected += [(one.id, dhash(image)) for image in shown]
    found = set()
    for data in received:
        pieces = [data.decode("utf-8", "ignore")]
        if data.startswith(b"PAR1") and data.endswith(b"PAR1"):
            table = pq.read_table(pa.BufferReader(data))
            for column in set(table.column_names) - {"sd3_image"}:
                pieces += map(str, table.column(column).to_pylist())
            pieces += [str(table.schema.metadata)]
        read = [words(piece) for piece in pieces]
        found |= {("caption", key) for key, text in texts.items() if any(text in piece for piece in read)}
        for image in pictures_in(data):
            mark = dhash(image)
            found |= {("picture", key) for key, other in protected if (mark != other).sum() <= 40}
    return found


@pytest.mark.slow
def test_published_loaded_and_filled_in_again(hub, full, tmp_path):
    done = publish(hub, tmp_path, full, "--repo", NAME, "--leaderboard", "--message", "the first")
    repository = hub.repository("datasets", NAME)
    url, line = done.stdout.splitlines()
    assert url == f"{hub.url}/datasets/{NAME} (private): the annotations form, commit {repository.refs['main']}"
    assert line == f'load_dataset("{NAME}")'
    assert repository.private
    assert repository.messages[repository.refs["main"]] == "the first"
    assert sorted(repository.files()) == [
        ".gitattributes",
        "README.md",
        "data/train-00000-of-00001.parquet",
        "data/validation-00000-of-00001.parquet",
        "eval.yaml",
        "manifest.json",
    ]
    assert not left_behind(tmp_path)
    assert leaks(hub.received(), full) == set()

    again = publish(hub, tmp_path, full, "--repo", NAME, "--leaderboard")
    assert again.returncode == 0, again.stderr
    assert [sum(part in request.path for request in hub.requests) for part in ("/commit/", "/_large/")] == [1, 2]

    photos = write_photographs(tmp_path / "photos")
    code = f"""
import datasets
plain = datasets.load_dataset({NAME!r}, split="validation")
print(plain[0]["image_id"], plain[0]["original_image"], plain[0]["sd3_image"].size)
import fashionedit
print(datasets.load_dataset("fashionedit", data_dir={str(photos)!r}, split="validation")[0]["annotation"] is not None)
from huggingface_hub import snapshot_download
from fashionedit.hydration import hydrate
print(hydrate(snapshot_download({NAME!r}, repo_type="dataset"), {str(photos)!r}, {str(tmp_path / "out")!r}).identical)
"""
    told = python(environment={**hub.environment(), "FASHIONEDIT_REPO": NAME}, home=tmp_path, code=code)
    assert told.stdout.splitlines() == [f"{identity(4)} None (256, 256)", "True", "True"], told.stderr
    both = "train+validation"
    assert open_folder(tmp_path / "out", both).manifest_hash == open_folder(full, both).manifest_hash


def test_the_detector_of_these_tests_finds_what_is_planted(full):
    everything = [path.read_bytes() for path in full.rglob("*.*")]
    ids = {identity(number) for number in range(6)}
    assert leaks(everything, full) == {(kind, key) for kind in ("caption", "picture") for key in ids}
    small = encode(picture(2).resize((90, 120)), quality=40)
    assert leaks([b"before" + small + b"after"], full) == {("picture", identity(2))}
    assert leaks([f"x {caption(3).upper()} y".encode()], full) == {("caption", identity(3))}


def _secretive_draft(number, image):
    """A draft whose file holds the caption and the photograph."""
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", caption(number))
    info.add(b"prVt", encode(image.resize((90, 120)), quality=60))
    return encode(picture(1000 + number, 256, 256), "PNG", pnginfo=info) + encode(image)


def test_what_is_planted_beside_the_rows_never_leaves(hub, here, tmp_path):
    images = photographs(4)
    rows = [
        sample(n, original=image, draft=_secretive_draft(n, image), sketches=True) for n, image in enumerate(images)
    ]
    sections = [("Getting the photographs", caption(0)), ("How it was made", "By hand.")]
    full = write_full(tmp_path / "full", rows, licence_note=caption(1), sections=sections)
    for number, image in enumerate(images):
        for name in (f"photos/{number}.jpg", f"data/{number}.png", f"data/train-{number}.jpg", f".cache/{number}.webp"):
            (full / name).parent.mkdir(exist_ok=True)
            (full / name).write_bytes(encode(image.resize((100, 130)), "PNG"))
    (full / "captions.json").write_text(json.dumps({identity(n): caption(n) for n in range(4)}))
    with (full / "README.md").open("a") as card:
        card.write(caption(2))
    path = full / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    extra = pa.array([encode(images[0].resize((64, 64)))] * len(table))
    table = table.append_column("thumbnail", extra).append_column("prompt", pa.array([caption(3)] * len(table)))
    pq.write_table(table.replace_schema_metadata({"note": caption(0)}), path)

    done = here(full, "--repo", NAME)
    assert done.returncode == 0, done.stderr
    assert leaks(hub.received(), full) == set()
    assert len(hub.repository("datasets", NAME).files()) == 5


def test_what_is_planted_in_the_rows_is_refused_and_nothing_is_sent(hub, here, tmp_path):
    images = photographs(4)
    plants = {
        "an original": {"draft": encode(images[1].resize((300, 400)), quality=60)},
        "a sketch": {"draft": encode(toy_sketch(images[2].crop((24, 32, 120, 128))), "PNG")},
        "a caption": {"descriptions": ["a belt", f"see: {caption(1)}", "a hem"]},
        "a file": {"descriptions": ["a belt", "x" * 500, "a hem"]},
    }
    for name, plant in plants.items():
        rows = [sample(n, original=images[n], sketches=True) for n in range(3)]
        if name == "a sketch":
            plant = {"draft": rows[2].images.sketches[1].data}
        rows[0] = sample(0, original=images[0], **plant)
        write_full(tmp_path / name, rows)
    write_full(tmp_path / "a card", [sample(0), sample(1)], sections=[("How it was made", f"From: {caption(1)}")])
    write_full(tmp_path / "a file beside", [sample(0), sample(1)], files={"eval.yaml": caption(0).encode()})
    names = [*plants, "a card", "a file beside"]
    for name in names:
        error = sentence(here(tmp_path / name, "--repo", NAME, "--i-have-permission"))
        assert "must not be sent" in error or "may be an encoded file" in error
    assert {request.method for request in hub.requests} == {"GET"}
    assert not hub.repositories
    assert not left_behind(tmp_path)


def test_public_needs_permission(hub, here, full, tmp_path):
    assert "--i-have-permission" in sentence(here(full, "--repo", NAME, "--public"))
    assert "--i-have-permission" in sentence(here(full, "--repo", NAME, "--include-originals"))
    assert not hub.repositories
    assert not hub.requests
    hub.create("datasets", NAME, private=False)
    assert "exists and is public" in sentence(here(full, "--repo", NAME))
    arguments = ("--private", "--i-have-permission")
    assert "exists and is public" in sentence(here(full, "--repo", NAME, *arguments))
    assert {request.method for request in hub.requests} == {"GET"}
    done = here(full, "--repo", NAME, "--i-have-permission")
    assert "(public): the annotations form" in done.stdout, done.stderr
    assert leaks(hub.received(), full) == set()


def test_with_permission_the_full_set_goes_and_nothing_beside_it(hub, here, full, tmp_path):
    folder = write_full(tmp_path / "full")
    (folder / "answers").mkdir()
    (folder / "answers" / "raw.json").write_text("{}")
    options = ("--public", "--include-originals", "--i-have-permission", "--branch", "v2")
    done = here(folder, "--repo", NAME, *options)
    assert "(public): the full form" in done.stdout, done.stderr
    assert done.stdout.splitlines()[1] == f'load_dataset("{NAME}", revision="v2")'
    repository = hub.repository("datasets", NAME)
    assert not repository.private
    assert set(repository.files("main")) == {".gitattributes"}
    sent = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}
    assert {name: data for name, data in repository.files("v2").items() if name.endswith("parquet")} == sent
    assert not any("answers" in name for name in repository.files("v2"))
    done = here(write_full(tmp_path / "less", [sample(0), sample(1)]), *options, "--repo", NAME)
    assert done.returncode == 0, done.stderr
    assert len(repository.files("v2")) == 5


def test_a_dry_run_lists_every_file_and_sends_nothing(hub, here, full, tmp_path):
    done = here(full, "--repo", NAME, "--dry-run", "--metrics", "some-org", offline=True)
    assert not hub.requests
    lines = [line.split() for line in done.stdout.splitlines()]
    listed = {line[1]: int(line[0].replace(",", "")) for line in lines if len(line) == 2}
    assert "eval.yaml" not in listed
    assert {"README.md", "manifest.json", "data/train-00000-of-00001.parquet", "app.py"} <= set(listed)
    assert f"would go to datasets/{NAME}, the annotations form" in done.stdout
    assert "would go to spaces/some-org/psnr" in done.stdout
    assert not left_behind(tmp_path)


def test_what_the_hub_refuses_is_one_sentence(hub, here, full, tmp_path):
    assert "no token for the Hub is known" in sentence(here(full, "--repo", NAME, token=None))
    assert "does not know the token" in sentence(here(full, "--repo", NAME, token="wrong"))
    readers = sentence(here(full, "--repo", NAME, token="hf_reader"))
    assert f"may not create the dataset repository {NAME}; give one with write access to some-org" in readers
    assert "can't be reached" in sentence(here(full, "--repo", NAME, endpoint="http://127.0.0.1:9"))
    assert "switched off" in sentence(here(full, "--repo", NAME, offline=True))
    assert not left_behind(tmp_path)


def test_the_metrics_go_to_private_spaces(hub, here):
    done = here("--metrics", "some-org/fe-")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{hub.url}/spaces/some-org/fe-clip_similarity (private): commit ")
    assert lines[1] == 'evaluate.load("some-org/fe-clip_similarity") once it is public: evaluate sends no token'
    assert [space.private for space in hub.repositories.values()] == [True] * 3
    assert "(public): commit" in here("--metrics", "some-org/fe-", "--public").stdout
    assert [space.private for space in hub.repositories.values()] == [False] * 3
    assert "may not create the space repository elsewhere/clip_similarity" in sentence(here("--metrics", "elsewhere"))


@pytest.mark.parametrize("name", ["fashion", "a/b/c", "org/na me", "org/a--b", "../up", "org/", f"org/{'a' * 99}"])
def test_a_name_that_is_none_is_one_sentence(full, name):
    with pytest.raises(InvalidDataError, match="no name of a repository"):
        publish_dataset(full, name, dry_run=True)


def test_folders_that_can_not_be_published_are_one_sentence(full, tmp_path):
    write_annotations(full, tmp_path / "annotations")
    with pytest.raises(InvalidDataError, match="publish the full folder"):
        publish_dataset(tmp_path / "annotations", NAME, dry_run=True)
    folder = write_full(tmp_path / "own-names")
    for split in ("train", "validation"):
        (folder / "data" / f"{split}-00000-of-00001.parquet").rename(folder / f"{split}.parquet")
    (folder / "README.md").unlink()
    with pytest.raises(InvalidDataError, match=r"has its rows in train\.parquet"):
        publish_dataset(folder, NAME, dry_run=True, originals=True, permission=True)
    assert publish_dataset(folder, NAME, dry_run=True).files


def test_without_anything_to_publish_the_command_says_what_to_give(capsys):
    for arguments in ([], ["folder"], ["--repo", NAME], ["--metrics", "a/b/c", "--dry-run"]):
        with pytest.raises(SystemExit):
            main(["publish", *arguments])
        assert capsys.readouterr().err.startswith("fashionedit: ")


def test_an_upload_that_failed_anywhere_is_completed_by_the_same_command(hub, here, full, tmp_path):
    steps = {
        "whoami": 429,
        "/api/repos/create": 500,
        "/preupload/": 403,
        "/_large/": 403,
        "/commit/": 500,
        "/commit": 412,
    }
    for where, status in steps.items():
        hub.fail(lambda request, where=where: where in request.path, status=status)
        error = sentence(here(full, "--repo", NAME))
        assert "same command" in error or "write access" in error
        assert not left_behind(tmp_path)
    assert set(hub.repository("datasets", NAME).files()) == {".gitattributes"}
    done = here(full, "--repo", NAME)
    assert done.returncode == 0, done.stderr
    assert len(hub.repository("datasets", NAME).files()) == 5
    uploads = [request.path for request in hub.requests if "/_large/" in request.path]
    assert len(set(uploads)) == 2
    assert len(uploads) <= 4, "what has arrived is not sent again"


@pytest.mark.slow
def test_an_upload_that_was_killed_is_completed_by_the_same_command(hub, full, tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "FASHIONEDIT_"))}
    own = {"HF_HOME": str(tmp_path / "hf"), "FASHIONEDIT_CACHE": str(tmp_path / "cache"), **hub.environment()}
    command = [sys.executable, "-m", "fashionedit", "publish", str(full), "--repo", NAME, "--quiet"]
    for where in ("/_large/", "/commit/"):
        hub.fail(lambda request, where=where: where in request.path, hang=20.0)
        with subprocess.Popen(
            command, env={**kept, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as one:
            deadline = time.monotonic() + 60
            while not any(where in request.path for request in list(hub.requests)) and time.monotonic() < deadline:
                time.sleep(0.02)
            one.send_signal(signal.SIGKILL)
        assert one.returncode == -signal.SIGKILL
        assert left_behind(tmp_path)
    assert set(hub.repository("datasets", NAME).files()) == {".gitattributes"}
    done = publish(hub, tmp_path, full, "--repo", NAME)
    assert done.returncode == 0, done.stderr
    assert len(hub.repository("datasets", NAME).files()) == 5
    assert not left_behind(tmp_path)


def test_the_full_set_is_sent_without_what_its_pictures_say_beside_their_pixels(hub, here, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    row = sample(0)
    told = encode(picture(0), quality=92, exif=exif)
    assert b"taken at home" in told
    original = EncodedImage.read(told, name="a toy")
    folder = write_full(tmp_path / "full", [replace(row, images=replace(row.images, original=original)), sample(1)])
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    (tmp_path / "cache" / "publishing" / name / "old").mkdir(parents=True)  # a killed process left it
    done = here(folder, "--repo", NAME, "--public", "--include-originals", "--i-have-permission")
    assert done.returncode == 0, done.stderr
    files = hub.repository("datasets", NAME).files("main")
    assert any(b"taken at home" in path.read_bytes() for path in folder.rglob("*.parquet"))
    assert not any(b"taken at home" in data for data in files.values())
    received = tmp_path / "received"
    for name, data in files.items():
        (received / name).parent.mkdir(parents=True, exist_ok=True)
        (received / name).write_bytes(data)
    sent = FashionEditFolder(received, "train")[0]
    assert pixel_digest(sent.original) == pixel_digest(FashionEditFolder(folder, "train")[0].original)
    assert open_folder(received, "train").manifest_hash == open_folder(folder, "train").manifest_hash
    assert not left_behind(tmp_path)
