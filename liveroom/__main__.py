"""``python -m liveroom``."""

from liveroom.cli import main

main()
