import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liveroom import cli
from tests.retention.typed import Command, Done


@pytest.fixture
def retention(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Type the command for a file with this content; in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def typed(content: str | bytes, *words: str, name: str = "who.csv") -> Done:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        monkeypatch.setattr(sys, "argv", ["liveroom", "retention", name, *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)

    return typed


@pytest.fixture
def read(retention: Command) -> Callable[..., Any]:
    """The JSON of a file."""
    return lambda content, *words: retention(content, "--json", *words).found
