"""How documents from outside become frozen models: camelCase aliases, and numbers as JSON means them."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("number expected")
    if not math.isfinite(value):
        raise ValueError("finite number expected")
    return int(value) if float(value).is_integer() else value


def _whole(value: Any) -> int:
    number = _number(value)
    if not isinstance(number, int):
        raise ValueError("whole number expected")
    return number


def _millis(value: Any) -> int:
    return math.floor(_number(value))


Number = Annotated[int | float, BeforeValidator(_number)]
"""A finite JSON number; 15.0 is 15, so that writing it again gives what JavaScript writes."""
Count = Annotated[int, BeforeValidator(_whole)]
"""A whole number; 15.0 (as a Convex backend prints) and 15 are the same."""
Millis = Annotated[int, BeforeValidator(_millis)]
"""A time or a length in whole milliseconds; fractions (`_creationTime` has them) are cut off."""


class Wire(BaseModel):
    """A frozen model with camelCase names at the wire; fields it does not know are kept, not judged."""

    model_config = ConfigDict(
        frozen=True, extra="allow", alias_generator=to_camel, populate_by_name=True, loc_by_alias=True
    )
