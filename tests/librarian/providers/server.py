"""A model's server on loopback, real sockets and all, that answers what a test tells it to.

with LLMServer() as server:
    server.answer = lambda body: "…"          # what it answers as long as nothing else is said
    server.say("first", error(429, headers={"Retry-After": "7"}))  # the next ones, one for each request
    … server.base_url … server.requests[0].body["messages"] …
"""

import json
import os
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 20.0


@dataclass(frozen=True)
class Seen:
    """A request as it came; names of headers are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """`delay`: seconds before the first byte; `pause`: between pieces; `reset`: cut off after the last piece."""

    pieces: tuple[bytes, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    pause: float = 0.0
    reset: bool = False
    length: int | None = None
    """The Content-Length that is told; None: that of the pieces."""


def completion(
    text: Any, *, finish_reason: str = "stop", message: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """What a good server says around an answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "test-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **(message or {})},
                "finish_reason": finish_reason,
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        **fields,
    }


def json_reply(payload: Any, **options: Any) -> Reply:
    headers = {"Content-Type": "application/json", **options.pop("headers", {})}
    return Reply((json.dumps(payload).encode(),), headers=headers, **options)


def error(status: int, message: str = "no", *, code: Any = None, **options: Any) -> Reply:
    return json_reply({"error": {"message": message, "code": code or status}}, status=status, **options)


def error_in_200(code: Any, message: str = "no", **options: Any) -> Reply:
    return json_reply({"error": {"message": message, "code": code}}, **options)


Said = str | Mapping[str, Any] | Reply
"""An answer's text, a whole payload, or every byte."""


class LLMServer:
    def __init__(self, *, certificate: tuple[str, str] | None = None) -> None:
        self.answer: Callable[[Any], Said] = lambda body: "ok"
        self.models: list[str] = ["test-model"]
        self.pages: dict[str, Said] = {}
        """Answers to GET, by path."""
        self.delay = 0.0
        self.requests: list[Seen] = []
        """Those for completions."""
        self.others: list[Seen] = []
        self.in_flight = 0
        self.most_at_once = 0
        self._said: deque[Said] = deque()
        self._changed = threading.Condition()
        self._open = threading.Event()
        self._open.set()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.llm = self
        self._scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> "LLMServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self._scheme}://{self.host}/v1"

    def say(self, *replies: Said) -> None:
        """What the next requests are answered, in the order in which they come; after that, `answer` again."""
        with self._changed:
            self._said.extend(replies)

    def hold(self) -> None:
        """Answer nobody until `release`."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def wait_for_requests(self, count: int) -> None:
        """Until so many have come, all told."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE), f"{len(self.requests)} came"

    def wait_until_idle(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: not self.in_flight, PATIENCE), f"{self.in_flight} in flight"

    # --- For its handler -------------------------------------------------------------------------

    def begin(self, seen: Seen) -> Said | None:
        """What was said for this request, in the order of arrival."""
        with self._changed:
            self.requests.append(seen)
            self.in_flight += 1
            self.most_at_once = max(self.most_at_once, self.in_flight)
            self._changed.notify_all()
            return self._said.popleft() if self._said else None

    def end(self) -> None:
        with self._changed:
            self.in_flight -= 1
            self._changed.notify_all()

    def wait_until_open(self) -> None:
        self._open.wait(PATIENCE)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    llm: LLMServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who breaks a handshake off, or goes away, is told of by the client's side of the test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        llm = self.server.llm
        llm.others.append(Seen("GET", self.path, _lower(self.headers), None))
        if self.path in llm.pages:
            self._send(_reply(llm.pages[self.path]))
        elif self.path.endswith("/models"):
            self._send(json_reply({"object": "list", "data": [{"id": name} for name in llm.models]}))
        else:
            self._send(error(404))

    def do_POST(self) -> None:
        llm = self.server.llm
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = Seen("POST", self.path, _lower(self.headers), json.loads(raw))
        said = llm.begin(seen)
        try:
            llm.wait_until_open()
            self._send(_reply(llm.answer(seen.body) if said is None else said))
        finally:
            llm.end()

    def _send(self, reply: Reply) -> None:
        self.close_connection = True
        try:
            if self.server.llm.closing.wait(reply.delay or self.server.llm.delay):
                return
            self._send_head(reply)
            for place, piece in enumerate(reply.pieces):
                if place and reply.pause and self.server.llm.closing.wait(reply.pause):
                    return
                self.wfile.write(piece)
            if reply.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())
        except OSError:
            pass  # the client has gone

    def _send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        length = sum(map(len, reply.pieces)) if reply.length is None else reply.length
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def _reply(said: Said) -> Reply:
    if isinstance(said, Reply):
        return said
    return json_reply(completion(said) if isinstance(said, str) else said)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
