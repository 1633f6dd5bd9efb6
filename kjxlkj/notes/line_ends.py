"""The line ends of a note's text, which people keep and neither browsers nor models do."""


def with_line_ends_of(former: str, typed: str) -> str:
    """A text that was not touched stays as it is, to the byte; one that came with CR LF keeps them."""
    if typed == former.replace("\r\n", "\n").replace("\r", "\n"):
        return former
    return typed.replace("\n", "\r\n") if "\r\n" in former else typed
