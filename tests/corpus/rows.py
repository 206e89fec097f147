"""The corpus's rows as pytest parameters, each under its own id."""

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def rows(name, wanted=lambda row: True):
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    found = [row for row in map(json.loads, lines) if wanted(row)]
    assert found, f"no row of {name} is wanted"
    return [pytest.param(row, id=row["id"]) for row in found]
