"""Keys of providers: from the environment alone, each bound to its host, so that no rule can send one elsewhere.

They are read when they are needed and kept nowhere: not in the settings, which error pages and shells show.
"""

import os
import re
from collections.abc import Mapping

from kjxlkj.errors import Invalid
from librarian.providers.endpoints import Endpoint, parse_address

OPENROUTER = "https://openrouter.ai"


def key_for(endpoint: Endpoint) -> str:
    """Empty: it has none. Raises `Invalid` PROVIDER_KEYS_INVALID where the environment cannot be read."""
    return _keys(os.environ).get(parse_address(endpoint.base_url).origin, "")


def keys_fault(environment: Mapping[str, str]) -> str:
    """What is wrong with the variables, without a word of the keys; empty: nothing."""
    try:
        _keys(environment)
    except Invalid as error:
        return error.message
    return ""


def _keys(environment: Mapping[str, str]) -> dict[str, str]:
    """By scheme and host, as in “https://openrouter.ai”."""
    found = {}
    if given := environment.get("OPENROUTER_API_KEY", "").strip():
        found[OPENROUTER] = _key(given, "OPENROUTER_API_KEY")
    words = [word.strip() for word in environment.get("KJXLKJ_LLM_KEYS", "").split(",")]
    for place, word in enumerate(filter(None, words), start=1):
        where = f"KJXLKJ_LLM_KEYS, part {place}"
        server, equals, key = word.partition("=")
        if not equals:
            raise _invalid(f"{where}: expected host=key, such as llm.example.com=…")
        found[_server(server.strip(), where)] = _key(key.strip(), where)
    return found


def _server(server: str, where: str) -> str:
    """A bare host means https, or this machine: to send a key in the clear elsewhere, one has to write so."""
    try:
        if "://" in server:
            address = parse_address(server)
        else:
            address = parse_address(f"http://{server}")
            if not address.is_local:
                address = parse_address(f"https://{server}")
    except ValueError:
        # Not what was written: where an = is missing, it is a key.
        raise _invalid(f"{where}: what stands before the = is not a host, such as llm.example.com:8443.") from None
    if address.path:
        raise _invalid(f"{where}: only the host and the port before the =, without a path.")
    return address.origin


def _key(key: str, where: str) -> str:
    # Anything else would not pass as a header, and the error of who tries would show it.
    if not re.fullmatch(r"[!-~]+", key):
        raise _invalid(f"{where}: the key is empty, or has spaces or characters other than ASCII in it.")
    return key


def _invalid(message: str) -> Invalid:
    return Invalid("PROVIDER_KEYS_INVALID", message)
