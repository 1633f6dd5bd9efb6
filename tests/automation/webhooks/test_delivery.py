"""One delivery over real connections: what is sent, what of the answer is kept, and where nothing is sent to."""

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.webhooks.delivery import post
from kjxlkj.errors import DomainError
from kjxlkj.jobs.outcomes import Retry
from kjxlkj.retry_after import pause as pause_of
from tests.automation.webhooks.receiver import CERTIFICATE, Receiver, status
from tests.jobs.conftest import wait_for

BODY = b'{"a": 1}'


def send(url, body=BODY, seconds=5.0):
    return post(url, body, {"Content-Type": "application/json"}, seconds=seconds)


def refused(url, **kwargs):
    with pytest.raises((DomainError, Retry)) as error:
        send(url, **kwargs)
    return error.value


def test_the_body_arrives_and_the_answer_comes_back(receiver):
    receiver.answers = [status(200, b"thanks")]
    answer = send(receiver.url)
    assert (answer.status, answer.text) == (200, "thanks")
    (delivery,) = receiver.deliveries
    assert (delivery.path, delivery.body) == ("/hook?a=1", BODY)
    assert delivery.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert delivery.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("written", "asked_for"),
    [
        ("/hook;v=1", "/hook;v=1"),
        ("/a;b/hook;v=1?c=d;e", "/a;b/hook;v=1?c=d;e"),
        ("/;", "/;"),
        ("?a=1", "/?a=1"),
        ("", "/"),
        ("//hook", "//hook"),
    ],
)
def test_the_address_is_asked_for_as_it_is_written(receiver, written, asked_for):
    send(f"http://127.0.0.1:{receiver.port}{written}")
    assert receiver.deliveries[0].requestline == f"POST {asked_for} HTTP/1.1"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_no_proxy_is_asked(receiver, monkeypatch, name):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(receiver.url).status == 204


def test_redirects_are_not_followed(receiver):
    with Receiver() as elsewhere:
        receiver.answers = [status(307, Location=elsewhere.url)]
        answer = send(receiver.url)
        assert (answer.status, answer.location) == (307, elsewhere.url)
        assert elsewhere.deliveries == []


# --- Answers that are too much --------------------------------------------------------------------


def test_of_an_answer_the_first_4_kb_are_kept(receiver):
    receiver.answers = [status(200, b"a" * 4095 + "é".encode() * 2000)]
    assert send(receiver.url).text == "a" * 4095 + "\ufffd"


def test_what_cannot_be_stored_is_replaced(receiver):
    receiver.answers = [status(200, b"a\0b\xff")]
    assert send(receiver.url).text == "a\ufffdb\ufffd"


def test_an_endless_answer_is_left_after_4_kb(receiver):
    stopped = threading.Event()

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        finally:
            stopped.set()

    receiver.answers = [endless]
    assert send(receiver.url).text == "x" * 4096
    assert stopped.wait(5)


def drip(prefix, piece):
    """Sends a piece each twentieth of a second for as long as anybody listens: no single read takes long."""

    def answer(handler):
        handler.wfile.write(prefix)
        while True:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(0.05)

    return answer


@pytest.mark.parametrize(
    ("prefix", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n"),
        (b"HTTP/1.1 200 ", b"O"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
)
def test_an_answer_that_drips_is_bounded_as_a_whole(receiver, prefix, piece):
    receiver.answers = [drip(prefix, piece)]
    began = time.monotonic()
    fault = refused(receiver.url, seconds=0.5)
    assert (type(fault), fault.code) == (Retry, "WEBHOOK_TIMEOUT")
    assert 0.4 < time.monotonic() - began < 3


def test_who_never_answers_is_left_in_time(receiver):
    receiver.answers = [lambda handler: time.sleep(3)]
    assert refused(receiver.url, seconds=0.3).code == "WEBHOOK_TIMEOUT"


@pytest.fixture
def deaf(loopback_allowed):
    """A port that accepts connections and never reads from them."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_never_reads_is_left_in_time(deaf, scheme):
    body = b"x" * 20_000_000
    assert refused(f"{scheme}://127.0.0.1:{deaf}/", body=body, seconds=0.5).code == "WEBHOOK_TIMEOUT"


def test_an_answer_before_all_is_read_counts(loopback_allowed):
    """As a proxy does that finds the body too large."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

        threading.Thread(target=refuse, daemon=True).start()
        assert send(f"http://127.0.0.1:{listener.getsockname()[1]}/", body=b"x" * 5_000_000).status == 413


@pytest.mark.parametrize("said", [b"", b"220 smtp.test ESMTP\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_who_speaks_something_else_or_breaks_off_is_unreachable(receiver, said):
    def answer(handler):
        handler.wfile.write(said)
        handler.close_connection = True

    receiver.answers = [answer]
    fault = refused(receiver.url)
    assert (type(fault), fault.code) == (Retry, "WEBHOOK_UNREACHABLE")


def test_a_closed_port_is_unreachable(loopback_allowed):
    with Receiver() as gone:
        pass
    fault = refused(gone.url)
    assert (type(fault), fault.code) == (Retry, "WEBHOOK_UNREACHABLE")
    assert f"127.0.0.1:{gone.port} could not be reached" in fault.detail


def test_an_unknown_name_is_unreachable(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    fault = refused("http://nowhere.test/")
    assert (type(fault), fault.code) == (Retry, "WEBHOOK_UNREACHABLE")


def test_a_resolver_that_does_not_answer_is_left_in_time(monkeypatch):
    given_up = threading.Event()

    def wait(*args, **kwargs):
        given_up.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    began = time.monotonic()
    assert refused("http://hooks.test/", seconds=0.3).code == "WEBHOOK_TIMEOUT"
    assert time.monotonic() - began < 3
    given_up.set()


# --- Addresses ------------------------------------------------------------------------------------


def test_loopback_is_forbidden_unless_it_is_allowed(settings):
    settings.WEBHOOK_ALLOW = []
    with Receiver() as receiver:
        fault = refused(receiver.url)
        assert (type(fault), fault.code) == (DomainError, "WEBHOOK_ADDRESS_FORBIDDEN")
        assert "KJXLKJ_WEBHOOK_ALLOW" in fault.message
        assert receiver.deliveries == []


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "2130706433", "0x7f000001", "0x7f.1", "017700000001"),
        *("0177.0.0.1", "127.1", "0", "0.0.0.0", "127.0.0.2", "[::1]", "[::]", "[::ffff:127.0.0.1]", "a@localhost"),
    ],
)
def test_no_way_of_writing_it_leads_to_loopback(settings, resolver, host):
    """Rules cannot even be written so: this is what stands behind it."""
    resolver.names["localhost."] = [["127.0.0.1"]]  # not every system knows it
    settings.WEBHOOK_ALLOW = ["127.0.0.1/32", "10.0.0.0/8"] if host == "127.0.0.2" else []
    with Receiver(host="0.0.0.0") as receiver:
        assert refused(f"http://{host}:{receiver.port}/").code == "WEBHOOK_ADDRESS_FORBIDDEN"
        assert receiver.deliveries == []


def test_a_name_is_resolved_once_and_what_was_judged_is_connected_to(settings, resolver):
    """A rebinding name server: an address that may be reached at first, one that may not from then on."""
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]
    resolver.names["rebinding.test"] = [["127.0.0.1"], ["127.0.0.2"]]
    with Receiver() as public, Receiver(host="127.0.0.2", port=public.port) as private:
        url = f"http://rebinding.test:{public.port}/"
        assert send(url).status == 204
        assert (len(public.deliveries), resolver.asked) == (1, ["rebinding.test"])
        assert public.deliveries[0].headers["Host"] == f"rebinding.test:{public.port}"
        assert refused(url).code == "WEBHOOK_ADDRESS_FORBIDDEN"
        assert (len(public.deliveries), private.deliveries) == (1, [])


def test_a_public_answer_before_a_private_one_opens_nothing(settings, resolver):
    resolver.names["rebinding.test"] = [["8.8.8.8", "127.0.0.1"], ["127.0.0.1"]]
    with Receiver() as private:
        for _ in range(2):
            fault = refused(f"http://rebinding.test:{private.port}/")
            assert fault.code == "WEBHOOK_ADDRESS_FORBIDDEN"
            assert "127.0.0.1 is not a public address" in fault.message
        assert private.deliveries == []


def test_an_allowed_name_may_lead_to_a_private_address(settings, resolver):
    settings.WEBHOOK_ALLOW = ["hooks.test"]
    resolver.names |= {"hooks.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}
    with Receiver() as receiver:
        assert send(f"http://hooks.test:{receiver.port}/").status == 204
        assert refused(f"http://other.test:{receiver.port}/").code == "WEBHOOK_ADDRESS_FORBIDDEN"


def test_the_next_address_is_tried_where_one_does_not_answer(settings, resolver):
    settings.WEBHOOK_ALLOW = ["127.0.0.0/8"]
    resolver.names["hooks.test"] = [["127.0.0.2", "127.0.0.1"]]
    with Receiver() as receiver:
        assert send(f"http://hooks.test:{receiver.port}/").status == 204


def test_an_address_that_is_silent_leaves_time_for_the_next(settings, resolver):
    settings.WEBHOOK_ALLOW = ["127.0.0.0/8"]
    resolver.names["hooks.test"] = [["127.0.0.2", "127.0.0.1"]]
    with Receiver() as receiver, socket.socket() as silent, socket.socket() as first, socket.socket() as second:
        silent.bind(("127.0.0.2", receiver.port))
        # Whoever comes when two wait already is not answered.
        silent.listen(0)
        for connection in (first, second):
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.2", receiver.port))
        assert refused(f"http://127.0.0.2:{receiver.port}/", seconds=0.5).code == "WEBHOOK_TIMEOUT"
        assert send(f"http://hooks.test:{receiver.port}/", seconds=3).status == 204


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def tls(loopback_allowed, resolver):
    resolver.names |= {"hooks.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}
    with Receiver(tls=True) as receiver:
        yield receiver


def test_the_certificate_is_held_to_the_name_though_the_address_was_chosen_before(tls, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert send(f"https://hooks.test:{tls.port}/").status == 204
    for host in ("other.test", "127.0.0.1"):
        fault = refused(f"https://{host}:{tls.port}/")
        assert (type(fault), fault.code) == (DomainError, "WEBHOOK_CERTIFICATE_INVALID")
    assert len(tls.deliveries) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(tls):
    assert refused(f"https://hooks.test:{tls.port}/").code == "WEBHOOK_CERTIFICATE_INVALID"
    assert tls.deliveries == []


def test_a_server_without_tls_is_unreachable_by_https(receiver):
    assert refused(receiver.url.replace("http:", "https:")).code == "WEBHOOK_UNREACHABLE"


# --- Retry-After ----------------------------------------------------------------------------------


def test_a_retry_after_may_be_a_number_or_a_date():
    assert pause_of("90") == 90
    assert 50 < pause_of(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)) <= 60
    assert pause_of(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0
    assert [pause_of(said) for said in ("", "soon", "-5", "1.5", "٣")] == [0] * 5
    assert pause_of("Mon, 01 Jan 2024 00:00:00 +99999999999999") == 0
    assert pause_of("9" * 400) == pause_of("Fri, 31 Dec 9999 23:59:59 GMT") == 24 * 3600


@given(st.text())
def test_whatever_is_said_of_it_is_a_pause(said):
    assert 0 <= pause_of(said) <= 24 * 3600


def test_nothing_is_left_open(receiver):
    receiver.answers = [status(200, b"x" * 10_000)]
    before = threading.active_count()
    for _ in range(3):
        send(receiver.url)
    wait_for(lambda: threading.active_count() <= before)
