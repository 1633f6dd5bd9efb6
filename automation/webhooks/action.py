"""The action `webhook`: tell somebody else's server of a run."""

import re
import time
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from automation.actions import Action
from automation.budgets import LIMITS
from automation.models import Run
from automation.schema import schema_faults
from automation.webhooks.addresses import why_forbidden
from automation.webhooks.payload import MOST, payload
from automation.webhooks.signing import secret_of, signature
from kjxlkj.errors import DomainError, Fault
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.models import LLM_QUEUE
from kjxlkj.jobs.outcomes import Retry
from kjxlkj.jobs.slots import slot

TIMEOUT_MS = 10_000
_TIMEOUT_MOST_MS = 60_000
_TIMEOUT_LEAST_MS = 100
_URL_CHARACTERS = 2000
# Deliveries to one host at the same time, over all of ours.
_AT_ONCE = 4
# Before the second and the third attempt, at least: a receiver that is being started anew is back by then.
_PAUSES = (10.0, 120.0)

_PROPERTIES: dict[str, Mapping[str, Any]] = {
    "url": {
        "type": "string",
        "format": "uri",
        "maxLength": _URL_CHARACTERS,
        "title": "Address",
        "description": "An http or https address. Every member of the workspace can read it: no passwords in it.",
    },
    "timeout_ms": {
        "type": "integer",
        "minimum": _TIMEOUT_LEAST_MS,
        "maximum": _TIMEOUT_MOST_MS,
        "default": TIMEOUT_MS,
        "title": "Time limit (ms)",
        "description": "What the receiver is given for the whole of its answer.",
    },
    "limits": LIMITS,
}
SCHEMA = {"type": "object", "required": ["url"], "additionalProperties": False, "properties": _PROPERTIES}


def faults(action: Mapping[str, Any]) -> list[Fault]:
    found = [_unknown(name) for name in action if name not in {"kind", *_PROPERTIES}]
    found += _url_faults(action.get("url"))
    limit = action.get("timeout_ms", TIMEOUT_MS)
    if isinstance(limit, bool) or not isinstance(limit, int) or not _TIMEOUT_LEAST_MS <= limit <= _TIMEOUT_MOST_MS:
        bounds = f"{_TIMEOUT_LEAST_MS} to {_TIMEOUT_MOST_MS:,}"
        found.append(Fault("action_json.timeout_ms", f"expected a whole number of milliseconds from {bounds}."))
    return found + schema_faults(action.get("limits", {}), LIMITS, "action_json.limits")


def _unknown(name: str) -> Fault:
    if re.search(r"header|auth|key|token|secret|password", name, re.IGNORECASE):
        return Fault(
            f"action_json.{name}", "no headers and no keys in rules. The receiver knows us by the signature instead."
        )
    return Fault(f"action_json.{name}", f"unknown. Use one of: {', '.join(_PROPERTIES)}.")


def _url_faults(url: Any) -> list[Fault]:
    message = _url_fault(url)
    return [Fault("action_json.url", message)] if message else []


def _url_fault(url: Any) -> str:
    if not isinstance(url, str) or not url:
        return "give the address that is to be told, such as https://example.com/hook."
    if len(url) > _URL_CHARACTERS:
        return f"longer than {_URL_CHARACTERS} characters."
    if not re.fullmatch(r"[!-\[\]-~]+", url):
        return "only ASCII, without spaces and backslashes: percent-encode the path, write the host as xn--…"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"not an address: {error}."
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "expected http://host/… or https://host/…"
    if "@" in parts.netloc:
        return "no user name and no password in it: every member can read rules. Check the signature instead."
    if "#" in url:
        return "leave out what follows the #: it is never sent."
    return "the port is to be 1 to 65535." if port == 0 else _host_fault(parts)


def _host_fault(parts: SplitResult) -> str:
    """Hosts that are names are judged when they are connected to: what they mean may change until then."""
    host = parts.hostname or ""
    try:
        if "[" in parts.netloc:
            address: IPv4Address | IPv6Address = IPv6Address(host)
            if "%" in host:
                return "leave out the zone of the address, from the % on."
        elif re.fullmatch(r"0x[0-9a-f]*|[0-9]+", host.rstrip(".").rpartition(".")[2]):
            address = IPv4Address(host)
        elif re.fullmatch(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", host) and len(host) <= 253:
            return ""
        else:
            return "the host is not a name: letters, digits, hyphens and dots, and none at the end."
    except AddressValueError:
        return "write the host's address as four decimal numbers such as 203.0.113.7, or as [IPv6]."
    reason = why_forbidden(host, address)
    return f"{reason}, and rules may not reach it. An operator can allow it by KJXLKJ_WEBHOOK_ALLOW." if reason else ""


def work(run: Run, lease: Lease) -> None:
    """Deliver at least once: who is cut off between the answer and its being recorded delivers again."""
    action = run.rule_snapshot["action_json"]
    url = action["url"]
    body = payload(run)
    # Of a host's name that is too long, the end tells it apart.
    with slot(lease, f"webhook {(urlsplit(url).hostname or '')[-90:]}", _AT_ONCE):
        lease.check()
        _deliver(run, url, body, seconds=action.get("timeout_ms", TIMEOUT_MS) / 1000)


def _deliver(run: Run, url: str, body: bytes, *, seconds: float) -> None:
    # Heavy, and of use to the workers alone.
    from automation.webhooks.delivery import post, refusal

    told: dict[str, Any] = {"url": url, "attempt": run.attempts}
    began, host = time.monotonic(), urlsplit(url).netloc

    def tell(outcome: str) -> None:
        told["seconds"] = round(time.monotonic() - began, 3)
        run.result_json |= {"outcome": outcome, "delivery": told}

    try:
        answer = post(url, body, _headers(run, body), seconds=seconds)
        told |= {"status": answer.status, "response": answer.text}
        if fault := refusal(answer, host):
            raise fault
    except DomainError as fault:
        tell(fault.message)
        raise
    except Retry as fault:
        tell(fault.detail)
        fault.delay = max(fault.delay, _PAUSES[min(run.attempts, len(_PAUSES)) - 1])
        raise
    tell(f"Delivered to {host}, which answered {answer.status}.")


def _headers(run: Run, body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    return {
        "Content-Type": "application/json",
        "User-Agent": "kjxlkj",
        "X-Kjxlkj-Delivery": str(run.id),
        "X-Kjxlkj-Timestamp": timestamp,
        "X-Kjxlkj-Signature": signature(secret_of(run.rule_id), timestamp, body),
    }


WEBHOOK = Action(
    kind="webhook",
    label="Tell another server (webhook)",
    schema=SCHEMA,
    faults=faults,
    work=work,
    max_sources=lambda action_json: MOST,
    # What a delivery does not name would be told nowhere.
    most_sources=MOST,
    acts_outside=lambda action_json: True,
    # It waits for others, as those do that ask a model: many may at once, and no export makes them wait.
    queue=lambda action_json: LLM_QUEUE,
)
