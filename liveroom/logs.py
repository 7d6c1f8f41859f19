"""What a node says to its operator: lines for a terminal or JSON, and never what a viewer said or who he is.

An exception is logged with its kind and where it came from, but not with its message, for that may quote a token, a
name or a comment; those of the operating system are safe.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Iterator
from traceback import extract_tb, format_list
from typing import Any, Final

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

LINES: Final[Counter[str]] = Counter()  # said by this process, by level
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
DEEPEST = 8  # exceptions that led to one another

log = structlog.get_logger()


def begin_logs(form: str, level: str) -> None:
    """Everything goes to stderr, one line each: ours from ``level`` on, others' from warnings on."""
    warnings.filterwarnings("ignore", "EdDSA is deprecated")  # RFC 9864 renames it; both names are taken
    human = form == "console" or (form == "auto" and sys.stderr.isatty())
    stamp = structlog.processors.TimeStamper(fmt="iso")
    shared: list[Processor] = [structlog.stdlib.add_log_level, count, stamp, shape]
    last: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if human:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    others = logging.StreamHandler(sys.stderr)
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    others.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[clean, last], foreign_pre_chain=shared))
    logging.basicConfig(level=logging.WARNING, handlers=[others], force=True)
    logging.captureWarnings(True)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    begin_hooks()


def begin_hooks() -> None:
    """What nobody caught is logged like everything else."""
    sys.excepthook = lambda kind, error, trace: log.critical("the node ends", exc_info=error)
    threading.excepthook = lambda args: log.error("a thread failed", exc_info=args.exc_value)
    sys.unraisablehook = lambda args: log.error("something failed unheard", exc_info=args.exc_value)


def log_surprise(_: AbstractEventLoop, context: dict[str, Any]) -> None:
    """The loop's own way to say it would show the values it was working on."""
    log.error("a callback of the node failed", why=context.get("message"), exc_info=context.get("exception"))


def count(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    LINES[event["level"]] += 1
    return event


def shape(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """An exception becomes its kind and the places it came by."""
    found: ExcInfo | BaseException | bool | None = event.pop("exc_info", None)
    error = found if isinstance(found, BaseException) else found[1] if isinstance(found, tuple) else sys.exc_info()[1]
    if found and error is not None:
        event["exception"] = "\n".join(shaped(error))
    return event


def shaped(error: BaseException, depth: int = 0) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause and depth < DEEPEST:
        yield from shaped(cause, depth + 1)
        yield "and then:"
    yield "Traceback (most recent call last):"
    yield "".join(format_list(extract_tb(error.__traceback__))).rstrip()
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    yield f"{name}: {error}" if isinstance(error, OSError) else name
    if isinstance(error, BaseExceptionGroup) and depth < DEEPEST:
        for inner in error.exceptions:
            yield from shaped(inner, depth + 1)
