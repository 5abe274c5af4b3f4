import hashlib
import json
import math
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scored_toys import DrawnRun, MeanColours, ScoredSource, drawn_sample, image_ref, stepped, toy_embedder

from fashionedit.cli import main
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.scores import blocks, scoring, stored_scores
from fashionedit.eval_harness.scores.blocks import Block
from fashionedit.eval_harness.scores.details import sections
from fashionedit.eval_harness.scores.measures import Pictures, grouped
from fashionedit.eval_harness.scores.results import build_results, read_results
from fashionedit.eval_harness.scores.scoring import Scores
from fashionedit.eval_harness.scores.scoring import score as score_columns
from fashionedit.eval_harness.scores.stored_scores import StoredScores
from fashionedit.eval_harness.scores.table import sections_text, to_console
from fashionedit.files import parse_json
from fashionedit.metrics import load_metrics
from fashionedit.metrics.registry import PAPER_METRICS
from fashionedit.metrics.similarity import PSNR_FINGERPRINT
from fashionedit.synthetic.rendering import write_synthetic


def score(outcomes, source, embedder, path, **options) -> Scores:
    metrics, outcomes = load_metrics(PAPER_METRICS if embedder else ("psnr",), embedder), list(outcomes)
    columns = [column for rounds in grouped(outcomes, source.ids).values() for column in rounds.values()]
    return score_columns(columns, lambda: outcomes, source, metrics, path, embedder=embedder, **options)


@pytest.fixture
def source() -> ScoredSource:
    return ScoredSource([drawn_sample(number) for number in range(4)])


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((folder / "scores").iterdir())}


def test_scores_are_those_of_a_plain_loop(source: ScoredSource, tmp_path: Path) -> None:
    run, encoder = DrawnRun(tmp_path, source), MeanColours()
    scores = score(run.outcomes(source), source, toy_embedder(encoder), tmp_path)
    for outcome in run.outcomes(source):
        image, original = outcome.current.open(), source.sample(outcome.sample).original
        pair = (outcome.current.digest, source.digests(outcome.sample).original)
        one, other = (encoder.vector(picture).astype(np.float64) for picture in (image, original))
        cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
        small = [cv2.resize(np.asarray(picture), (256, 256)) for picture in (image, original)]
        assert scores.stores["cosine"][pair] == pytest.approx(cosine, abs=1e-7)
        assert scores.stores["psnr"][pair] == pytest.approx(cv2.PSNR(*small), abs=1e-9)


def test_psnr_alone_needs_no_encoder_and_is_kept_for_later(source: ScoredSource, tmp_path: Path) -> None:
    outcomes = list(DrawnRun(tmp_path, source).outcomes(source))
    alone = score(outcomes, source, None, tmp_path)
    assert [metric.id for metric in alone.metrics] == ["psnr"]
    psnrs = files(tmp_path)
    whole = score(outcomes, source, toy_embedder(), tmp_path)
    pairs = [(one.current.digest, source.digests(one.sample).original) for one in outcomes]
    assert alone.stores["psnr"].find(pairs).tolist() == whole.stores["psnr"].find(pairs).tolist()
    assert psnrs.items() <= files(tmp_path).items()


def test_every_draft_is_scored_too(source: ScoredSource, tmp_path: Path) -> None:
    scores = score(DrawnRun(tmp_path, source).outcomes(source), source, toy_embedder(), tmp_path)
    assert all((source.digests(id).draft, source.digests(id).original) in scores.stores["cosine"] for id in source.ids)


def test_nothing_is_scored_twice(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source)
    score(run.outcomes(source), source, toy_embedder(), tmp_path)
    before, again = files(tmp_path), MeanColours()
    outcomes = list(run.outcomes(source))
    source.decoded.clear()
    score(outcomes, source, toy_embedder(again), tmp_path)
    assert again.encoded == 0
    assert source.decoded == []
    assert files(tmp_path) == before


def test_each_result_is_opened_once_for_both_metrics(source: ScoredSource, tmp_path: Path) -> None:
    opened: list[str] = []
    outcomes = []
    for outcome in DrawnRun(tmp_path, source).outcomes(source):
        image = outcome.current.open()

        def opener(image: Image.Image = image, digest: str = outcome.current.digest) -> Image.Image:
            opened.append(digest)
            return image

        outcomes.append(replace(outcome, current=replace(outcome.current, open=opener)))
    score(outcomes, source, toy_embedder(), tmp_path)
    assert opened
    assert len(opened) == len(set(opened))


def test_each_picture_is_encoded_once(source: ScoredSource, tmp_path: Path) -> None:
    encoder = MeanColours()
    score(DrawnRun(tmp_path, source).outcomes(source), source, toy_embedder(encoder), tmp_path)
    assert encoder.encoded == 4 * 4  # draft, two rounds, and the original, which round 3 equals


def test_pictures_are_held_for_one_part_alone(
    source: ScoredSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    def compute(block: Block, pictures: Pictures, *rest: Any) -> None:
        before = len(pictures._kept._kept)
        blocks.compute(block, pictures, *rest)
        held.extend((before, len(pictures._kept._kept)))

    monkeypatch.setattr(scoring, "_AT_ONCE", 1)
    monkeypatch.setattr(scoring, "compute", compute)
    score(DrawnRun(tmp_path, source).outcomes(source), source, toy_embedder(), tmp_path)
    assert len(held) == 2 * len(source.ids)
    assert not any(held[::2])
    assert all(held[1::2])


def test_a_changed_result_is_all_that_is_scored_anew(source: ScoredSource, tmp_path: Path) -> None:
    score(DrawnRun(tmp_path, source).outcomes(source), source, toy_embedder(), tmp_path)

    def changed(sample, protocol, round):
        image = stepped(sample, round)
        if sample.id == "card-02" and protocol == "bug" and round == 2:
            image.putpixel((0, 0), (1, 2, 3))
        return image

    encoder = MeanColours()
    score(DrawnRun(tmp_path, source, changed).outcomes(source), source, toy_embedder(encoder), tmp_path)
    assert encoder.encoded == 2  # the new picture and its original


def test_a_killed_scoring_keeps_what_it_had(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path / "killed", source)

    class KilledError(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        score(run.outcomes(source), source, toy_embedder(), run.path, progress=kill)
    assert 0 < len(StoredScores(run.path / "scores", "psnr", PSNR_FINGERPRINT)) < 160
    again = score(run.outcomes(source), source, toy_embedder(), run.path)
    whole = score(run.outcomes(source), source, toy_embedder(), tmp_path / "whole")
    for outcome in run.outcomes(source):
        pair = (outcome.current.digest, source.digests(outcome.sample).original)
        assert again.stores["psnr"][pair] == whole.stores["psnr"][pair]
        assert again.stores["cosine"][pair] == pytest.approx(whole.stores["cosine"][pair], abs=1e-7)


def test_a_lost_file_of_one_metric_is_made_again(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source)
    first = score(run.outcomes(source), source, toy_embedder(), tmp_path)
    before = files(tmp_path)
    first.stores["psnr"].path.unlink()
    score(run.outcomes(source), source, toy_embedder(), tmp_path)
    assert files(tmp_path) == before


def test_a_sample_too_elongated_to_be_encoded_is_left_out_and_named(tmp_path: Path) -> None:
    samples = [drawn_sample(number) for number in range(3)]
    samples[1] = replace(samples[1], original=Image.new("RGB", (4200, 20), "white"))
    source = ScoredSource(samples)
    with pytest.warns(UserWarning, match=r"sample card-01 of drawn validation .* left out.* more than 200 times"):
        results = build_results(DrawnRun(tmp_path, source), source, toy_embedder())
    assert [sample.id for sample in results.samples] == ["card-00", "card-02"]
    assert (results.dataset.samples, results.dataset.not_reached) == (2, 1)
    assert "can't be submitted" in to_console(results)


def test_pages_and_tables_need_no_share_even_where_rounds_failed(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number) for number in range(3)])
    run = DrawnRun(tmp_path / "run", source, lambda *_: Status.REFUSED)
    results = build_results(run, source, None)
    assert "bounds" not in sections_text(sections(results))
    page = write_report(results, [run], source, tmp_path / "page.html")
    assert "bounds" not in page.read_text()
    assert "refused" in page.read_text()


def test_another_fingerprint_is_another_file(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source)
    score(run.outcomes(source), source, toy_embedder(), tmp_path)
    score(run.outcomes(source), source, toy_embedder(MeanColours({"model": "mean-colours", "revision": "2"})), tmp_path)
    names = list(files(tmp_path))
    assert len([name for name in names if name.startswith("cosine-")]) == 2
    assert len([name for name in names if name.startswith("psnr-")]) == 1


def test_a_file_begins_with_its_fingerprint(source: ScoredSource, tmp_path: Path) -> None:
    score(DrawnRun(tmp_path, source).outcomes(source), source, toy_embedder(), tmp_path)
    text = next(text for name, text in files(tmp_path).items() if name.startswith("cosine-"))
    header = json.loads(text.splitlines()[0])
    assert header == {"schema_version": 1, "metric": "cosine", "fingerprint": MeanColours().fingerprint}


@pytest.mark.parametrize(
    "line",
    [
        '{"image": "a", "original": "b", "val',
        '{"image": "a", "original": "b", "value": NaN}',
        '{"image": "a", "original": "b", "value": true}',
        '{"image": 1, "original": "b", "value": 0.5}',
        "[1]",
        '"x"',
        "\x00",
        "",
    ],
)
def test_broken_lines_are_passed_over(tmp_path: Path, line: str) -> None:
    scores = StoredScores(tmp_path, "cosine", {"model": "m"})
    scores.add([(("x", "y"), 0.25)])
    with scores.path.open("a") as file:
        file.write(line)
    found = StoredScores(tmp_path, "cosine", {"model": "m"})
    assert ("a", "b") not in found
    found.add([(("a", "b"), 0.75)])
    again = StoredScores(tmp_path, "cosine", {"model": "m"})
    assert (again["x", "y"], again["a", "b"], len(again)) == (0.25, 0.75, 2)


def test_the_first_value_of_a_pair_stays(tmp_path: Path) -> None:
    scores = StoredScores(tmp_path, "cosine", {"model": "m"})
    scores.add([(("x", "y"), 0.25)])
    with scores.path.open("a") as file:
        file.write('{"image": "x", "original": "y", "value": 0.5}\n')
    assert StoredScores(tmp_path, "cosine", {"model": "m"})["x", "y"] == 0.25


def digest(*name: object) -> str:
    return hashlib.sha256(repr(name).encode()).hexdigest()


def odd_lines(number: int) -> list[str]:
    """Returns lines that stand between the scores of pictures; some of them are scores too."""
    image, original = digest("odd", number), digest("original", number)
    line = json.dumps({"image": image, "original": original, "value": 0.5})
    return [
        *("", "{", line[:-1], line[:90], line + " ", line.replace("0.5", "00.5"), line.replace("0.5", "1.0e999")),
        *(
            line.replace("0.5", value)
            for value in ("1", "NaN", "-0.0", "1e-05", "2.5e-7", "1000000.1", "1.5E+3", '"0.5"')
        ),
        *(line.replace(image, other) for other in (image.upper(), image[:-1], image + "0", "é", "x\\u00e9", "g" * 64)),
        json.dumps({"value": 0.25, "original": original, "image": digest("swapped", number)}),
        json.dumps({"provenance": {"device": f"cpu {number}"}}),
        json.dumps({"provenance": {"device": "x" * 2**17}}),
    ]


@pytest.mark.parametrize("chunk", [100, 1_000, 2**20])
@pytest.mark.parametrize("collide", [False, True])
def test_many_lines_at_once_are_read_as_each_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, collide: bool
) -> None:
    monkeypatch.setattr(stored_scores, "_CHUNK", chunk)
    if collide:
        monkeypatch.setattr(stored_scores, "_hashes", lambda keys: np.zeros(len(keys) // 32, dtype=np.uint64))
    plain = [
        json.dumps({"image": digest("image", k % 60), "original": digest(k % 2), "value": 100 * math.sin(k)})
        for k in range(90)  # 30 pairs twice
    ]
    lines = [line for place, one in enumerate(plain) for line in (one, *(odd_lines(place) if place % 30 == 7 else ()))]
    path = StoredScores(tmp_path / "scores", "cosine", {}).path
    path.parent.mkdir()
    path.write_text("\n".join(lines), encoding="utf-8")
    expected: dict[tuple[str, str], float] = {}
    for line in lines:
        with suppress(InvalidDataError):
            entry = parse_json(line, name="it") if line else {}
            if "value" in entry and isinstance(entry["value"], float) and abs(entry["value"]) <= 1e6:
                expected.setdefault((entry["image"], entry["original"]), entry["value"])
    found = StoredScores(tmp_path / "scores", "cosine", {})
    assert len(expected) == 60 + 3 * 8
    assert dict(zip(expected, found.find(list(expected)).tolist(), strict=True)) == expected
    assert all(found.find([pair])[0] == value for pair, value in expected.items())
    assert len(found) == len(expected)
    assert ("image", "original") not in found
    assert (digest("image", 0), digest(1)) not in found
    assert found.provenance == {"device": "cpu 7; cpu 37; cpu 67"}


def test_an_altered_picture_stops_the_scoring(source: ScoredSource, tmp_path: Path) -> None:
    outcomes = list(DrawnRun(tmp_path, source).outcomes(source))
    wrong = replace(outcomes[4].current, open=lambda: Image.new("RGB", (60, 80)))
    outcomes[4] = replace(outcomes[4], current=wrong)
    with pytest.raises(InvalidDataError, match=r"card-01, vanilla round 2, has other pixels .* altered"):
        score(outcomes, source, toy_embedder(), tmp_path)


def test_equal_pictures_of_two_samples_are_scored_with_each_original(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(1), drawn_sample(2)])
    picture = Image.new("RGB", (60, 80), "white")
    run = DrawnRun(tmp_path, source, lambda sample, protocol, round: picture)
    scores = score(run.outcomes(source), source, toy_embedder(), tmp_path)
    digest = image_ref(picture).digest
    values = {scores.stores["psnr"][digest, source.digests(id).original] for id in source.ids}
    assert len(values) == 2


def test_only_clip_is_called_clip() -> None:
    named = load_metrics(PAPER_METRICS, toy_embedder(MeanColours(is_clip=True)))
    assert [metric.id for metric in named] == ["clip", "clip_star", "psnr"]
    cosine, star, _ = load_metrics(PAPER_METRICS, toy_embedder())
    assert (cosine.id, star.id) == ("cosine", "cosine_star")
    assert "CLIP" not in cosine.label + star.label
    assert "Mean colours" in cosine.label


def test_progress_counts_up_to_all_pairs(source: ScoredSource, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    run = DrawnRun(tmp_path, source)
    score(
        run.outcomes(source), source, toy_embedder(), tmp_path, progress=lambda done, total: seen.append((done, total))
    )
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == seen[-1][1]


def test_a_dataset_that_has_moved_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_synthetic(tmp_path / "data", 1, ("validation",))
    main(["run", "identity", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--quiet"])
    (tmp_path / "data").rename(tmp_path / "moved")
    with pytest.raises(SystemExit):
        main(["score", str(tmp_path / "run"), "--encoder", "offline", "--quiet"])
    assert "which is not there now; give the dataset's new place with --data DATA" in capsys.readouterr().err
    main(["score", str(tmp_path / "run"), "--encoder", "offline", "--quiet", "--data", str(tmp_path / "moved")])
    assert "identity" in capsys.readouterr().out


def test_a_damaged_picture_of_the_dataset_is_named_with_its_file_before_anything_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_synthetic(tmp_path / "data", 2, ("validation",))
    main(["run", "identity", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--quiet"])
    (file,) = (tmp_path / "data").rglob("*.parquet")
    table = pq.read_table(file)
    rows = table.to_pylist()
    rows[1]["original_image"]["bytes"] = rows[1]["original_image"]["bytes"][:2000]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
    with pytest.raises(SystemExit) as stopped:
        main(["score", str(tmp_path / "run"), "--metric", "psnr", "--quiet"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f"the original of sample {rows[1]['image_id']} in {file} can't be read" in said
    assert not (tmp_path / "run" / "scores").exists()


def test_score_by_psnr_alone_loads_no_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    main(["run", "identity", "--data", "synthetic:3", "--split", "train", "--out", str(run), "--quiet"])
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    main(["score", str(run), "--metric", "psnr", "--details", "--quiet"])
    shown = capsys.readouterr().out
    assert shown.splitlines()[2].split() == ["Method", "Prompt", "Round", "PSNR", "n", "failed"]
    assert "encoder" not in shown
    assert "Gain over the draft" in shown
    assert [metric.id for metric in read_results(run / "results.json").metrics] == ["psnr"]
    stored = {path.name.partition("-")[0] for path in (run / "scores").iterdir()}
    assert stored == {"psnr", "psnr_antialiased", "baselines"}


METRICS_OF_ONES_OWN = """
import numpy as np
from fashionedit.metrics import Metric

class Sharpness(Metric):
    id, label, unit, digits = "sharpness", "Sharpness", "ratio of the mean gradients", 3

    def score(self, pairs):
        gradient = lambda picture: np.abs(np.diff(picture.pixels.astype(float), axis=0)).mean()
        return [gradient(result) / gradient(original) for result, original in pairs]

class Broken(Sharpness):
    id = "broken"

    def score(self, pairs):
        return [float("nan")] * len(pairs)
"""


def test_a_metric_of_ones_own_has_a_column_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(METRICS_OF_ONES_OWN)
    main(["run", "identity", "--data", "synthetic:3", "--split", "train", "--out", "run", "--quiet"])
    columns = ["--metric", "psnr", "--metric", "mine.py:Sharpness"]
    main(["score", "run", *columns, "--quiet"])
    capsys.readouterr()
    for command in (["show", "run", "--details"], ["show", "run", "--markdown"], ["compare", "run", "flat-grey"]):
        main(command)
        assert "Sharpness" in capsys.readouterr().out
    main(["show", "run", "--json"])
    results = json.loads(capsys.readouterr().out)
    assert [metric["id"] for metric in results["metrics"]] == ["psnr", "sharpness"]
    assert next(row for row in results["rows"] if row["kind"] == "ceiling")["scores"]["sharpness"]["mean"] == 1
    page = Path("run/report.html").read_text()
    assert page.count("Sharpness") > 3
    main(["export", "run", "--out", "logs"])
    before = {path.name: path.read_bytes() for path in Path("run/scores").iterdir()}
    with pytest.raises(SystemExit):
        main(["score", "run", "--metric", "mine.py:Broken", *columns, "--quiet"])
    assert "is nan; a score is a finite number" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path("run/scores").iterdir()} == before
    assert len(read_results(Path("run/results.json")).metrics) == 2
