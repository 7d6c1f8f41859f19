"""Faults on purpose: a copy of the project with something changed in it, to see that the tests would notice."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_NEEDED = ("__pycache__", ".peers-venv", "results")

Edit = tuple[str, str, str]  # file, what stands there once, what is put instead


def plant(into: Path, edits: tuple[Edit, ...], *packages: str) -> None:
    """Copy these packages, with the edits made."""
    for package in packages:
        shutil.copytree(ROOT / package, into / package, ignore=shutil.ignore_patterns(*NOT_NEEDED))
    for name, old, new in edits:
        path = into / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{name} has {text.count(old)} of {old!r}: plant the fault elsewhere"
        path.write_text(text.replace(old, new), "utf-8")
