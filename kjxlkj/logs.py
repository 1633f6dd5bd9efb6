"""Log lines: for people, or as JSON for machines; each with the request (or job) that it is about."""

import logging
import os
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from kjxlkj.request_id import current_request_id

FORMATS = ("line", "json")
_LINE = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        # A job's transition names its own: a sweep tells of many jobs, and belongs to no request.
        record.request_id = getattr(record, "request_id", "") or current_request_id() or "-"
        return True


def configuration() -> dict[str, Any]:
    """For `logging.config.dictConfig`: everything to stderr. Raises ImproperlyConfigured for an unknown format."""
    format_ = os.environ.get("KJXLKJ_LOG_FORMAT", "line")
    if format_ not in FORMATS:
        raise ImproperlyConfigured(f"KJXLKJ_LOG_FORMAT: {format_!r} is none of {', '.join(FORMATS)}.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "kjxlkj.logs.RequestIdFilter"}},
        "formatters": {
            "line": {"format": _LINE},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "format": "%(levelname)s %(name)s %(request_id)s %(message)s",
                "rename_fields": {"levelname": "level", "name": "logger"},
                "timestamp": "time",
            },
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": format_, "filters": ["request_id"]},
        },
        "root": {"handlers": ["stderr"], "level": os.environ.get("KJXLKJ_LOG_LEVEL", "INFO")},
        "loggers": {
            "axes": {"level": "WARNING"},
            "django-q": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
            # At DEBUG it writes headers, and servers may repeat in theirs what was in ours: keys.
            "httpcore": {"level": "INFO"},
            # A line for each request, which exchanges tell better.
            "httpx": {"level": "WARNING"},
            # Of the web server, which otherwise writes lines of its own form.
            "gunicorn.error": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }
