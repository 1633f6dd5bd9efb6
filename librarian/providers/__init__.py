"""Who answers the librarian's requests. Each provider answers in `xml_attrless`.

All but the offline one speak the chat completions of OpenAI's API; a kind is a preset for one family of servers.
"""

OFFLINE = "offline"

# Kind → where it listens unless the rule says otherwise; “”: the rule has to say.
_BASE_URLS = {
    OFFLINE: "",
    "lmstudio": "http://127.0.0.1:1234/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "openai_compatible": "",
}
PROVIDER_KINDS = tuple(_BASE_URLS)


def base_url_of(kind: str, given: str = "") -> str:
    """Without the slash at its end, so that the same server is always written alike."""
    return (given or _BASE_URLS[kind]).rstrip("/")
