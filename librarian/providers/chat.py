"""Requests to a server of OpenAI's chat completions. One call is one HTTP request: who repeats it is the caller.

Many may be in flight at once, so they share a thread with an event loop. Its timer sees to the total deadline, which
no slow drip of bytes, no resolver and no handshake gets around.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

import httpx
from django.conf import settings

from kjxlkj.retry_after import pause
from librarian.models import Failure
from librarian.providers.bodies import Body, TooMuch, Unreadable
from librarian.providers.endpoints import Endpoint
from librarian.providers.keys import key_for
from librarian.providers.messages import Ask, Completion, ProviderFailure
from librarian.providers.redaction import answer_cleaner, cleaner
from librarian.providers.replies import Reply, beginning, read_completion, read_models, read_object

__all__ = ["Ask", "Chat", "Completion", "ProviderFailure"]

T = TypeVar("T")
# Models of OpenAI's that reason refuse max_tokens, and all of its models take max_completion_tokens. Servers of others
# may not know that name, and answer without any bound: they get the old one.
_OPENAI_HOST = "api.openai.com"
_TOO_MUCH = "answered with more than {:,} bytes, and nothing so long was asked for. Look at its log."


@dataclass(slots=True)
class _Call:
    """One request under way: what of it has happened is what a failure is judged by."""

    method: str
    path: str
    payload: Mapping[str, Any] | None = None
    sent: bool = False
    status: int | None = None
    body: Body = field(default_factory=lambda: Body(settings.LLM_ANSWER_BYTES))

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        self.sent = self.sent or event == "http11.send_request_headers.started"


class Chat:
    """With one server. Leaving the context cancels what is in flight; its futures are cancelled then."""

    def __init__(self, endpoint: Endpoint, *, timeout_seconds: float) -> None:
        """Raises `Invalid` PROVIDER_KEYS_INVALID."""
        self._endpoint = endpoint
        self._seconds = timeout_seconds
        self._key = key_for(endpoint)
        self._clean = cleaner(self._key)

    def __enter__(self) -> "Chat":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chat", daemon=True)
        secure = self._endpoint.base_url.startswith("https:")
        self._client = httpx.AsyncClient(
            headers=self._headers(),
            # No proxy of the environment: notes that are not to leave this machine would travel through it. For a
            # certificate authority of one's own, SSL_CERT_FILE is heeded.
            trust_env=False,
            verify=httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            follow_redirects=False,
            timeout=httpx.Timeout(None),  # there is one deadline for all of it
            # A connection that is used again may just be being closed, and nobody would know what was received.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def submit(self, ask: Ask) -> "Future[Completion]":
        """Its exception is a `ProviderFailure`."""
        call = _Call("POST", "/chat/completions", self._payload(ask))
        return self._start(self._perform(call, ask.model, read_completion))

    def models(self) -> list[str]:
        """The names of those that the server offers. Raises `ProviderFailure`."""
        return self._start(self._perform(_Call("GET", "/models"), "", read_models)).result()

    def check_key(self) -> None:
        """Whether OpenRouter, whose list of models is open to everybody, takes the key. Raises `ProviderFailure`."""
        self._start(self._perform(_Call("GET", "/key"), "", read_object)).result()

    # --- What is sent ----------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": "kjxlkj", "Accept": "application/json", "Accept-Encoding": "identity"}
        if self._endpoint.kind == "openrouter":
            headers["X-OpenRouter-Title"] = "kjxlkj"
            if settings.OPENROUTER_REFERER:
                headers["HTTP-Referer"] = settings.OPENROUTER_REFERER
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return headers

    def _payload(self, ask: Ask) -> dict[str, Any]:
        messages = [("system", ask.system_prompt), ("user", ask.prompt)]
        payload: dict[str, Any] = {
            "model": ask.model,
            "messages": [{"role": role, "content": content} for role, content in messages if content],
            self._max_tokens_field(ask): ask.max_tokens,
            "temperature": ask.temperature,
            "stream": False,
        }
        if self._endpoint.kind == "openrouter":
            payload["usage"] = {"include": True}
        return payload

    def _max_tokens_field(self, ask: Ask) -> str:
        if ask.max_tokens_field != "auto":
            return ask.max_tokens_field
        return "max_completion_tokens" if self._endpoint.host == _OPENAI_HOST else "max_tokens"

    # --- In the thread ---------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()

    async def _perform(self, call: _Call, model: str, read: Callable[[Reply], T]) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                reply = await self._fetch(call, model)
        except TimeoutError:
            failure = self._too_late(call)
        except TooMuch:
            failure = self._failure(call, Failure.INVALID_PAYLOAD, _TOO_MUCH.format(settings.LLM_ANSWER_BYTES))
        except Unreadable as error:
            failure = self._failure(call, Failure.INVALID_PAYLOAD, f"answered in a form that cannot be read: {error}.")
        except (httpx.HTTPError, OSError) as error:
            failure = self._failure(call, Failure.UNREACHABLE, _why(error))
        else:
            return read(reply)
        # Outside of the handlers: what is raised carries no exception of a library with it, with all that they hold.
        raise failure

    async def _fetch(self, call: _Call, model: str) -> Reply:
        url = f"{self._endpoint.base_url}{call.path}"
        extensions = {"trace": call.trace}
        async with self._client.stream(call.method, url, json=call.payload, extensions=extensions) as response:
            call.status = response.status_code
            call.body.packed_as(response.headers.get("content-encoding", ""))
            async for piece in response.aiter_raw():
                call.body.add(piece)
        return Reply(
            host=self._endpoint.host,
            model=model,
            key_hint=self._key_hint(),
            status=response.status_code,
            text=call.body.text,
            clean=self._clean,
            clean_answer=answer_cleaner(self._key),
            retry_after=pause(response.headers.get("retry-after", "")),
            location=response.headers.get("location", ""),
        )

    def _key_hint(self) -> str:
        if self._endpoint.kind == "openrouter":
            return "Look at OPENROUTER_API_KEY in the environment of the workers."
        return f"Look at KJXLKJ_LLM_KEYS in the environment of the workers: {self._endpoint.host}=…"

    # --- What went wrong -------------------------------------------------------------------------

    def _too_late(self, call: _Call) -> ProviderFailure:
        what = "did not answer" if call.sent else "could not be connected to"
        more = " A model that is loaded first, or thinks, takes longer: raise timeout_ms." if call.sent else ""
        return self._failure(call, Failure.TIMEOUT, f"{what} within {self._seconds:g} s.{more}")

    def _failure(self, call: _Call, category: Failure, what: str) -> ProviderFailure:
        return ProviderFailure(
            category,
            self._clean(f"{self._endpoint.host} {what}"),
            may_be_billed=call.sent,
            body=beginning(self._clean(call.body.text)),
            status=call.status,
        )


def _why(error: BaseException) -> str:
    """In words."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"has no valid certificate: {cause.verify_message}. For an authority of your own, set SSL_CERT_FILE."
        if isinstance(cause, ssl.SSLError):
            return f"speaks no TLS that is understood here: {cause.reason or cause}. Is it http:// instead of https://?"
        if isinstance(cause, socket.gaierror):
            return "cannot be found: its name does not resolve. Look at base_url."
        if isinstance(cause, ConnectionRefusedError):
            return "refuses connections: nothing listens there. Start the server, and look at base_url."
    if isinstance(error, httpx.ConnectError):
        return f"could not be connected to{_named(error)}. Look at base_url and the network."
    return f"broke the connection off{_named(error)}. Look at its log."


def _named(error: BaseException) -> str:
    return f": {error}" if str(error) else ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _causes(each)
        error = error.__cause__ or error.__context__
