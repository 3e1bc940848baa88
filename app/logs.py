"""Write the log: JSON lines on stderr that hold no text of users."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

QUIET = logging.WARNING
"""The level of commands that do not serve."""

MAX_FRAMES = 30


def set_up(*, level: int = logging.INFO) -> None:
    """Send every log line to stderr as JSON; other libraries speak from WARNING on."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_exceptions,
    ]
    renderer = structlog.processors.JSONRenderer(ensure_ascii=False, default=repr)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler.setFormatter(formatter)
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def _name_exceptions(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Put an exception's type and frames in place of its message, which may quote a request."""
    given = line.pop("exc_info", None)
    caught = sys.exc_info() if given is True else given
    error = caught if isinstance(caught, BaseException) else caught[1] if caught else None
    if error is not None:
        line["error"] = describe(error)
    return line


def describe(error: BaseException) -> list[dict[str, Any]]:
    """An exception and its causes: types, and where each was raised, innermost last."""
    found: list[dict[str, Any]] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        kind = type(cause)
        found.append({"type": f"{kind.__module__}.{kind.__qualname__}", "frames": _frames(cause)})
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return found


def _frames(error: BaseException) -> list[str]:
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        module = trace.tb_frame.f_globals.get("__name__", code.co_filename)
        frames.append(f"{module}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames[-MAX_FRAMES:]
