"""Where a rule may send notes to."""

import pytest

from kjxlkj.errors import Invalid
from librarian.providers.checks import check_providers
from librarian.providers.endpoints import Endpoint, base_url_fault, endpoint_of

KIND = "openai_compatible"


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.LLM_ALLOW = ["https://openrouter.ai/api/v1", "http://llm.lan:8000", "https://[2001:db8::7]/v1"]


@pytest.mark.parametrize(
    ("url", "base_url", "host"),
    [
        ("HTTP://LocalHost:1234/v1/", "http://localhost:1234/v1", "localhost:1234"),
        ("http://127.0.0.1/v1", "http://127.0.0.1/v1", "127.0.0.1"),
        ("http://127.9.9.9:80", "http://127.9.9.9", "127.9.9.9"),
        ("http://[0:0:0:0:0:0:0:1]:11434/v1", "http://[::1]:11434/v1", "[::1]:11434"),
    ],
)
def test_this_machine_is_always_allowed_and_written_in_one_way(url, base_url, host):
    assert endpoint_of(KIND, url) == Endpoint(KIND, base_url, host, True)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://openrouter.ai/api/v1", "openrouter.ai"),
        ("https://OpenRouter.AI:443/api/v1/", "openrouter.ai"),
        ("https://openrouter.ai/api/v1/more", "openrouter.ai"),
        ("http://llm.lan:8000/any/v1", "llm.lan:8000"),
        ("https://[2001:DB8:0::7]/v1", "[2001:db8::7]"),
    ],
)
def test_what_the_operator_allows_is_allowed_with_all_that_lies_below_it(url, host):
    endpoint = endpoint_of(KIND, url)
    assert (endpoint.host, endpoint.is_local) == (host, False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "openrouter.ai/api/v1",
        "ftp://openrouter.ai/api/v1",
        "http://openrouter.ai/api/v1",  # not in the clear
        "https://openrouter.ai:8443/api/v1",
        "https://openrouter.ai/api",
        "https://openrouter.ai/api/v1x",
        "https://openrouter.ai/api/v1/../../admin",
        "https://openrouter.ai/api/v1/%2e%2e/admin",
        "https://openrouter.ai/api/v1/..%2fadmin",
        "https://openrouter.ai/api/v1//x",
        "https://openrouter.ai/api/v1;x",
        "https://openrouter.ai/api/v1?x=1",
        "https://openrouter.ai/api/v1#x",
        "https://openrouter.ai./api/v1",
        "https://openrouter.ai.evil.example/api/v1",
        "https://evil.example/https://openrouter.ai/api/v1",
        "https://openrouter.ai@evil.example/api/v1",
        "https://user:password@openrouter.ai/api/v1",
        "https://openrouter.ai\\@evil.example/api/v1",
        "https://оpenrouter.ai/api/v1",  # a Cyrillic o
        "https://openrouter.ai/api/v1\n",
        " https://openrouter.ai/api/v1",
        "http://localhost.evil.example/v1",
        "http://0.0.0.0:1234/v1",
        "http://2130706433/v1",
        "http://0x7f.0.0.1/v1",
        "http://127.1/v1",
        "http://127.0.0.1.evil.example/v1",
        "http://[::ffff:127.0.0.1]/v1",
        "http://[::1%25lo]/v1",
        "http://169.254.169.254/latest",
        "http://127.0.0.1:0/v1",
        "http://127.0.0.1:99999/v1",
        "http://llm.lan/v1",
        "http://[::1/v1",
    ],
)
def test_nothing_else_is_allowed(url):
    assert base_url_fault(KIND, url)
    with pytest.raises(Invalid) as error:
        endpoint_of(KIND, url)
    assert error.value.code == "PROVIDER_NOT_ALLOWED"


def test_the_refusal_says_what_is_allowed_and_who_can_change_it():
    fault = base_url_fault(KIND, "https://api.example.com/v1")
    assert "https://openrouter.ai/api/v1" in fault and "this machine" in fault and "KJXLKJ_LLM_ALLOW" in fault


def test_an_entry_that_cannot_be_read_allows_nothing_and_is_told_of(settings):
    settings.LLM_ALLOW = ["example.com", "https://example.com/%2e"]
    assert base_url_fault(KIND, "https://example.com/v1")
    assert [error.id for error in check_providers()] == ["librarian.E001"] * 2
