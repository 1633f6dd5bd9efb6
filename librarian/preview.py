"""Markdown as a person may see it: rendered, and harmless whatever the note or a model has written."""

from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

IMAGE_MARK = "🖼"

_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_TAGS = {
    *("a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre"),
    *("s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}


def render_preview(markdown: str) -> SafeString:
    """CommonMark and tables as sanitised HTML; raw HTML shows as text, images as a mark and their alt text."""
    import nh3

    html = nh3.clean(
        _renderer().render(markdown),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
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
    """Loading an image would tell its server who reads what, and when."""
    alt = renderer.renderInlineAsText(tokens[index].children or [], options, env)
    return f"<em>{IMAGE_MARK} {escape(alt)}</em>"
