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
    picture,
    toy_benchmark,
    toy_run,
    write_toy_bundle,
)
from PIL import Image
from scored_toys import MeanColours

from fashionedit.annotations_form import write_annotations
from fashionedit.cli import main
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.leaderboard.bundle import read_bundle
from fashionedit.eval_harness.leaderboard.verification import check_bundle, find_ground_truth, verify_bundle
from fashionedit.runtime.progress import Bar

no_bar = partial(Bar, hidden=True)


@pytest.fixture
def bundle(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "bundle")


@pytest.fixture(scope="module")
def truth(source):
    return find_ground_truth(str(source.path), toy_benchmark(source))


def verified(bundle, scored, truth, encoder=official_encoder):
    return verify_bundle(
        bundle, images=scored.path / "images", truth=truth, encoder=lambda precision: encoder(), bar=no_bar
    )


def test_a_whole_bundle_holds_as_far_as_it_can_be_verified(bundle, scored, truth):
    alone = check_bundle(bundle)
    assert alone.holds
    assert alone.sentence.startswith("internally consistent, not verified; to verify takes --images")
    beside = check_bundle(bundle, truth)
    assert beside.holds
    assert f"samples and manifest are those of {truth.name}" in beside.sentence
    images = verify_bundle(bundle, images=scored.path / "images", bar=no_bar)
    assert (images.holds, images.level) == (True, "images")
    assert "scores were not computed again" in images.sentence
    scores = verified(bundle, scored, truth)
    assert (scores.problems, scores.level) == ((), "scores")
    assert scores.sentence.startswith("verified: ")


def set_score(content):
    picture(content, 2)["scores"]["clip"] += 0.5


def set_image(content):
    picture(content, 1)["digest"] = "0" * 64


def drop_id(content):
    del content["samples"][3]
    for row in content["rows"]:
        del row["status"][3], row["pictures"][3]


def add_id(content):
    content["samples"].append({**content["samples"][0], "id": "card-99"})
    for row in content["rows"]:
        row["status"].append(row["status"][0])
        row["pictures"].append(row["pictures"][0])


def set_revision(content):
    content["revision"] = "b" * 40


@pytest.mark.parametrize("change", [set_score, set_image, drop_id, add_id, set_revision])
def test_a_bundle_that_was_changed_is_noticed_by_its_checksum(bundle, change):
    alter(bundle, change)
    assert check_bundle(bundle).problems == (
        "bundle.json was altered after the bundle was made: its checksum is another.",
    )


def test_another_revision_is_noticed_by_the_dataset(bundle, truth):
    forge(bundle, set_revision)
    fetched = replace(truth, name=f"some-org/fashion@{REVISION[:12]}", revision=REVISION)
    assert check_bundle(bundle, fetched).problems == (
        "The bundle is of revision bbbbbbbbbbbb; some-org/fashion@aaaaaaaaaaaa is another revision.",
    )


def test_a_manifest_of_other_samples_is_noticed(bundle, truth):
    other = replace(truth, manifest="c" * 64)
    assert "other samples, or the same ones changed" in check_bundle(bundle, other).problems[0]


def test_one_image_hash_takes_the_images(bundle, scored):
    forge(bundle, set_image)
    assert check_bundle(bundle).holds
    (problem,) = verify_bundle(bundle, images=scored.path / "images", bar=no_bar).problems
    assert problem.startswith("Sample card-01: no picture in ")
    assert "has the pixels of vanilla round 3 (000000000000…)" in problem


@pytest.mark.parametrize(
    ("change", "count", "says"),
    [
        (drop_id, COUNT - 1, ["Sample card-03 of the dataset is missing from the bundle."]),
        (add_id, COUNT + 1, ["Sample card-99 of the bundle is not in the dataset."]),
        (
            lambda content: content["samples"][0].update(id="card-77"),
            COUNT,
            [
                "Sample card-00 of the dataset is missing from the bundle.",
                "Sample card-77 of the bundle is not in the dataset.",
            ],
        ),
    ],
    ids=["removed", "added", "renamed"],
)
def test_another_list_of_samples_is_noticed(bundle, truth, change, count, says):
    forge(bundle, change)
    if count != COUNT:
        assert check_bundle(bundle).problems == (
            f"The samples are not the whole split: {COUNT} in the run, {count} in the bundle.",
        )
    # a forger who changes that number too is found by the dataset alone
    forge(bundle, lambda content: content["run"].update(samples=count))
    assert check_bundle(bundle).holds
    assert check_bundle(bundle, truth).problems == tuple(says)


def test_another_draft_or_garment_is_named(bundle, truth):
    def change(content):
        content["samples"][1]["garment"] = content["samples"][5]["garment"]

    forge(bundle, change)
    assert check_bundle(bundle, truth).problems[0] == (
        "Sample card-01: garment, category, gender or view are not the dataset's."
    )
    others = replace(truth, drafts={**truth.drafts, "card-04": "0" * 64})
    assert "Sample card-04: the draft is another picture than the dataset's." in check_bundle(bundle, others).problems


def lift(content):
    """Lifts the scores of one picture, within what a sceptic could believe."""
    scores = picture(content, 6)["scores"]
    scores["clip"] += 0.5
    scores["psnr"] += 0.4


def test_an_altered_score_takes_the_images(bundle, scored, truth):
    forge(bundle, lift)
    assert check_bundle(bundle, truth).holds
    assert verify_bundle(bundle, images=scored.path / "images", bar=no_bar).holds
    verdict = verified(bundle, scored, truth)
    assert (verdict.level, len(verdict.problems)) == ("scores", 2)
    assert verdict.problems[0].startswith("Sample card-06: toy, vanilla round 3 is stated with clip ")
    assert "computed again it is" in verdict.problems[0]
    assert verdict.sentence == "refused: 2 things are not as stated"


def test_measures_are_computed_again(source, truth, tmp_path):
    measured = toy_run(tmp_path / "run", source, measures=True, repeats=2)
    bundle = write_toy_bundle(tmp_path / "bundle", measured, source)
    assert check_bundle(bundle, truth).holds
    verdict = verified(bundle, measured, truth)
    assert (verdict.level, verdict.problems) == ("scores", ())

    def calm(content):
        row = next(row for row in content["rows"] if row["method"] is None and row["round"] == 1)
        row["measures"]["outside"][2] += 0.015
        for measure in content["measures"]:
            measure["fingerprint"]["encoder model"] = "claimed, for a wider tolerance"

    forge(bundle, calm)
    assert check_bundle(bundle, truth).holds
    (problem,) = verified(bundle, measured, truth).problems
    assert problem.startswith("Sample card-02: toy, vanilla round 1 is stated with outside ")


def test_an_image_that_is_another_or_missing_is_named(bundle, scored, truth, tmp_path):
    images = shutil.copytree(scored.path / "images", tmp_path / "images")
    path = sorted(images.rglob("*.png"))[0]
    one = next(one for one in read_bundle(bundle).own_outcomes() if one.current.digest == path.stem)
    Image.new("RGB", (60, 80), "red").save(path)
    for _ in range(2):  # another picture of the same name, then no file
        verdict = verify_bundle(bundle, images=images, truth=truth, bar=no_bar)
        assert verdict.problems == (
            f"Sample {one.sample}: no picture in {images} has the pixels of {one.protocol} round {one.round} "
            f"({path.stem[:12]}…).",
        )
        path.unlink(missing_ok=True)
    with pytest.raises(InvalidDataError, match="holds no pictures"):
        verify_bundle(bundle, images=tmp_path / "bundle", bar=no_bar)


def test_images_are_known_by_their_pixels_whatever_they_are_called(bundle, scored, truth, tmp_path):
    for number, path in enumerate(sorted((scored.path / "images").rglob("*.png"))):
        Image.open(path).save(tmp_path / f"{number}.webp", lossless=True)
    assert verify_bundle(bundle, images=tmp_path, truth=truth, bar=no_bar).holds


def test_another_encoder_is_told_field_by_field(bundle, scored, truth):
    with pytest.raises(
        InvalidDataError, match=r"another encoder \(.*model: openai/clip.*yours mean-colours.*--encoder"
    ):
        verified(bundle, scored, truth, MeanColours)


def test_a_scale_that_makes_more_hits_is_refused(bundle):
    def change(content):
        content["metrics"][0]["scale"] = 90.0

    forge(bundle, change)
    assert "The bundle has other metrics than" in check_bundle(bundle).problems[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda content: content.update(name="best-org/model"),
            "The bundle is called best-org/model and its",
        ),
        (lambda content: content["run"].update(split="train"), "The run went over train; the leaderboard is that of"),
        (lambda content: content["run"].update(control_set=True), "The run was made on the control set of rendered"),
        (lambda content: content["run"]["editor"].update(privileged=True), "The editor toy sees the answer"),
        (lambda content: content["run"].update(protocol_version="0"), "The protocol version is 0; this package"),
        (lambda content: content["rows"].pop(1), "The bundle does not have the 3 rounds of each of the run's"),
    ],
    ids=["name", "split", "control set", "privileged", "version", "round"],
)
def test_a_run_that_can_t_be_submitted_is_refused(bundle, change, says):
    forge(bundle, change)
    assert says in " ".join(check_bundle(bundle).problems)


def _not_run(content):
    for row in content["rows"]:
        if row["method"] is None:
            row["status"][5], row["pictures"][5] = "error", None


def _no_ceiling(content):
    content["rows"] = [row for row in content["rows"] if row["method"] is None or row["method"]["kind"] != "ceiling"]


def _hidden_failure(content):
    for row in content["rows"]:
        if row["method"] is None:
            row["status"][3] = "ok"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_not_run, "rounds ended with status error"),
        (_hidden_failure, "Sample card-03: vanilla round 2 ended ok and has no picture."),
        (lambda content: content["rows"][1]["status"].pop(), "one status, picture and measure for each of 8 samples"),
        (lambda content: content["rows"][1]["status"].__setitem__(0, "fine"), "the unknown status 'fine'"),
        (lambda content: content["rows"][1]["pictures"].__setitem__(0, 99), "ended ok and names a picture."),
        (lambda content: content["rows"].append(content["rows"][1]), "twice."),
        (lambda content: content["rows"].pop(0), "The bundle lacks the row of the draft."),
        (_no_ceiling, "The bundle lacks the row of the original."),
        (lambda content: content["samples"].__setitem__(1, content["samples"][0]), "no samples, or one twice"),
        (lambda content: picture(content, 0)["scores"].pop("psnr"), "without one score for each of clip, psnr"),
        (lambda content: picture(content, 0)["scores"].update(clip=140.0), "a score that is not possible"),
        (lambda content: content["rows"][1].update(repeats={"other": [1.0]}), "a metric that the bundle does not have"),
        (lambda content: content["rows"][1].update(measures={"other": [1.0] * 8}), "a measure that there is not"),
    ],
)
def test_parts_that_do_not_fit_together_are_named(bundle, change, says):
    forge(bundle, change)
    assert says in " ".join(check_bundle(bundle).problems)


def test_limits_the_wrong_way_round_are_refused_in_a_sentence(bundle):
    content = json.loads((bundle / "bundle.json").read_text())
    content["metrics"][1]["limits"] = [100.0, 0.0]
    (bundle / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(InvalidDataError, match="the lower one comes first"):
        check_bundle(bundle)


def test_a_score_on_the_threshold_is_no_hit(bundle):
    """Hits are counted of the scores as they are stored, so that everybody counts the same."""

    def edge(content, value):
        picture(content, 0, round=1)["scores"]["clip"] = value

    shares = []
    for value in (90.000001, 90.0):
        forge(bundle, partial(edge, value=value))
        verdict = check_bundle(bundle)
        assert verdict.holds
        shares.append(verdict.bundle.results.rows[1].scores["clip_star"].mean)
    assert shares[0] - shares[1] == pytest.approx(100 / COUNT)


def test_the_annotations_form_knows_the_samples_too(bundle, source, tmp_path):
    write_annotations(source.path, tmp_path / "annotations")
    truth = find_ground_truth(str(tmp_path / "annotations"), toy_benchmark(source))
    assert not truth.full
    assert (len(truth.originals), len(truth.drafts)) == (COUNT, COUNT)
    assert check_bundle(bundle, truth).holds
    assert not check_bundle(bundle, replace(truth, originals={"card-01": "0" * 64})).holds


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
    picture(content, 6)["scores"]["clip"] -= 1.5


def test_a_cosine_that_only_the_original_has_is_a_copy_whatever_psnr_says(bundle):
    """As of a picture that shows the original where CLIP crops, and something else around it."""

    def crops(content):
        for place in range(COUNT):
            picture(content, place)["scores"]["clip"] = 99.9

    forge(bundle, crops)
    assert "that is the original or nearly" in " ".join(check_bundle(bundle).problems)
