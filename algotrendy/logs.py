"""How log lines look: one line each, as text for people or, with `LOG_FORMAT=json`, for machines.

No line holds a secret, whoever writes it: tokens and keys are known by their shape, wherever they stand, because a
mistyped address is one that no rule for addresses knows.
"""

import functools
import itertools
import re

import structlog
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from structlog.typing import EventDict, Processor


def without_refusals(_: object, __: str, event: EventDict) -> EventDict:
    """Leave out the traceback of what is refused on purpose: it is the stranger's fault, and one line says it."""
    raised = event.get("exc_info")
    error = raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, PermissionDenied | SuspiciousOperation):
        del event["exc_info"]
    return event


def without_queries(_: object, __: str, event: EventDict) -> EventDict:
    """Leave out the query of the request that a line is about: a key may be in it."""
    if isinstance(event.get("request"), str):
        path, mark, _query = event["request"].partition("?")
        event["request"] = f"{path}?{HIDDEN_TEXT}" if mark else path
    return event


SHARED: list[Processor] = [
    without_refusals,
    without_queries,
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


HIDDEN_TEXT = "[hidden]"
_RUN = re.compile(r"[A-Za-z0-9_-]{20,}")
_SIGN = re.compile(r"[-_]")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_QUERY = re.compile(r"(/[^\s'\"?]*)\?[^\s'\"]+")
_LOGIN_IN_URL = re.compile(r"(://[^\s/:@]*):[^\s/@]+@")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# From lower to upper case or between letters and digits: rare in names of things, every third place by chance.
_CHANGE = re.compile(r"[a-z](?=[A-Z])|[A-Za-z](?=[0-9])|[0-9](?=[A-Za-z])")
_SHARE_OF_CHANGES = 0.15
# The commonest pairs of letters of names and words: most of a word is made of them, a sixth of what is drawn.
_PAIRS = """
er in re es te ed on en ti or at st se le de co ng ar nt ra al ro io li et an ec me ri ne it ve tr as ea pe
ta ct ce si is ad lo ns el pa nd ac sc hu ih ep rl of um ii cr ln ca th ma ts ke ut il ol ur ie na us om id
ck no ex em ig ha rt po mp ot os im ho ap rf da mo wa be ee pl ai sa bo ab oo ni sh od oc bl ef op pt tt iv
ic di ou un to la ch pr fi mi su so ge ay ly ll
"""
_COMMON = frozenset(_PAIRS.split())
_SHARE_OF_COMMON = 0.4
_ONE_CASE = 20  # characters without a sign between them; a word is rarely as long
_LONG = 40  # characters; our own tokens have 43, and nothing in one word with digits or both cases is as long


def looks_random(text: str) -> bool:
    """Return whether a run of letters, digits, "-" and "_" may be a token; ids of requests are none."""
    if _UUID.fullmatch(text):
        return False
    if len(text) >= _LONG or (text.isalnum() and text.isupper()):  # capitals: the seed of an authenticator app
        if text != text.lower() or any(map(str.isdigit, text)):
            return True
    elif len(_CHANGE.findall(text)) >= _SHARE_OF_CHANGES * len(text):
        return True
    return any(map(_is_no_word, _SIGN.split(text)))


def _is_no_word(text: str) -> bool:
    """Return whether small letters are no word: digits are scattered among them, or their pairs are uncommon."""
    if len(text) < _ONE_CASE or not text.islower():
        return False
    if not text.isalpha():
        return len(_CHANGE.findall(text)) >= 2
    common = sum(first + second in _COMMON for first, second in itertools.pairwise(text))
    return common < _SHARE_OF_COMMON * (len(text) - 1)


def masked(line: str) -> str:
    """Return `line` without tokens, queries and passwords of addresses, and what steers a terminal."""
    line = _LOGIN_IN_URL.sub(rf"\1:{HIDDEN_TEXT}@", line)
    line = _QUERY.sub(rf"\1?{HIDDEN_TEXT}", line)
    line = _RUN.sub(lambda run: HIDDEN_TEXT if looks_random(run[0]) else run[0], line)
    return _CONTROLS.sub(lambda control: f"\\x{ord(control[0]):02x}", line)


def without_secrets(renderer: Processor) -> Processor:
    """Return a renderer whose lines are masked."""

    @functools.wraps(renderer)
    def render(logger: object, name: str, event: EventDict) -> str:
        return masked(str(renderer(logger, name, event)))

    return render


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
    renderer = without_secrets(structlog.processors.JSONRenderer() if json else as_text)
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
