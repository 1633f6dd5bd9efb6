import socket

import pytest

from automation.services import create_rule
from tests.automation.webhooks.receiver import Receiver


@pytest.fixture
def loopback_allowed(settings):
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]


@pytest.fixture
def receiver(loopback_allowed):
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def make_rule(workspace, owner):
    def make(url, *, timeout_ms=5000, **values):
        action = {"kind": "webhook", "url": url, "timeout_ms": timeout_ms}
        defaults = {"name": "Tell", "settle_seconds": 0}
        return create_rule(workspace, actor=owner, **{**defaults, **values}, action_json=action)

    return make


@pytest.fixture
def resolver(monkeypatch):
    """What the system's resolver answers for a name: addresses for each time that it is asked, the last for ever."""
    names: dict[str, list[list[str]]] = {}
    asked: list[str] = []
    system = socket.getaddrinfo

    def answer(host, port, *args, **kwargs):
        if host not in names:
            return system(host, port, *args, **kwargs)
        asked.append(host)
        addresses = names[host].pop(0) if len(names[host]) > 1 else names[host][0]
        return [found for address in addresses for found in system(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    answer.names, answer.asked = names, asked
    return answer
