"""Tags to text. Layout stands between tags only, never inside a leaf."""

from librarian.protocol.neutralise import neutralise


def leaf(name: str, value: str) -> str:
    return f"<{name}>{neutralise(value)}</{name}>\n"


def container(name: str, *children: str) -> str:
    return f"<{name}>\n{''.join(children)}</{name}>\n"
