"""Keys: from the environment alone, each to its own host, and never to be seen."""

import json
import logging
import logging.config
import traceback
from urllib.parse import quote

import pytest

from kjxlkj import logs
from kjxlkj.errors import Invalid
from librarian.providers.checks import check_providers
from librarian.providers.endpoints import endpoint_of
from librarian.providers.keys import key_for
from tests.librarian.providers.conftest import ASK, chat
from tests.librarian.providers.server import PATIENCE, Reply, completion, error, error_in_200, json_reply

CANARY = "sk-canary/0123456789+abcdefXYZ&"


def key_of(url):
    return key_for(endpoint_of("openai_compatible", url))


@pytest.fixture(autouse=True)
def allowed(settings):
    hosts = ["openrouter.ai", "openrouter.ai:8443", "llm.example.com", "llm.example.com:8443", "other.example.com"]
    settings.LLM_ALLOW = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]


def test_the_key_of_openrouter_goes_to_openrouter_alone(monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", " sk-or-1\n")
    assert key_of("https://openrouter.ai/api/v1") == "sk-or-1"
    for url in ("http://openrouter.ai/api/v1", "https://openrouter.ai:8443/", "https://other.example.com"):
        assert key_of(url) == ""
    # Whatever a rule calls its provider: the host decides.
    assert key_for(endpoint_of("openrouter", "http://127.0.0.1:1234/v1")) == ""


def test_a_bare_host_means_https_or_this_machine(monkeypatch):
    monkeypatch.setenv(
        "KJXLKJ_LLM_KEYS", "llm.example.com=one, LLM.example.com:8443=two=2,localhost:1234=three,[::1]:8080=four,"
    )
    assert key_of("https://llm.example.com/v1") == "one"
    assert key_of("https://llm.example.com:8443/v1") == "two=2"
    assert key_of("http://localhost:1234/v1") == "three"
    assert key_of("http://[::1]:8080/v1") == "four"
    for url in ("http://llm.example.com/v1", "https://localhost:1234", "http://127.0.0.1:1234", "http://localhost"):
        assert key_of(url) == ""


def test_a_key_travels_in_the_clear_only_where_that_is_written(monkeypatch):
    monkeypatch.setenv("KJXLKJ_LLM_KEYS", "http://llm.example.com=one")
    assert key_of("http://llm.example.com/v1") == "one"
    assert key_of("https://llm.example.com/v1") == ""


@pytest.mark.parametrize(
    "given",
    [
        CANARY,
        f"={CANARY}",
        "llm.example.com=",
        f"llm.example.com/v1={CANARY}",
        f"llm.example.com={CANARY} {CANARY}",
        f"llm.example.com={CANARY}\n{CANARY}",
        f"llm.example.com=é{CANARY}",
        f"{CANARY}=llm.example.com",
        f"ok.example.com=fine,ftp://llm.example.com={CANARY}",
    ],
)
def test_what_cannot_be_read_is_told_without_the_keys(monkeypatch, given):
    monkeypatch.setenv("KJXLKJ_LLM_KEYS", given)
    with pytest.raises(Invalid) as error:
        key_of("https://llm.example.com/v1")
    told = "".join(traceback.format_exception(error.value))
    assert error.value.code == "PROVIDER_KEYS_INVALID"
    assert "KJXLKJ_LLM_KEYS" in error.value.message
    assert "canary" not in told
    (found,) = check_providers()
    assert found.id == "librarian.E002" and "canary" not in str(found)


def test_a_good_environment_passes_the_check(monkeypatch):
    monkeypatch.setenv("KJXLKJ_LLM_KEYS", "llm.example.com=one")
    assert check_providers() == []


# --- The canary -------------------------------------------------------------------------------------

_ECHO = f"Incorrect API key provided: {CANARY}. Bearer {CANARY}"
_HTML = CANARY.replace("&", "&amp;")
_REPLIES = {
    "401": error(401, _ECHO),
    "429": error(429, _ECHO),
    "500": error(500, _ECHO, code=CANARY),
    "in a 200": error_in_200(CANARY, _ECHO),
    "code in a 200": error_in_200(401, _ECHO),
    "web page": Reply((f"<html>{_HTML} {quote(CANARY)} {quote(CANARY, safe='')}".encode(),)),
    "slashes escaped": Reply((json.dumps({"error": _ECHO}).replace("/", "\\/").encode(),), status=400),
    "as Go writes": Reply((json.dumps({"error": _ECHO}).replace("&", "\\u0026").encode(),), status=500),
    "redirect": Reply(status=302, headers={"Location": f"https://elsewhere.example/?key={CANARY}"}),
    "at the cut": Reply((b"x" * 4090 + CANARY.encode() + b"x" * 99,)),
    "cut off within": Reply((b"x" * 99 + CANARY.encode()[:-3],), length=9999, reset=True),
    "late": Reply((CANARY.encode(), b"more"), pause=PATIENCE),
    "encoding": Reply((b"x",), headers={"Content-Encoding": CANARY}),
    "no text": json_reply(completion("", message={"reasoning": _ECHO}, model=CANARY, finish_reason=CANARY)),
    "answer": json_reply(completion(_ECHO, message={"reasoning": _ECHO}, model=CANARY)),
    "header": json_reply(completion("Hello"), headers={"X-Echo": f"Bearer {CANARY}"}),
}


@pytest.fixture
def whole_log(monkeypatch):
    """Everything that an instance would log at its most talkative."""
    monkeypatch.setenv("KJXLKJ_LOG_LEVEL", "DEBUG")
    before = logging.getLogger("httpcore").level, logging.getLogger().level
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(self.format(record))

    keeper = Keep()
    levels = logs.configuration()["loggers"]
    logging.getLogger("httpcore").setLevel(levels.get("httpcore", {}).get("level", "NOTSET"))
    logging.getLogger().setLevel("DEBUG")
    logging.getLogger().addHandler(keeper)
    yield records
    logging.getLogger().removeHandler(keeper)
    logging.getLogger("httpcore").setLevel(before[0])
    logging.getLogger().setLevel(before[1])


@pytest.mark.parametrize("name", _REPLIES)
def test_a_key_that_is_sent_is_never_seen_again(server, monkeypatch, whole_log, name):
    monkeypatch.setenv("KJXLKJ_LLM_KEYS", f"{server.host}={CANARY}")
    server.say(_REPLIES[name])
    with chat(server.base_url, seconds=0.5 if name == "late" else PATIENCE) as talk:
        future = talk.submit(ASK)
        failure = future.exception(PATIENCE)
        logging.getLogger("test").error("failed", exc_info=failure)
        told = repr(talk) + repr(future)
    (seen,) = server.requests
    assert seen.headers["authorization"] == f"Bearer {CANARY}"
    if failure:
        told += "".join([repr(vars(failure)), failure.body, failure.detail, *traceback.format_exception(failure)])
        told += repr((failure.__cause__, failure.__context__))
    else:
        told += repr(future.result())
    told += "\n".join(whole_log)
    assert whole_log
    assert "canary" not in told


def test_another_host_gets_no_key(server, monkeypatch):
    monkeypatch.setenv("KJXLKJ_LLM_KEYS", f"localhost:{server.port}={CANARY},127.0.0.1:1={CANARY}")
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    with chat(server.base_url, kind="openrouter") as talk:
        talk.submit(ASK).result(PATIENCE)
        talk.models()
    assert all("authorization" not in seen.headers for seen in [*server.requests, *server.others])
    assert "canary" not in repr([*server.requests, *server.others])


def test_a_placeholder_for_a_key_is_a_word_like_any_other_in_answers(server, monkeypatch):
    monkeypatch.setenv("KJXLKJ_LLM_KEYS", f"{server.host}=ollama")
    with chat(server.base_url) as talk:
        server.say("I run on ollama.")
        assert talk.submit(ASK).result(PATIENCE).text == "I run on ollama."
