"""The way there and back: deadlines, bounds, broken connections, TLS, many at once and none left behind."""

import gzip
import json
import socket
import threading
import time
import tracemalloc
import zlib
from concurrent.futures import CancelledError, wait

import pytest

from librarian.models import Failure
from librarian.providers.chat import ProviderFailure
from tests.automation.webhooks.receiver import CERTIFICATE
from tests.jobs.conftest import wait_for
from tests.librarian.providers.conftest import ASK, chat, complete
from tests.librarian.providers.server import PATIENCE, LLMServer, Reply, completion, error

_ANSWER = json.dumps(completion("Hello")).encode()


# --- Deadlines --------------------------------------------------------------------------------------


def test_a_first_byte_that_is_late_ends_at_the_deadline(server):
    began = time.monotonic()
    failure = complete(server, Reply((_ANSWER,), delay=PATIENCE), seconds=0.3)
    assert 0.3 <= time.monotonic() - began < 1.5
    assert (failure.category, failure.may_be_billed, failure.status) == (Failure.TIMEOUT, True, None)
    assert "within 0.3 s" in failure.detail and "timeout_ms" in failure.detail


def test_a_slow_drip_ends_at_the_deadline_however_steady_it_is(server):
    began = time.monotonic()
    failure = complete(server, Reply((b" ",) * 1000, pause=0.02), seconds=0.4)
    assert 0.4 <= time.monotonic() - began < 1.5
    assert (failure.category, failure.status) == (Failure.TIMEOUT, 200)


def test_a_server_that_takes_no_connection_ends_at_the_deadline():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address), chat(f"http://127.0.0.1:{address[1]}/v1", seconds=0.4) as talk:
            failure = talk.submit(ASK).exception(PATIENCE)
    # The kernel may take the one or the other connection, and nobody ever answers it.
    assert failure.category == Failure.TIMEOUT


def test_a_handshake_that_never_ends_ends_at_the_deadline():
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, chat(f"https://127.0.0.1:{silent.getsockname()[1]}/v1", seconds=0.3) as talk:
        failure = talk.submit(ASK).exception(PATIENCE)
    assert (failure.category, failure.may_be_billed) == (Failure.TIMEOUT, False)
    assert "could not be connected to" in failure.detail


# --- Unreachable ------------------------------------------------------------------------------------


def test_where_nobody_listens_nothing_is_billed():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with chat(f"http://127.0.0.1:{port}/v1") as talk:
        failure = talk.submit(ASK).exception(PATIENCE)
    assert (failure.category, failure.may_be_billed, failure.may_pass) == (Failure.UNREACHABLE, False, True)
    assert "nothing listens there" in failure.detail


def test_a_name_that_does_not_resolve_is_said_to_be_unknown(settings):
    settings.LLM_ALLOW = ["https://llm.invalid"]
    with chat("https://llm.invalid/v1") as talk:
        failure = talk.submit(ASK).exception(PATIENCE)
    assert (failure.category, failure.may_be_billed) == (Failure.UNREACHABLE, False)
    assert "does not resolve" in failure.detail


def test_a_certificate_that_nobody_vouches_for_is_not_taken():
    with LLMServer(certificate=(str(CERTIFICATE), str(CERTIFICATE))) as server, chat(server.base_url) as talk:
        failure = talk.submit(ASK).exception(PATIENCE)
        assert not server.requests
    assert (failure.category, failure.may_be_billed) == (Failure.UNREACHABLE, False)
    assert "no valid certificate" in failure.detail and "SSL_CERT_FILE" in failure.detail


def test_a_server_without_tls_is_told_from_one_that_is_down(server):
    with chat(server.base_url.replace("http:", "https:")) as talk:
        failure = talk.submit(ASK).exception(PATIENCE)
    assert failure.category == Failure.UNREACHABLE
    assert "http:// instead of https://" in failure.detail


@pytest.mark.parametrize("pieces", [(), (b'{"choices": [',)], ids=["after the head", "in the middle"])
def test_a_connection_that_is_reset_may_have_been_billed(server, pieces):
    failure = complete(server, Reply(pieces, length=5000, reset=True))
    assert (failure.category, failure.may_be_billed) == (Failure.UNREACHABLE, True)
    assert failure.body == b"".join(pieces).decode()
    assert "broke the connection off" in failure.detail


def test_what_is_no_http_is_unreachable():
    def speak(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"220 smtp.example.com ESMTP\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        speaker = threading.Thread(target=speak, args=(listener,))
        speaker.start()
        with chat(f"http://127.0.0.1:{listener.getsockname()[1]}/v1") as talk:
            failure = talk.submit(ASK).exception(PATIENCE)
        speaker.join()
    assert failure.category == Failure.UNREACHABLE


# --- Bounds -----------------------------------------------------------------------------------------


def peak_of(call):
    tracemalloc.start()
    try:
        result = call()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_of_a_hundred_megabytes_no_more_is_read_than_is_allowed(server, settings):
    settings.LLM_ANSWER_BYTES = 1_000_000
    piece = b" " * 1_000_000
    failure, peak = peak_of(lambda: complete(server, Reply((piece,) * 100)))
    assert (failure.category, failure.may_be_billed) == (Failure.INVALID_PAYLOAD, True)
    assert "more than 1,000,000 bytes" in failure.detail
    assert peak < 12_000_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_packed_bomb_costs_no_more_memory_than_is_allowed(server, settings, encoding):
    settings.LLM_ANSWER_BYTES = 1_000_000
    pack = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    bomb = b"".join(pack.compress(b" " * 1_000_000) for _ in range(200)) + pack.flush()
    assert len(bomb) < 1_000_000
    failure, peak = peak_of(lambda: complete(server, Reply((bomb,), headers={"Content-Encoding": encoding})))
    assert failure.category == Failure.INVALID_PAYLOAD
    assert "more than 1,000,000 bytes" in failure.detail
    assert peak < 12_000_000


def test_an_answer_of_just_the_allowed_size_is_taken(server, settings):
    settings.LLM_ANSWER_BYTES = len(_ANSWER)
    assert complete(server, Reply((_ANSWER,))).text == "Hello"


def test_an_answer_that_is_packed_unasked_is_read_all_the_same(server):
    packed = gzip.compress(_ANSWER)
    pieces = tuple(packed[place : place + 7] for place in range(0, len(packed), 7))
    assert complete(server, Reply(pieces, headers={"Content-Encoding": "gzip"})).text == "Hello"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_other_packings_are_refused(server, encoding):
    failure = complete(server, Reply((b"x" * 100,), headers={"Content-Encoding": encoding}))
    assert failure.category == Failure.INVALID_PAYLOAD
    assert "cannot be read" in failure.detail


def test_what_only_says_that_it_is_packed_is_refused(server):
    failure = complete(server, Reply((_ANSWER,), headers={"Content-Encoding": "gzip"}))
    assert (failure.category, failure.status) == (Failure.INVALID_PAYLOAD, 200)


# --- Many, and none left behind ---------------------------------------------------------------------


def test_eight_requests_are_under_way_at_once(server):
    server.hold()
    with chat(server.base_url) as talk:
        futures = [talk.submit(ASK) for _ in range(8)]
        server.wait_for_requests(8)
        assert server.most_at_once == 8
        server.release()
        assert [future.result(PATIENCE).text for future in futures] == ["ok"] * 8


def test_one_that_fails_disturbs_no_other(server):
    server.say(error(500), "second")
    with chat(server.base_url) as talk:
        futures = [talk.submit(ASK), talk.submit(ASK)]
        wait(futures, PATIENCE)
    assert sum(isinstance(future.exception(), ProviderFailure) for future in futures) == 1
    assert [future.result().text for future in futures if not future.exception()] == ["second"]


def test_leaving_cancels_what_is_under_way_at_once(server):
    server.hold()
    with chat(server.base_url) as talk:
        futures = [talk.submit(ASK) for _ in range(3)]
        server.wait_for_requests(3)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(0)
    assert not any(thread.name == "chat" for thread in threading.enumerate())


def test_one_request_can_be_cancelled_alone(server):
    server.hold()
    with chat(server.base_url) as talk:
        first, second = talk.submit(ASK), talk.submit(ASK)
        server.wait_for_requests(2)
        first.cancel()
        server.release()
        assert second.result(PATIENCE).text == "ok"
        wait_for(first.cancelled)


def test_no_proxy_of_the_environment_is_asked(server, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert complete(server, "Hello").text == "Hello"
