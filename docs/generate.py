"""Writes the contract for others – docs/protocol.md, both YAML files, the SDK's types – from the server's own types."""

from pathlib import Path

import yaml

from liveroom.contracts.asyncapi import asyncapi
from liveroom.contracts.openapi import openapi
from liveroom.contracts.page import page
from liveroom.contracts.typescript import typescript

ROOT = Path(__file__).parents[1]
NOTE = "# Generated from the server's types by `make docs`: do not edit.\n"


class Plain(yaml.SafeDumper):
    """YAML in which everything is written out where it is."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def as_yaml(document: object) -> str:
    text: str = yaml.dump(
        document, Dumper=Plain, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
    )
    return NOTE + text


def documents() -> dict[str, str]:
    """Every generated file: where it goes, and what it says."""
    return {
        "docs/protocol.md": page(),
        "docs/asyncapi.yaml": as_yaml(asyncapi()),
        "docs/openapi.yaml": as_yaml(openapi()),
        "web/sdk/src/protocol.ts": typescript(),
    }


def stale(root: Path) -> list[str]:
    """Which of the files in a tree say something else."""
    return [name for name, text in documents().items() if read(root / name) != text]


def read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def main() -> None:
    for name, text in documents().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
