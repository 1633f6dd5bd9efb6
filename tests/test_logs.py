"""What machines read of our log, taken from the stderr of a real process."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from kjxlkj.logs import configuration

PROGRAM = """
import logging, logging.config
from kjxlkj.logs import configuration
from kjxlkj.request_id import set_request_id
logging.config.dictConfig(configuration())
log = logging.getLogger("kjxlkj.somewhere")
log.info("of %s", "a job", extra={"job_id": "7", "request_id": "of-the-job", "attempt": 2, "duration": 1.5})
set_request_id("of-the-request")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("two\\nlines")
log.debug("too little to tell")
"""


def lines(**environment: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return ended.stderr.splitlines()


def test_each_record_is_one_json_object_with_what_it_is_about() -> None:
    first, second = (json.loads(line) for line in lines(KJXLKJ_LOG_FORMAT="json"))
    time = first.pop("time")
    assert time.endswith("+00:00")
    assert first == {
        "level": "INFO",
        "logger": "kjxlkj.somewhere",
        "message": "of a job",
        "request_id": "of-the-job",
        "job_id": "7",
        "attempt": 2,
        "duration": 1.5,
    }
    assert (second["level"], second["message"], second["request_id"]) == ("ERROR", "two\nlines", "of-the-request")
    assert "ZeroDivisionError" in second["exc_info"]


def test_lines_for_people_are_the_default() -> None:
    first, second, *_ = lines(KJXLKJ_LOG_FORMAT="line")
    assert first.endswith("INFO kjxlkj.somewhere [of-the-job] of a job")
    assert "[of-the-request] two" in second


def test_an_unknown_format_is_refused_by_name(monkeypatch: Any) -> None:
    monkeypatch.setenv("KJXLKJ_LOG_FORMAT", "xml")
    with pytest.raises(ImproperlyConfigured, match="KJXLKJ_LOG_FORMAT: 'xml' is none of line, json"):
        configuration()
