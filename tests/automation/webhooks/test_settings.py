"""What a rule may say of a webhook."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation import actions
from automation.services import create_rule
from automation.validation import RuleInvalid
from automation.webhooks.action import WEBHOOK, faults


def said(url, **settings):
    return [fault.message for fault in faults({"kind": "webhook", "url": url, **settings})]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com/hook?x=%20&y=1",
        "https://EXAMPLE.com:8443/a_b",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]:8443/hook",
        "http://localhost/",  # what it means is seen when it is connected to
    ],
)
def test_addresses_that_are_understood(url):
    assert said(url) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (None, "give the address"),
        ("", "give the address"),
        (7, "give the address"),
        (["https://example.com"], "give the address"),
        ("https://example.com/" + "a" * 2000, "longer than"),
        ("ftp://example.com/", "http://host"),
        ("file:///etc/passwd", "http://host"),
        ("javascript:alert(1)", "http://host"),
        ("//example.com/", "http://host"),
        ("https:///hook", "http://host"),
        ("example.com", "http://host"),
        ("https://user:pass@example.com/", "no user name"),
        ("https://example.com@evil.test/", "no user name"),
        ("https://@example.com/", "no user name"),
        ("https://example.com/#x", "leave out"),
        ("https://example.com\\@evil.test/", "backslash"),
        ("https://exa mple.com/", "spaces"),
        (" https://example.com/", "spaces"),
        ("https://example.com/\r\nHost: evil", "spaces"),
        ("https://exämple.com/", "xn--"),
        ("https://example.com:0/", "port"),
        ("https://example.com:99999/", "ort"),
        ("https://example.com:x/", "ort"),
        ("https://example.com./", "none at the end"),
        ("https://localhost./", "none at the end"),
        ("https://a..b/", "not a name"),
        ("https://-a.test/", "not a name"),
        ("https://" + "a" * 64 + ".test/", "not a name"),
        ("https://exa%6dple.com/", "not a name"),
        ("https://example.com[::1]/", ""),
        ("https://[::1", "not an address"),
        ("https://[v1.x]/", ""),
        # Ways to write 127.0.0.1 and its like that nobody needs.
        ("http://2130706433/", "four decimal numbers"),
        ("http://0x7f000001/", "four decimal numbers"),
        ("http://0x7f.1/", "four decimal numbers"),
        ("http://017700000001/", "four decimal numbers"),
        ("http://0177.0.0.1/", "four decimal numbers"),
        ("http://127.1/", "four decimal numbers"),
        ("http://127.0.0.1./", "four decimal numbers"),
        ("http://1.2.3.4.5/", "four decimal numbers"),
        ("http://hooks.test.0x7f/", "four decimal numbers"),
        ("http://127.0.0.1/", "KJXLKJ_WEBHOOK_ALLOW"),
        ("http://0.0.0.0:5432/", "KJXLKJ_WEBHOOK_ALLOW"),
        ("http://[::1]:8080/", "KJXLKJ_WEBHOOK_ALLOW"),
        ("http://[::ffff:127.0.0.1]/", "KJXLKJ_WEBHOOK_ALLOW"),
        ("http://[64:ff9b::7f00:1]/", "KJXLKJ_WEBHOOK_ALLOW"),
        ("http://169.254.169.254/latest/meta-data/", "metadata"),
        ("http://[fe80::1%25eth0]/", "zone"),
        ("http://[fe80::1%eth0]/", "zone"),
    ],
)
def test_addresses_that_are_refused_and_why(url, words):
    (message,) = said(url)
    assert words in message


def test_an_allowed_address_may_be_written(settings):
    settings.WEBHOOK_ALLOW = ["127.0.0.0/8"]
    assert said("http://127.0.0.1:8080/") == []


@pytest.mark.parametrize("limit", [99, 60_001, 1.5, "10", True, None])
def test_a_time_limit_that_cannot_be_is_named(limit):
    (fault,) = faults({"kind": "webhook", "url": "https://example.com", "timeout_ms": limit})
    assert fault.path == "action_json.timeout_ms"


@pytest.mark.parametrize("name", ["headers", "Authorization", "api_key", "token", "secret"])
def test_keys_have_no_place_in_a_rule(name):
    assert "no keys in rules" in said("https://example.com", **{name: "x"})[0]


@pytest.mark.django_db
def test_every_fault_is_told_at_once_with_its_path(workspace, owner):
    action = {"kind": "webhook", "url": "ftp://x", "timeout_ms": 0, "method": "PUT"}
    with pytest.raises(RuleInvalid) as error:
        create_rule(workspace, actor=owner, name="R", action_json=action)
    paths = {fault["path"] for fault in error.value.details["faults"]}
    assert paths == {"action_json.url", "action_json.timeout_ms", "action_json.method"}


text = st.text(" /:@?#[]%.\\\0\n-_0123456789abcxﬀé")
values = st.none() | st.booleans() | st.integers() | st.floats() | text
json = values | st.lists(values) | st.dictionaries(text, values)


@given(st.dictionaries(st.sampled_from(["url", "timeout_ms", "limits", "x"]), json))
def test_whatever_is_written_there_is_judged(action):
    faults({"kind": "webhook", **action})


@given(text, text)
def test_whatever_address_is_written_is_judged(host, rest):
    faults({"kind": "webhook", "url": f"http://{host}/{rest}"})


def test_its_schema_knows_the_settings_that_it_takes():
    assert actions.find("webhook") is WEBHOOK
    assert set(WEBHOOK.schema["properties"]) == {"url", "timeout_ms", "limits"}
    allowed = WEBHOOK.schema["properties"]["timeout_ms"]
    for bound in (allowed["minimum"], allowed["maximum"], allowed["default"]):
        assert said("https://example.com", timeout_ms=bound) == []
    assert said("https://example.com", timeout_ms=allowed["minimum"] - 1) != []
    assert said("https://example.com", timeout_ms=allowed["maximum"] + 1) != []
    assert said("https://example.com", limits={"max_runs_per_day": 3}) == []
    assert said("https://example.com", limits={"max_runs_per_day": 0}) != []
