import pytest

from librarian.providers.chat import Ask, Chat, ProviderFailure
from librarian.providers.endpoints import endpoint_of
from tests.librarian.providers.server import PATIENCE, LLMServer

ASK = Ask("test-model", "Be short.", "Say ok.", 100, 0.1)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("OPENROUTER_API_KEY", "KJXLKJ_LLM_KEYS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with LLMServer() as server:
        yield server


def chat(base_url, *, kind="openai_compatible", seconds=PATIENCE):
    return Chat(endpoint_of(kind, base_url), timeout_seconds=seconds)


def complete(server, *replies, ask=ASK, **options):
    """The answer, or the failure."""
    server.say(*replies)
    with chat(server.base_url, **options) as talk:
        future = talk.submit(ask)
        failure = future.exception(PATIENCE)
        assert failure is None or isinstance(failure, ProviderFailure), failure
        return failure or future.result()
