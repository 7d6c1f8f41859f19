"""One last line after pytest's own: what was skipped, and what to install to run it."""

from collections.abc import Generator

import pytest

PREFIX = "Skipped: "


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost, so after the terminal reporter's closing line
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and (reports := terminal.stats.get("skipped")):
        # "needs NAME: install PACKAGE" is how our tests say it; any other reason is shown as it is.
        wants = {str(report.longrepr[2]).removeprefix(PREFIX).removeprefix("needs ") for report in reports}
        terminal.write_line(f"skipped: {len(reports)} ({'; '.join(sorted(wants))})")
