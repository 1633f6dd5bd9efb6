"""One POST to somebody else's server, and what is to be made of its answer."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpcore
import httpx

from automation.webhooks.network import Deadline, Network
from kjxlkj.errors import DomainError
from kjxlkj.jobs.outcomes import Retry
from kjxlkj.retry_after import pause

RESPONSE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    """The first of its body."""
    retry_after: str = ""
    location: str = ""


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Answer:
    """The whole of it takes no longer than `seconds`; redirects are not followed, and no proxy is asked.

    Raises `DomainError` WEBHOOK_ADDRESS_FORBIDDEN or WEBHOOK_CERTIFICATE_INVALID, `Retry` WEBHOOK_TIMEOUT or
    WEBHOOK_UNREACHABLE.
    """
    parts = urlsplit(url)
    host = parts.netloc
    try:
        return _post(parts, body, {"Host": host, "Accept-Encoding": "identity", **headers}, Deadline(seconds))
    except TimeoutError as error:
        raise Retry("WEBHOOK_TIMEOUT", f"{host} did not answer within {seconds:g} s.") from error
    except ssl.SSLCertVerificationError as error:
        raise DomainError(
            "WEBHOOK_CERTIFICATE_INVALID", f"The certificate of {host} is not valid: {error.verify_message}"
        ) from error
    except (OSError, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise Retry("WEBHOOK_UNREACHABLE", f"{host} could not be reached: {error}.") from error


def _post(parts: SplitResult, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> Answer:
    # For a certificate authority of one's own, SSL_CERT_FILE is heeded.
    context = httpx.create_ssl_context() if parts.scheme == "https" else None
    # Of what was judged: httpcore would take a string apart in another way, and lose the `;…` at a path's end.
    url = httpcore.URL(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port,
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
    with (
        httpcore.ConnectionPool(ssl_context=context, network_backend=Network(deadline)) as pool,
        pool.stream("POST", url, headers=list(headers.items()), content=body) as response,
    ):
        start = b""
        for piece in response.iter_stream():
            start += piece
            if len(start) >= RESPONSE_BYTES:
                break  # the connection is closed with what is still to come
    given = {name.lower(): value.decode("latin-1") for name, value in response.headers}
    return Answer(
        status=response.status,
        # PostgreSQL has no text with a NUL character.
        text=start[:RESPONSE_BYTES].decode(errors="replace").replace("\0", "\ufffd"),
        retry_after=given.get(b"retry-after", ""),
        location=given.get(b"location", ""),
    )


def refusal(answer: Answer, host: str) -> Retry | DomainError | None:
    """What to raise for an answer that is no success."""
    said = f"{host} answered {answer.status}"
    match answer.status:
        case status if 200 <= status < 300:
            return None
        case 429:
            return Retry("WEBHOOK_RATE_LIMITED", f"{said}: too many requests.", delay=pause(answer.retry_after))
        case 408:
            return Retry("WEBHOOK_TIMEOUT", f"{said}: the request took it too long.", delay=pause(answer.retry_after))
        case status if status >= 500:
            return Retry("WEBHOOK_FAILED", f"{said}: a fault of its own.", delay=pause(answer.retry_after))
        case status if 300 <= status < 400:
            to = f" to {answer.location[:200]}" if answer.location else ""
            return DomainError(
                "WEBHOOK_REDIRECTED",
                f"{said}, a redirect{to}, and redirects are not followed. Give the rule the address that is meant.",
            )
        case _:
            return DomainError("WEBHOOK_REFUSED", f"{said}: it refuses the delivery. Look at what it says, and why.")
