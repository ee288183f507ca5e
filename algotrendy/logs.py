"""How log lines look: one line each, as text for people or, with `LOG_FORMAT=json`, for machines."""

import structlog
from structlog.typing import EventDict, Processor

SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.format_exc_info,
]
HIDDEN = ("level", "logger", "event", "exception")


def as_text(_: object, __: str, event: EventDict) -> str:
    """Render `LEVEL logger event key=value`, then the traceback if there is one."""
    fields = "".join(f" {key}={value!r}" for key, value in sorted(event.items()) if key not in HIDDEN)
    line = f"{str(event['level']).upper()} {event['logger']} {event['event']}{fields}"
    return f"{line}\n{event['exception']}" if "exception" in event else line


def configure(*, level: str, json: bool) -> dict[str, object]:
    """Send structlog's events through Python's logging and return Django's `LOGGING`."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Processor = structlog.processors.JSONRenderer() if json else as_text
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": SHARED,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    }
    quiet = ("django_structlog", "httpx", "kombu", "celery")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {name: {"level": "WARNING"} for name in quiet},
    }
