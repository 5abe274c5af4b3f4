"""A judge on loopback whose preferences a test knows, and runs whose results it can tell apart.

One editor paints a white corner, the other a black one; the wishes name the sample. So the service sees in a request
which sample it is about and whose result is on the left, as a judge with eyes would, and by nothing else.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from json_service import Asked, JsonService, Reply, as_json
from PIL import Image
from scored_toys import drawn_baselines, drawn_sample, toy_embedder
from toy_editors import ToyEditor

from fashionedit.eval_harness.editing import EditRequest
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scores.results import build_results, write_results
from fashionedit.folder import FashionEditFolder, open_folder, write_folder

VERSION = "toy-judge-2026-11-28"
TOKENS_IN, TOKENS_OUT = 1_000, 50


@dataclass(frozen=True)
class Shown:
    """What a request shows."""

    sample: str
    first_is_left: bool
    pictures: int
    body: dict[str, Any]

    def place(self, side: str) -> str:
        """Returns where a side is: `left` or `right`; a tie is a tie."""
        return side if side == "tie" else "left" if (side == "first") == self.first_is_left else "right"


def completion(text: str | None = None, *, refusal: str | None = None, finish: str = "stop") -> Reply:
    """Returns an answer of chat completions."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return as_json(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_764_000_000,
            "model": VERSION,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {
                "prompt_tokens": TOKENS_IN,
                "completion_tokens": TOKENS_OUT,
                "total_tokens": TOKENS_IN + TOKENS_OUT,
            },
        }
    )


def response(text: str) -> Reply:
    """Returns an answer of OpenAI's responses."""
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
    usage = {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT}
    return as_json({"id": "resp-1", "object": "response", "model": VERSION, "output": [message], "usage": usage})


def better(place: str) -> Reply:
    """Returns the answer that prefers a place."""
    return completion(json.dumps({"reason": "It looks right.", "better": place}))


@contextmanager
def judge_service(prefers: Callable[[Shown], Reply | str]) -> Iterator[JsonService]:
    """Yields the service; `prefers` answers with a side (`first`, `second`, `tie`) or with any reply."""

    def answer(asked: Asked) -> Reply:
        if asked.method != "POST":
            return as_json({"detail": "Not Found"}, 404)
        shown = _shown(asked.json())
        found = prefers(shown)
        if not isinstance(found, str):
            return found
        answer = {"reason": "It looks right.", "better": shown.place(found)}
        return response(json.dumps(answer)) if asked.path.endswith("/responses") else completion(json.dumps(answer))

    with JsonService(answer) as service:
        service.path = "/v1"
        yield service


def _shown(body: dict[str, Any]) -> Shown:
    content = (body.get("messages") or body["input"])[0]["content"]
    texts = [part["text"] for part in content if "text" in part]
    urls = [part["image_url"] for part in content if "image_url" in part]
    pictures = [url if isinstance(url, str) else url["url"] for url in urls]
    (number,) = {found for text in texts for found in re.findall(r"of card (\d+) is", text)}
    first, second = map(_is_white, pictures[-2:])
    assert first != second
    return Shown(f"card-{int(number):02d}", first, len(pictures), body)


def _is_white(url: str) -> bool:
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    return image.getpixel((3, 3))[0] > 128


def painted(colour: int, *, alike: bool = False) -> Callable[[EditRequest], Image.Image]:
    """An edit that paints a corner, and a mark of the round and, unless `alike`, of the protocol."""

    def does(request: EditRequest) -> Image.Image:
        image = request.base.copy()
        image.paste((colour,) * 3, (0, 0, 12, 12))
        mark = 0 if alike else 60 * len(request.images)
        image.paste((request.round * 40, colour // 2, mark), (40, 60, 50, 70))
        return image

    return does


def write_cards(folder: Path, count: int, per_garment: int = 2) -> FashionEditFolder:
    """Writes a dataset of drawn cards and opens it."""
    samples = [drawn_sample(number, garment=f"g{number // per_garment}") for number in range(count)]
    write_folder(folder, {"validation": samples})
    return open_folder(folder)


def write_runs(
    folder: Path, count: int = 6, *, scored: bool = False, alike: bool = False, rounds: int = 1, **choices: Any
) -> list[Path]:
    """Makes the runs `white` and `black` over as many cards; `scored` writes their results too."""
    source = write_cards(folder / "cards", count)
    paths = []
    for name, colour in (("white", 255), ("black", 0)):
        editor = ToyEditor(painted(colour, alike=alike), fingerprint=name)
        run(editor, source, folder / name, name=name, rounds=rounds, data=str(folder / "cards"), **choices)
        if scored:
            results = build_results(
                RunFolder.open(folder / name), source, toy_embedder(), measures=False, baselines=drawn_baselines(source)
            )
            write_results(results, folder / name / "results.json")
        paths.append(folder / name)
    return paths
