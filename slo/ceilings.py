"""How much load is allowed (VERDICTS.md, "Profiles")."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Ceilings(BaseModel):
    """What a drill may do at most; None is no limit of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    in_flight: int | None = Field(default=None, ge=1)
    streams: int | None = Field(default=None, ge=1)
    requests: int | None = Field(default=None, ge=1)
    minutes: int | None = Field(default=None, ge=1)
