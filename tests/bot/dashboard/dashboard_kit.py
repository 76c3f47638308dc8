"""The recorded artifact folder, to draw dashboards of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

SAMPLES = Path(__file__).parents[2] / "data" / "samples" / "artifacts"
API_URL, SAMPLE_URL = "https://sample-otter-123.convex.cloud", "https://sample-otter-123.convex.site"


def fill(folder: Path, url: str = SAMPLE_URL) -> None:
    """The folder as it was when the recorded dashboard was made, measured on ``url``."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = {path.name: path for path in SAMPLES.glob("*/*.json")}
    for name in json.loads((SAMPLES / "dashboard" / "run.json").read_text())["filesBefore"]:
        shutil.copyfile(samples[name], folder / name)
        text = (folder / name).read_text().replace(SAMPLE_URL, url)
        (folder / name).write_text(text)
