"""What each reply of a real server on loopback comes to: an answer, or one of five categories, said in words."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from librarian.models import Failure
from librarian.providers.chat import Chat, Completion, ProviderFailure
from librarian.providers.endpoints import endpoint_of
from librarian.providers.redaction import cleaner, storable
from librarian.providers.replies import Reply as Received
from librarian.providers.replies import read_completion
from tests.librarian.providers.conftest import ASK, chat, complete
from tests.librarian.providers.server import PATIENCE, Reply, completion, error, error_in_200, json_reply


def raw(*pieces, **options):
    return Reply(pieces, headers={"Content-Type": "application/json"}, **options)


def with_message(content, **fields):
    """A payload whose choice is anything."""
    finish_reason = fields.pop("finish_reason", "stop")
    return completion(content, finish_reason=finish_reason, message=fields)


# --- Answers --------------------------------------------------------------------------------------


def test_an_answer_is_told_with_who_answered_and_what_it_took(server):
    usage = {"prompt_tokens": 120, "completion_tokens": 30, "cost": 0.00123}
    answer = complete(server, completion("Hello", model="acme/big-1", usage=usage))
    assert answer == Completion("Hello", "acme/big-1", "stop", "", 120, 30, Decimal("0.00123"), 200)


def test_a_request_says_what_was_asked_and_nothing_else(server):
    complete(server)
    (seen,) = server.requests
    assert seen.path == "/v1/chat/completions"
    assert seen.body == {
        "model": "test-model",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Say ok."}],
        "max_tokens": 100,
        "temperature": 0.1,
        "stream": False,
    }
    assert seen.headers["user-agent"] == "kjxlkj"
    assert seen.headers["accept-encoding"] == "identity"
    assert "authorization" not in seen.headers and "cookie" not in seen.headers


@pytest.mark.parametrize(
    ("host", "chosen", "sent"),
    [
        ("api.openai.com", "auto", "max_completion_tokens"),
        ("api.openai.com", "max_tokens", "max_tokens"),
        ("api.openai.com.evil.example", "auto", "max_tokens"),
        ("gateway.example", "auto", "max_tokens"),
        ("gateway.example", "max_completion_tokens", "max_completion_tokens"),
    ],
)
def test_the_bound_of_an_answer_has_the_name_that_the_server_takes(server, host, chosen, sent):
    endpoint = replace(endpoint_of("openai_compatible", server.base_url), host=host)
    with Chat(endpoint, timeout_seconds=PATIENCE) as talk:
        talk.submit(replace(ASK, max_tokens_field=chosen)).result()
    (seen,) = server.requests
    bounds = {name: value for name, value in seen.body.items() if name.startswith("max_")}
    assert bounds == {sent: 100}


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.",
            "Change max_tokens_field",
        ),
        ("Unrecognized request argument supplied: max_completion_tokens", "Change max_tokens_field"),
        (
            "Unsupported value: 'temperature' does not support 0.1 with this model. Only the default (1) value is "
            "supported.",
            "Set temperature in the rule to 1.",
        ),
    ],
)
def test_a_setting_that_a_model_does_not_take_is_said_to_be_changed(server, message, remedy):
    failure = complete(server, error(400, message))
    assert failure.category == Failure.INVALID_PAYLOAD
    assert not failure.may_be_billed
    assert remedy in failure.detail and message in failure.detail


def test_openrouter_is_told_the_product_and_asked_for_the_cost(server):
    complete(server, kind="openrouter")
    (seen,) = server.requests
    assert seen.body["usage"] == {"include": True}
    assert seen.headers["x-openrouter-title"] == "kjxlkj"


def test_openrouter_learns_where_the_installation_is_only_if_the_operator_says_so(server, settings):
    complete(server, kind="openrouter")
    settings.OPENROUTER_REFERER = "https://notes.example.com/"
    complete(server, kind="openrouter")
    complete(server)
    referers = [seen.headers.get("http-referer") for seen in server.requests]
    assert referers == [None, "https://notes.example.com/", None]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_read_by_both_of_its_names(server, name):
    assert complete(server, with_message("Hello", **{name: "hmm"})).reasoning == "hmm"


def test_white_space_that_keeps_a_connection_alive_is_no_part_of_the_answer(server):
    body = json.dumps(completion("Hello")).encode()
    assert complete(server, raw(b"\n", b"  \n", b"\n", body, pause=0.01)).text == "Hello"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "many",
        {"prompt_tokens": -1, "completion_tokens": 10**30, "cost": -0.1},
        {"prompt_tokens": float("nan"), "completion_tokens": float("inf"), "cost": float("nan")},
        {"prompt_tokens": "12", "completion_tokens": True, "cost": "free"},
        {"prompt_tokens": 1.5, "completion_tokens": None, "cost": float("inf")},
        {"cost": 10**250},
    ],
)
def test_usage_that_is_not_credible_is_none(server, usage):
    answer = complete(server, completion("Hello", usage=usage))
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens, answer.cost) == ("Hello", None, None, None)


def test_a_number_of_thousands_of_digits_spoils_no_answer(server):
    body = json.dumps(completion("Hello", usage={"prompt_tokens": 0})).replace(" 0}", f" {'9' * 5000}}}")
    assert complete(server, raw(body.encode())).prompt_tokens is None


def test_characters_that_cannot_be_stored_are_replaced(server):
    answer = complete(server, raw(json.dumps(completion("a\0b\ud800c")).encode()))
    assert answer.text == "a\ufffdb\ufffdc"
    failure = complete(server, Reply((b"\0\xff<html>\xed\xa0\x80",), status=500))
    failure.body.encode()
    assert "\0" not in failure.body


# --- Failures told by a status ----------------------------------------------------------------------


@pytest.mark.parametrize("make", [error, error_in_200], ids=["as the status", "in a 200"])
@pytest.mark.parametrize(
    ("status", "category", "words", "billed"),
    [
        (400, Failure.INVALID_PAYLOAD, "does not take the request", False),
        (401, Failure.AUTH_FAILED, "KJXLKJ_LLM_KEYS", False),
        (402, Failure.INVALID_PAYLOAD, "credits are used up", False),
        (403, Failure.AUTH_FAILED, "KJXLKJ_LLM_KEYS", False),
        (404, Failure.INVALID_PAYLOAD, "no model “test-model”", False),
        (408, Failure.TIMEOUT, "too long", True),
        (422, Failure.INVALID_PAYLOAD, "does not take the request", False),
        (429, Failure.RATE_LIMITED, "too many requests", False),
        (500, Failure.INVALID_PAYLOAD, "fault of its own", True),
        (502, Failure.UNREACHABLE, "does not answer", True),
        (503, Failure.UNREACHABLE, "being loaded", False),
        (504, Failure.UNREACHABLE, "did not answer in time", True),
    ],
)
def test_each_status_is_one_category(server, make, status, category, words, billed):
    failure = complete(server, make(status, "Because."))
    assert (failure.category, failure.may_be_billed) == (category, billed)
    assert failure.may_pass == (category in {Failure.RATE_LIMITED, Failure.TIMEOUT, Failure.UNREACHABLE})
    assert words in failure.detail
    assert "“Because.”" in failure.detail
    assert server.host in failure.detail
    assert "Because." in failure.body
    assert len(server.requests) == 1, "who repeats a request is the caller"


def test_openrouter_is_said_to_need_its_own_key(server):
    assert "OPENROUTER_API_KEY" in complete(server, error(401), kind="openrouter").detail


def test_an_error_in_a_200_may_have_its_code_as_text(server):
    assert complete(server, error_in_200("429")).category == Failure.RATE_LIMITED


def test_an_error_in_a_200_keeps_the_usage_that_is_told_beside_it(server):
    failure = complete(server, {"error": {"code": 502, "message": "x"}, "usage": {"prompt_tokens": 5, "cost": 0.5}})
    assert (failure.completion.prompt_tokens, failure.completion.cost) == (5, Decimal("0.5"))


def test_an_error_of_the_only_choice_is_an_error(server):
    choice = {"error": {"code": 429, "message": "slow down"}, "message": {"content": "half"}, "finish_reason": "error"}
    assert complete(server, completion("", choices=[choice])).category == Failure.RATE_LIMITED


@pytest.mark.parametrize("said", ["broken", {"message": "broken", "code": "server_error"}, ["broken"], True])
def test_any_other_error_in_a_200_is_no_answer(server, said):
    failure = complete(server, completion("Hello", error=said))
    assert failure.category == Failure.INVALID_PAYLOAD
    assert "answered with an error" in failure.detail


def test_no_error_is_an_error_of_null(server):
    assert complete(server, completion("Hello", error=None)).text == "Hello"


@pytest.mark.parametrize(
    "reply",
    [
        error(400, "This model's maximum context length is 4096 tokens.", code="context_length_exceeded"),
        error(400, "the request exceeds the available context size"),
        json_reply({"error": "model is loaded with context length of only 4096 tokens"}, status=400),
        error(500, "context length exceeded"),
        error_in_200("context_length_exceeded"),
    ],
)
def test_a_request_that_is_longer_than_the_context_says_what_to_lower(server, reply):
    failure = complete(server, reply)
    assert failure.category == Failure.INVALID_PAYLOAD
    assert "Lower context_tokens" in failure.detail


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_read_as_seconds_and_as_a_date(server, status):
    assert complete(server, error(status, headers={"Retry-After": "7"})).retry_after == 7
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < complete(server, error(status, headers={"Retry-After": at})).retry_after <= 60
    assert complete(server, error(status)).retry_after == 0
    assert complete(server, error(status, headers={"Retry-After": "soon"})).retry_after == 0


def test_what_a_server_behind_openrouter_says_is_passed_on(server):
    said = {"error": {"message": "Provider returned error", "code": 500, "metadata": {"raw": "out of memory"}}}
    assert "out of memory" in complete(server, json_reply(said, status=500)).detail


# --- Failures of form -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (raw(b"<!DOCTYPE html><title>Login</title>"), "web page"),
        (raw(b""), "with nothing"),
        (raw(b" \n "), "with nothing"),
        (raw(b'{"choices": [{"mess'), "no JSON"),
        (raw(b"data: {}\n\n"), "no JSON"),
        (raw(b"[" * 100_000), "no JSON"),
        (json_reply([completion("Hello")]), "no object"),
        (json_reply("Hello"), "no object"),
        (json_reply({}), "without a choice"),
        (json_reply({"choices": None}), "without a choice"),
        (json_reply({"choices": []}), "without a choice"),
        (json_reply({"choices": {"0": {}}}), "without a choice"),
        (json_reply({"choices": [None]}), "without a choice"),
        (json_reply({"choices": [{"text": "Hello"}]}), "without a choice"),
        (json_reply(completion(None)), "no text"),
        (json_reply(completion("")), "no text"),
        (json_reply(completion([{"type": "text", "text": "Hello"}])), "other than text"),
        (json_reply(completion({"a": 1})), "other than text"),
        (json_reply(completion(5)), "other than text"),
    ],
)
def test_what_is_no_completion_is_an_invalid_payload(server, reply, words):
    failure = complete(server, reply)
    assert failure.category == Failure.INVALID_PAYLOAD
    assert words in failure.detail
    assert failure.may_be_billed
    assert not failure.may_pass


@pytest.mark.parametrize("content", [None, ""])
def test_a_model_that_only_reasoned_is_to_get_more_tokens(server, content):
    failure = complete(server, with_message(content, reasoning_content="hmm", finish_reason="length"))
    assert "with reasoning. Raise max_tokens" in failure.detail
    assert (failure.completion.reasoning, failure.completion.completion_tokens) == ("hmm", 7)


def test_a_redirect_is_not_followed_and_tells_where_to(server):
    elsewhere = Reply(status=302, headers={"Location": "https://elsewhere.example/v1"})
    failure = complete(server, elsewhere)
    assert failure.category == Failure.INVALID_PAYLOAD
    assert "redirect to https://elsewhere.example/v1" in failure.detail
    assert not failure.may_be_billed
    assert len(server.requests) == 1


def test_of_what_came_the_beginning_is_kept(server):
    failure = complete(server, Reply((b"<html>" + b"x" * 50_000,)))
    assert len(failure.body) == 4096


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "error",
                    "code",
                    "usage",
                    "prompt_tokens",
                    "cost",
                    "metadata",
                    "raw",
                    "model",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


_PAYLOAD = _JSON | st.builds(lambda message: {"choices": [{"message": message}]}, _JSON)


@given(payload=_PAYLOAD, status=st.sampled_from([200, 302, 400, 404, 429, 500]))
def test_whatever_json_comes_is_an_answer_or_a_failure(payload, status):
    clean = cleaner("sk-secret-0123456789")
    received = Received("host", "m", "", status, json.dumps(payload), clean, storable)
    try:
        answer = read_completion(received)
    except ProviderFailure as failure:
        assert failure.detail
        assert not any(0xD800 <= ord(each) <= 0xDFFF for each in failure.detail)
    else:
        assert answer.text.strip()


# --- Models -----------------------------------------------------------------------------------------


def test_models_are_listed(server):
    server.models = ["b", "a"]
    with chat(server.base_url) as talk:
        assert talk.models() == ["b", "a"]
    assert server.others[0].path == "/v1/models"


@pytest.mark.parametrize(
    ("reply", "words"),
    [(error(404), "base_url usually ends in /v1"), (json_reply({"data": 5}), "does not list its models")],
)
def test_a_list_of_models_that_is_none_is_a_failure(server, reply, words):
    server.pages["/v1/models"] = reply
    with chat(server.base_url) as talk, pytest.raises(ProviderFailure, match=words):
        talk.models()


def test_no_models_is_an_empty_list(server):
    server.pages["/v1/models"] = json_reply({"object": "list", "data": None})
    with chat(server.base_url) as talk:
        assert talk.models() == []
