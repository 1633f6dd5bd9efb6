"""Markdown as a person may see it: rendered, and harmless whatever the note or a model has written."""

import re
from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

IMAGE_MARK = "🖼"

_ATTRIBUTES = {"a": {"href", "title"}, "img": {"alt", "loading", "src"}, "ol": {"start"}}
_ID = re.compile(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/")
_TAGS = {
    *("a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol", "p"),
    *("pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}


def render_preview(markdown: str) -> SafeString:
    """CommonMark and tables as sanitised HTML; raw HTML shows as text, images as a mark and their alt text.

    Images that are attachments are shown where the text has our address of them: see `notes.addresses`.
    """
    import nh3

    html = nh3.clean(
        _renderer().render(markdown),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_only_ours,
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
    )
    return mark_safe(html)  # noqa: S308  # sanitised in the line above


@cache
def _renderer() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    markdown_it = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown_it.add_render_rule("image", _image_as_text)
    return markdown_it


def _image_as_text(
    renderer: Any, tokens: "Sequence[Token]", index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    """Loading an image from elsewhere would tell its server who reads what, and when."""
    alt = escape(renderer.renderInlineAsText(tokens[index].children or [], options, env))
    source = str(tokens[index].attrs.get("src", ""))
    if _is_ours(source):
        return f'<img src="{escape(source)}" alt="{alt}" loading="lazy">'
    return f"<em>{IMAGE_MARK} {alt}</em>"


def _only_ours(tag: str, attribute: str, value: str) -> str | None:
    return None if (tag, attribute) == ("img", "src") and not _is_ours(value) else value


def _is_ours(source: str) -> bool:
    """Whether it is exactly the address of an attachment shown as a picture, which asks who is there."""
    found = _ID.search(source)
    return found is not None and source == reverse("admin:notes_attachment_picture", args=[found[1]])
