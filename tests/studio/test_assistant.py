"""The assistant, on a model whose answers the test decides."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
from json_service import Asked, JsonService, Reply, as_json
from judge_service import completion
from PIL import Image

from fashionedit.errors import BudgetSpentError, InvalidDataError, ServiceError, UnknownNameError
from fashionedit.runtime.costs import Price
from fashionedit.studio.assistant import Assistant

DESIGN, WANTED = Image.new("RGB", (512, 768), "navy"), Image.new("RGB", (300, 400), "red")
EDITS = [
    {"description": f"Wearing a red {part}", "box_2d": [100 * place, 100, 100 * place + 90, 900]}
    for place, part in enumerate(("collar", "cuff", "hem"), 1)
]


@contextmanager
def model(*texts: str | Reply):
    """Yields a service that gives these answers, the last one again and again."""
    left = list(texts)

    def answer(asked: Asked) -> Reply:
        if asked.method != "POST":
            return as_json({"detail": "Not Found"}, 404)
        found = left.pop(0) if len(left) > 1 else left[0]
        return found if isinstance(found, Reply) else completion(found)

    with JsonService(answer) as service:
        service.path = "/v1"
        yield service


def assistant(service: JsonService, **options) -> Assistant:
    return Assistant("openai:toy-model", base_url=service.url, **options)


def shown(service: JsonService) -> list[tuple[int, int]]:
    """Returns the sizes of the pictures in the last request."""
    content = service.posts()[-1].json()["messages"][0]["content"]
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size for url in urls]


def test_words_become_an_instruction_with_a_box():
    answer = json.dumps({"instruction": "Turn the collar into a red  spread collar.", "box_2d": [50, 300, 200, 700]})
    with model(f"Here you are:\n```json\n{answer}\n```") as service:
        found = assistant(service).make_precise('make the "neck thing" red', DESIGN, WANTED)
    assert found.words == "Turn the collar into a red spread collar."
    assert found.box is not None
    assert found.to_json()["box"] == [50, 300, 200, 700]
    assert shown(service) == [(512, 768), (300, 400)]
    text = service.posts()[0].json()["messages"][0]["content"][0]["text"]
    assert json.dumps('make the "neck thing" red') in text


def test_a_box_that_is_none_is_left_out():
    with model(json.dumps({"instruction": "Red collar.", "box_2d": [5, 5, 1, 1]})) as service:
        assert assistant(service).make_precise("red", DESIGN).box is None
    assert shown(service) == [(512, 768)]


def test_a_wanted_picture_becomes_three_edits_by_the_builders_analysis():
    with model("I can't decide.", json.dumps({"differences": EDITS})) as service:
        found = assistant(service).propose(DESIGN, WANTED)
    assert [one.words for one in found] == [edit["description"] for edit in EDITS]
    assert [one.to_json()["box"] for one in found] == [edit["box_2d"] for edit in EDITS]
    assert shown(service) == [(300, 400), (512, 768)]  # the wanted picture is the analysis' original
    assert len(service.posts()) == 2


@pytest.mark.parametrize(
    ("ask", "error", "sentence"),
    [
        (lambda one: one.make_precise("red", DESIGN), InvalidDataError, "no answer that can be used"),
        (lambda one: one.propose(DESIGN, WANTED), InvalidDataError, "no answer that can be used"),
        (lambda one: one.make_precise("  ", DESIGN), InvalidDataError, "in your own words"),
    ],
)
def test_what_can_not_be_used_is_said(ask: Callable[[Assistant], object], error: type[Exception], sentence: str):
    with model("no JSON at all") as service, pytest.raises(error, match=sentence):
        ask(assistant(service))


def test_a_refusal_and_a_service_that_is_down_are_said():
    with model(completion(refusal="I won't.")) as service, pytest.raises(ServiceError, match=r"refused: I won't\."):
        assistant(service).make_precise("red", DESIGN)
    down = as_json({"error": {"message": "overloaded"}}, 503)
    with model(down) as service, pytest.raises(ServiceError, match="did not answer"):
        assistant(service).make_precise("red", DESIGN)


def test_the_budget_of_the_studio_holds_for_the_assistant_too(tmp_path: Path):
    answer = json.dumps({"instruction": "Red collar.", "box_2d": [50, 300, 200, 700]})
    price = Price(input=100.0, output=100.0)
    with model(answer) as service:
        one = assistant(service, sessions=tmp_path, budget=1.0, price=price)
        one.make_precise("red", DESIGN)
        assert (tmp_path / "ledger.jsonl").is_file()
        poor = assistant(service, sessions=tmp_path, budget=0.1, price=price)
        with pytest.raises(BudgetSpentError):
            poor.make_precise("red", DESIGN)
        with pytest.raises(InvalidDataError, match="price of toy-model is not known"):
            assistant(service, budget=1.0)
    assert len(service.posts()) == 1


def test_an_assistant_is_an_openai_model():
    for spec in ("toy", "openai:", "http://somewhere"):
        with pytest.raises(UnknownNameError, match="openai:MODEL"):
            Assistant(spec)
