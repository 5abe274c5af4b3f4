"""A bundle that was tampered with is refused, with the reason, and the sample by its name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial

import pytest
from board_toys import (
    COUNT,
    REVISION,
    alter,
    forge,
    official_encoder,
    open_benchmark,
    reseal,
    toy_benchmark,
    toy_run,
    write_benchmark,
    write_toy_bundle,
)
from PIL import Image
from scored_toys import MeanColours

from fashionedit.annotations_form import write_annotations
from fashionedit.cli import main
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.leaderboard.ground_truth import find_known
from fashionedit.eval_harness.leaderboard.verification import check_bundle, verify_bundle
from fashionedit.eval_harness.scores.aggregation import measure_value
from fashionedit.runtime.progress import Bar

no_bar = partial(Bar, hidden=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return open_benchmark(write_benchmark(tmp_path_factory.mktemp("data") / "fashion"))


@pytest.fixture(scope="module")
def scored(source, tmp_path_factory):
    return toy_run(tmp_path_factory.mktemp("runs") / "toy", source)


@pytest.fixture(scope="module")
def whole(scored, source, tmp_path_factory):
    return write_toy_bundle(tmp_path_factory.mktemp("bundles") / "toy", scored, source)


@pytest.fixture
def bundle(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "bundle")


@pytest.fixture(scope="module")
def known(source):
    return find_known(str(source.path), toy_benchmark(source))


def verified(bundle, scored, known, encoder=official_encoder):
    return verify_bundle(
        bundle, images=scored.path / "images", known=known, encoder=lambda precision: encoder(), bar=no_bar
    )


def test_a_whole_bundle_holds_as_far_as_it_can_be_looked_through(bundle, scored, known):
    alone, _ = check_bundle(bundle)
    assert alone.holds
    assert alone.sentence.startswith("internally consistent, not verified; to verify takes --images")
    beside, _ = check_bundle(bundle, known)
    assert beside.holds
    assert f"samples and manifest are those of {known.name}" in beside.sentence
    images = verify_bundle(bundle, images=scored.path / "images", bar=no_bar)
    assert (images.holds, images.level) == (True, "images")
    assert "scores were not computed again" in images.sentence
    scores = verified(bundle, scored, known)
    assert (scores.problems, scores.level) == ((), "scores")
    assert scores.sentence.startswith("verified: ")


def set_score(content):
    content["row_samples"][1]["values"]["clip"][2] += 0.5


def set_image(content):
    content["outputs"][5]["digest"] = "0" * 64


def drop_id(content):
    del content["samples"][3]
    for one in content["row_samples"]:
        del one["status"][3], one["digests"][3]
        for values in one["values"].values():
            del values[3]


def add_id(content):
    content["samples"].append({**content["samples"][0], "id": "card-99"})
    for one in content["row_samples"]:
        one["status"].append(one["status"][0])
        one["digests"].append(one["digests"][0])
        for values in one["values"].values():
            values.append(values[0])


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("results.json", set_score),
        ("outputs.json", set_image),
        ("results.json", drop_id),
        ("results.json", add_id),
    ],
)
def test_a_file_that_was_changed_is_not_the_one_that_was_named(bundle, file, change):
    alter(bundle, file, change)
    verdict, _ = check_bundle(bundle)
    assert len(verdict.problems) == 1
    assert f"{file} has SHA-256" in verdict.problems[0]
    assert "altered after the bundle was made" in verdict.problems[0]


def test_another_revision_is_noticed_by_the_checksum_and_a_resealed_one_by_the_dataset(bundle, known):
    alter(bundle, "bundle.json", lambda content: content["benchmark"].update(revision="b" * 40))
    verdict, _ = check_bundle(bundle)
    assert verdict.problems == (
        f"{bundle / 'bundle.json'} was altered after the bundle was made: its checksum is another.",
    )
    reseal(bundle)
    fetched = replace(known, name=f"some-org/fashion@{REVISION[:12]}", revision=REVISION)
    verdict, _ = check_bundle(bundle, fetched)
    assert verdict.problems == (
        "The bundle is of revision bbbbbbbbbbbb; some-org/fashion@aaaaaaaaaaaa is another revision.",
    )


def test_a_manifest_of_other_samples_is_noticed(bundle, known):
    other = replace(known, manifest="c" * 64)
    verdict, _ = check_bundle(bundle, other)
    assert "other samples, or the same ones changed" in verdict.problems[0]
    reseal(bundle, benchmark={"manifest": "c" * 64})
    verdict, _ = check_bundle(bundle)
    assert verdict.problems == (
        "The run, the benchmark and the results name different manifests: they are not of one dataset.",
    )


def test_one_score_resealed_contradicts_the_table_and_the_means(bundle):
    alter(bundle, "results.json", set_score)
    reseal(bundle)
    problems = check_bundle(bundle)[0].problems
    assert problems[0].startswith("Sample card-02: bug round 1 has clip ") or problems[0].startswith(
        "Sample card-02: vanilla round 1 has clip "
    )
    assert "in scores.parquet and" in problems[0]
    assert any("scores.clip.mean is stated as" in problem for problem in problems)


def test_one_image_hash_resealed_contradicts_the_results(bundle):
    alter(bundle, "outputs.json", set_image)
    reseal(bundle)
    problems = check_bundle(bundle)[0].problems
    assert len(problems) == 1
    assert problems[0].startswith("Sample card-01: vanilla round 3 has image ")
    assert problems[0].endswith("in results.json and 000000000000… in outputs.json.")


def test_one_id_removed_resealed_is_missed(bundle, known):
    forge(bundle, drop_id)
    problems = check_bundle(bundle)[0].problems
    assert problems[0] == (
        "The samples are not the whole split, each once: 8 in the benchmark, 8 in the run, 8 in the results' dataset, "
        "7 in the results' list."
    )
    # a forger who changes every number too is found by the dataset alone
    alter(bundle, "results.json", lambda content: (content["dataset"].update(samples=7), _fewer(content["runs"])))
    alter(bundle, "outputs.json", lambda content: content.update(outputs=_without(content["outputs"], "card-03")))
    alter(bundle, "parameters.json", _fewer_edits)
    head = json.loads((bundle / "bundle.json").read_text())
    reseal(bundle, run={**head["run"], "samples": 7}, benchmark={"samples": 7})
    assert check_bundle(bundle)[0].holds
    assert check_bundle(bundle, known)[0].problems == ("Sample card-03 of the dataset is missing from the bundle.",)


def _fewer(runs):
    runs[0]["samples"] = COUNT - 1


def _without(outputs, id):
    return [one for one in outputs if one["sample"] != id]


def _fewer_edits(content):
    for one in content["protocols"].values():
        one["edits"] -= 3


def test_one_id_added_resealed_is_one_too_many(bundle, known):
    forge(bundle, add_id)
    problems = check_bundle(bundle)[0].problems
    assert "9 in the results' list" in problems[0]
    assert "Sample card-99: vanilla round 1 ended ok and has no image in outputs.json." in problems


def test_a_renamed_sample_is_not_in_the_dataset(bundle, known):
    def rename(content):
        content["samples"][0]["id"] = "card-77"

    forge(bundle, rename)
    alter(
        bundle,
        "outputs.json",
        lambda content: [one.update(sample="card-77") for one in content["outputs"] if one["sample"] == "card-00"],
    )
    reseal(bundle)
    assert check_bundle(bundle)[0].holds
    assert check_bundle(bundle, known)[0].problems == (
        "Sample card-00 of the dataset is missing from the bundle.",
        "Sample card-77 of the bundle is not in the dataset.",
    )


def test_another_draft_or_garment_is_named(bundle, known):
    def change(content):
        content["samples"][1]["garment"] = content["samples"][5]["garment"]

    forge(bundle, change)
    assert check_bundle(bundle, known)[0].problems[0] == (
        "Sample card-01: garment, category, gender or view are not the dataset's."
    )
    others = replace(known, drafts={**known.drafts, "card-04": "0" * 64})
    assert (
        "Sample card-04: the draft is another picture than the dataset's." in check_bundle(bundle, others)[0].problems
    )


def lift(content):
    """Lifts one image's scores wherever they stand, within what a sceptic could believe."""
    rows = zip(content["rows"], content["row_samples"], strict=True)
    found = next(one for row, one in rows if row["run"] == 0 and row["round"] == 3)
    digest = found["digests"][6]
    for one in content["row_samples"]:
        if one["digests"][6] == digest:
            one["values"]["clip"][6] += 0.5
            one["values"]["psnr"][6] += 0.4


def test_a_consistently_altered_score_takes_the_images(bundle, scored, known):
    forge(bundle, lift)
    assert check_bundle(bundle, known)[0].holds
    assert verify_bundle(bundle, images=scored.path / "images", bar=no_bar).holds
    verdict = verified(bundle, scored, known)
    assert (verdict.level, len(verdict.problems)) == ("scores", 2)
    assert verdict.problems[0].startswith("Sample card-06: toy, vanilla round 3 is stated with clip ")
    assert "computed again it is" in verdict.problems[0]
    assert verdict.sentence == "refused: 2 things are not as stated"


def test_measures_are_looked_through_and_computed_again(source, known, tmp_path):
    measured = toy_run(tmp_path / "run", source, measures=True, repeats=2)
    bundle = write_toy_bundle(tmp_path / "bundle", measured, source)
    assert check_bundle(bundle, known)[0].holds
    verdict = verified(bundle, measured, known)
    assert (verdict.level, verdict.problems) == ("scores", ())

    def calm(content, *, consistently):
        place = next(place for place, row in enumerate(content["rows"]) if row["run"] == 0 and row["round"] == 1)
        outside = content["row_samples"][place]["measures"]["outside"]
        outside[2] += 8.0
        if consistently:
            value = measure_value(outside, [one["garment"] for one in content["samples"]], (0, 60))
            content["rows"][place]["measures"]["outside"] = value.model_dump()

    alter(bundle, "results.json", partial(calm, consistently=False))
    reseal(bundle)
    assert "toy, vanilla round 1: measure outside." in check_bundle(bundle, known)[0].problems[0]
    write_toy_bundle(tmp_path / "again", measured, source)
    alter(tmp_path / "again", "results.json", partial(calm, consistently=True))
    reseal(tmp_path / "again")
    assert check_bundle(tmp_path / "again", known)[0].holds
    problems = verified(tmp_path / "again", measured, known).problems
    assert len(problems) == 1
    assert problems[0].startswith("Sample card-02: toy, vanilla round 1 is stated with outside ")


def test_an_image_that_is_another_or_missing_is_named(bundle, scored, known, tmp_path):
    images = shutil.copytree(scored.path / "images", tmp_path / "images")
    path = sorted(images.rglob("*.png"))[0]
    outputs = json.loads((bundle / "outputs.json").read_text())["outputs"]
    wanted = next(one for one in outputs if one["digest"] == path.stem)
    Image.new("RGB", (60, 80), "red").save(path)
    for _ in range(2):  # another picture of the same name, then no file
        verdict = verify_bundle(bundle, images=images, known=known, bar=no_bar)
        assert verdict.problems == (
            f"Sample {wanted['sample']}: no picture in {images} has the pixels of {wanted['protocol']} round "
            f"{wanted['round']} ({path.stem[:12]}…).",
        )
        path.unlink(missing_ok=True)
    with pytest.raises(InvalidDataError, match="holds no pictures"):
        verify_bundle(bundle, images=tmp_path / "bundle", bar=no_bar)


def test_images_are_known_by_their_pixels_whatever_they_are_called(bundle, scored, known, tmp_path):
    for number, path in enumerate(sorted((scored.path / "images").rglob("*.png"))):
        Image.open(path).save(tmp_path / f"{number}.webp", lossless=True)
    assert verify_bundle(bundle, images=tmp_path, known=known, bar=no_bar).holds


def test_another_encoder_is_told_field_by_field(bundle, scored, known):
    with pytest.raises(
        InvalidDataError, match=r"another encoder \(.*model: openai/clip.*yours mean-colours.*--encoder"
    ):
        verified(bundle, scored, known, MeanColours)


def test_a_scale_that_makes_more_hits_is_refused(bundle):
    def change(content):
        content["metrics"][0]["scale"] = 90.0

    alter(bundle, "results.json", change)
    reseal(bundle)
    assert "results.json has other metrics than" in check_bundle(bundle)[0].problems[0]


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ({"name": "best-org/model"}, "The bundle is called best-org/model and its model is some-org/model."),
        (
            {"official": False},
            "bundle.json calls the scores those of another encoder; by their fingerprint they are not.",
        ),
        ({"run": {"seed": 5}}, "bundle.json and results.json tell of different runs."),
        (
            {"benchmark": {"split": "train"}},
            "The run, the benchmark or the results are of another split than validation.",
        ),
    ],
    ids=["name", "official", "run", "split"],
)
def test_a_head_that_says_other_things_is_refused(bundle, head, says):
    reseal(bundle, **head)
    assert says in check_bundle(bundle)[0].problems


def test_rounds_that_hide_a_failure_are_refused(bundle):
    def change(content):
        for row, one in zip(content["rows"], content["row_samples"], strict=True):
            if row["run"] == 0:
                one["status"][3] = "ok"

    forge(bundle, change)
    problems = check_bundle(bundle)[0].problems
    assert "Sample card-03: vanilla round 2 ended ok and has no image in outputs.json." in problems


def test_a_score_on_the_threshold_is_no_hit(bundle):
    """Hits are counted of the scores as they are stored, so that everybody counts the same."""

    def edge(content, value):
        first = content["row_samples"][1]["digests"][0]
        for one in content["row_samples"]:
            if one["digests"][0] == first:
                one["values"]["clip"][0] = value

    shares = []
    for value in (90.000001, 90.0):
        forge(bundle, partial(edge, value=value))
        assert check_bundle(bundle)[0].holds
        shares.append(json.loads((bundle / "results.json").read_text())["rows"][1]["scores"]["clip_star"]["mean"])
    assert shares[0] - shares[1] == pytest.approx(100 / COUNT)


def test_the_annotations_form_knows_the_samples_too(bundle, source, tmp_path):
    write_annotations(source.path, tmp_path / "annotations")
    known = find_known(str(tmp_path / "annotations"), toy_benchmark(source))
    assert known.folder is None
    assert (len(known.originals), len(known.drafts)) == (COUNT, COUNT)
    assert check_bundle(bundle, known)[0].holds
    assert not check_bundle(bundle, replace(known, originals={"card-01": "0" * 64}))[0].holds


def test_the_command_verifies_with_the_encoder_that_is_named(source, scored, tiny_clip, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(scored.path, "run")
    main(["score", "run", "--encoder", f"clip:{tiny_clip}", "--device", "cpu", "--quiet"])
    write_toy_bundle(tmp_path / "bundle", type(scored).open("run"), source, name="A service", model=None)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["verify", "bundle", "--images", "run/images", "--data", str(source.path), "--quiet"])
    assert stopped.value.code == 2
    assert "name theirs with --encoder" in capsys.readouterr().err
    arguments = [
        "bundle",
        "--images",
        "run/images",
        "--data",
        str(source.path),
        "--encoder",
        f"clip:{tiny_clip}",
        "--quiet",
    ]
    main(["verify", *arguments])
    assert capsys.readouterr().out == (
        "bundle: verified: every image is there, and every score was computed again; samples and manifest are those of "
        f"{source.path}\n"
    )
    forge(tmp_path / "bundle", _lower)
    with pytest.raises(SystemExit) as stopped:
        main(["verify", *arguments])
    assert stopped.value.code == 1
    told = capsys.readouterr().out
    assert told.startswith("bundle: refused: ")
    assert "\n  - Sample card-06: toy, vanilla round 3 is stated with clip" in told
    with pytest.raises(SystemExit):
        main(["verify", *arguments, "--json"])
    assert json.loads(capsys.readouterr().out)["level"] == "scores"


def _lower(content):
    rows = zip(content["rows"], content["row_samples"], strict=True)
    digest = next(one["digests"][6] for row, one in rows if row["run"] == 0 and row["round"] == 3)
    for one in content["row_samples"]:
        if one["digests"][6] == digest:
            one["values"]["clip"][6] -= 1.5


def test_a_cosine_that_only_the_original_has_is_a_copy_whatever_psnr_says(bundle):
    """As of a picture that shows the original where CLIP crops, and something else around it."""

    def crops(content):
        for row, found in zip(content["rows"], content["row_samples"], strict=True):
            if row["run"] == 0:
                found["values"]["clip"] = [99.9] * len(found["values"]["clip"])
                found["digests"] = [f"{place:064d}" for place in range(len(found["digests"]))]

    alter(bundle, "results.json", crops)
    reseal(bundle)
    assert "that is the original or nearly" in " ".join(check_bundle(bundle)[0].problems)
