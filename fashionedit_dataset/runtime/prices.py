"""What tokens cost: a small dated table of published prices, which a user's own prices come before.

No service tells its prices in its answers, so that these are written down by hand, each with its source. Money that is
computed from them is as right as they are; the tokens are always kept beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fashionedit.errors import InvalidDataError

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_OPTIONS = {"input": "input", "cached": "cached", "output": "output", "image": "image"}


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model, USD per million tokens.

    Args:
        input: Of what is sent.
        output: Of what comes back; for a model that makes images, of image tokens.
        cached: Of what is sent and was in the service's cache; None has no discount.
        image: Of image tokens that are sent, where they cost other than text.
        source: Where the price stands.
        as_of: The day on which it stood there, or was read (from a stored copy).

    Raises:
        InvalidDataError: A price is negative.
    """

    input: float
    output: float
    cached: float | None = None
    image: float | None = None
    source: str = "the user"
    as_of: str | None = None

    def __post_init__(self) -> None:
        for name in _OPTIONS:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1e6:
                raise InvalidDataError(f"the price of {name} is {value}; give USD per million tokens, from 0 on")

    def cost(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        cached_tokens: int = 0,
        image_tokens: int = 0,
    ) -> float:
        """Returns USD; see `cost_of`.

        >>> Price(input=0.4, cached=0.1, output=1.6).cost(input_tokens=10**6, cached_tokens=500_000, output_tokens=0)
        0.25
        """
        cached = min(cached_tokens, input_tokens)
        images = min(image_tokens, input_tokens - cached)
        return (
            (input_tokens - cached - images) * self.input
            + cached * (self.input if self.cached is None else self.cached)
            + images * (self.input if self.image is None else self.image)
            + output_tokens * self.output
        ) / 1e6


_PAGE = "https://developers.openai.com/api/docs/models/"
_TABLE = "https://developers.openai.com/api/docs/pricing"

PRICES: Mapping[str, Price] = MappingProxyType(
    {
        "gpt-4.1-mini": Price(0.40, 1.60, cached=0.10, source=_TABLE, as_of="2026-06-21"),
        "gpt-4.1": Price(2.00, 8.00, cached=0.50, source=_TABLE, as_of="2026-06-21"),
        "gpt-4o": Price(2.50, 10.00, cached=1.25, source=_TABLE, as_of="2026-05-01"),
        "gpt-4o-mini": Price(0.15, 0.60, cached=0.075, source=_TABLE, as_of="2026-05-01"),
        "gpt-5-mini": Price(0.25, 2.00, cached=0.025, source=_TABLE, as_of="2026-03-01"),
        "gpt-5.4-mini": Price(0.75, 4.50, cached=0.075, source=_TABLE, as_of="2026-03-27"),
        "gpt-5.6-luna": Price(0.20, 1.20, cached=0.02, source=f"{_PAGE}gpt-5.6-luna", as_of="2026-11-24"),
        "gpt-6-luna": Price(0.10, 0.50, cached=0.01, source=f"{_PAGE}gpt-6-luna", as_of="2026-11-24"),
        "gpt-image-1": Price(5.00, 40.00, cached=1.25, image=10.00, source=f"{_PAGE}gpt-image-1", as_of="2026-11-24"),
        "gpt-image-1-mini": Price(
            2.00, 8.00, cached=0.20, image=2.50, source=f"{_PAGE}gpt-image-1-mini", as_of="2026-11-24"
        ),
        "gpt-image-2.6-sunburst": Price(
            5.00, 30.00, cached=1.25, image=8.00, source=f"{_PAGE}gpt-image-2.6-sunburst", as_of="2026-11-24"
        ),
    }
)
"""Published prices of the models that the documentation names, and of those named as their successors."""


def price_of(model: str, prices: Mapping[str, Price] | None = None) -> Price | None:
    """Returns the price of the model, or of the model that it is a dated snapshot of; None where no price is known.

    Args:
        model: As it is called with.
        prices: Looked into first; the name `*` stands for every model.

    >>> price_of("gpt-4.1-mini-2025-04-14") == PRICES["gpt-4.1-mini"]
    True
    """
    names = (model, _SNAPSHOT.sub("", model))
    for table in (prices or {}, PRICES):
        for name in (*names, "*"):
            if name in table:
                return table[name]
    return None


def cost_of(
    model: str,
    *,
    input_tokens: int,
    output_tokens: int,
    cached_tokens: int = 0,
    image_tokens: int = 0,
    prices: Mapping[str, Price] | None = None,
) -> float | None:
    """Returns what the tokens cost, USD; None where no price of the model is known.

    Args:
        model: As it is called with.
        input_tokens: All that was sent.
        output_tokens: All that came back, reasoning included.
        cached_tokens: How many of the input tokens came from the service's cache.
        image_tokens: How many of the input tokens are of images; counts only where they cost other than text.
        prices: Of the user; they come before the table.
    """
    price = price_of(model, prices)
    if price is None:
        return None
    return price.cost(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached_tokens,
        image_tokens=image_tokens,
    )


def parse_price(text: str) -> Price:
    """Returns the price that a text like `input=0.4,output=1.6` or `input=0.4,cached=0.1,output=1.6` gives.

    Raises:
        InvalidDataError: The text is not of this form.

    >>> parse_price("input=2,output=8").output
    8.0
    """
    values: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        try:
            if name not in _OPTIONS or name in values:
                raise ValueError
            values[name] = float(value)
        except ValueError:
            raise InvalidDataError(
                f"{part.strip()!r} is no price; write input=USD,output=USD (per million tokens), and where they differ "
                "cached=USD and image=USD"
            ) from None
    if missing := [name for name in ("input", "output") if name not in values]:
        raise InvalidDataError(f"the price {text!r} lacks {' and '.join(missing)}; write input=USD,output=USD")
    return Price(values["input"], values["output"], cached=values.get("cached"), image=values.get("image"))


class _WrittenPrice(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(None, ge=0)
    image: float | None = Field(None, ge=0)
    source: str = "the user"
    as_of: str | None = None


_WRITTEN = TypeAdapter(dict[str, _WrittenPrice])


def read_prices(path: Path) -> dict[str, Price]:
    """Returns the prices in a JSON file: `{"model": {"input": 0.4, "cached": 0.1, "output": 1.6}}`.

    Raises:
        InvalidDataError: The file can't be read, or is not of this form; the message names the field.
    """
    try:
        found = _WRITTEN.validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); check the path") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidDataError(
            f"{path}{f', {where}' if where else ''}: {first['msg']}; write "
            '{"MODEL": {"input": USD, "output": USD}}, per million tokens'
        ) from error
    names = [field.name for field in fields(Price)]
    return {model: Price(**{name: getattr(written, name) for name in names}) for model, written in found.items()}
