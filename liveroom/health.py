"""`python -m liveroom.health`: exit 0 if the node of this container lives (or, with `ready`, takes viewers), else 1.

The standard library alone, for it is run every few seconds. Where the node listens it takes from LIVEROOM_HOST and
LIVEROOM_PORT, as the node does.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

PATIENCE_SECONDS = 2.5
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
USE = "use: python -m liveroom.health [live|ready]"


def address(environ: Mapping[str, str], probe: str) -> str:
    host = environ.get("LIVEROOM_HOST", "127.0.0.1")
    host = EVERYWHERE.get(host, host)
    port = environ.get("LIVEROOM_PORT", "8000")
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/{probe}z"


def main(words: list[str], environ: Mapping[str, str]) -> str | None:
    """What is wrong, if anything."""
    probe = words[0] if words else "live"
    if len(words) > 1 or probe not in ("live", "ready"):
        return USE
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(address(environ, probe), timeout=PATIENCE_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        with error:
            return f"liveroom: {error.code}: {error.read(200).decode(errors='replace')}"
    except (OSError, ValueError) as error:
        return f"liveroom: no answer at {address(environ, probe)}: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
