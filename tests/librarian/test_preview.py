"""Previews show what a note says and can do nothing."""

from html.parser import HTMLParser

import pytest
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st

from librarian.preview import render_preview

HARMLESS = {
    *("a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre"),
    *("strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}


class Elements(HTMLParser):
    """The elements a browser would make of some HTML, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl):
        raise AssertionError(f"a declaration: {decl}")


def elements(markdown: str):
    return Elements(render_preview(markdown)).found


def assert_harmless(markdown: str) -> None:
    for tag, attributes in elements(markdown):
        assert tag in HARMLESS
        assert attributes.keys() <= {"a": {"href", "title", "rel"}, "ol": {"start"}}.get(tag, set())
        if tag == "a":
            assert attributes["rel"] == "nofollow noopener noreferrer"
            # Browsers drop control characters and white space when they look for the scheme.
            target = "".join(c for c in attributes.get("href") or "" if c > " ").lower()
            scheme = target.partition(":")[0]
            assert ":" not in target or not scheme.isalnum() or scheme in {"http", "https", "mailto"}


BATTERY = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/pixel.gif'>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe src=https://evil.example></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>@import '//evil.example/x.css';</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<form action=//evil.example><input name=x></form>",
    "<object data=x.swf></object><embed src=x.swf>",
    "<div style='background:url(//evil.example)' class=c id=i onclick=alert(1)>x</div>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)></style></mglyph></math>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<!-- <img src=x> --><!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml-stylesheet href='javascript:alert(1)'?>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;&#x61;vascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\tscript:alert(1)>)",
    "[x](<\x01javascript:alert(1)>)",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "[x](data:image/png;base64,iVBORw0KGgo=)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example 'a\" onmouseover=alert(1) x=\"')",
    '[x](y "title\\" onmouseover=\\"alert(1)")',
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "[x]: javascript:alert(1)\n\n[x]",
    "![x](https://evil.example/pixel.gif)",
    "![x](data:image/svg+xml;base64,PHN2Zy8+)",
    "![<script>alert(1)</script>](x)",
    '![" onerror="alert(1)](x)',
    "![![deep](https://evil.example/a)](https://evil.example/b)",
    "[![x](https://evil.example/pixel.gif)](javascript:alert(1))",
    "![x][r]\n\n[r]: https://evil.example/pixel.gif",
    '```"><script>alert(1)</script>\nx\n```',
    "``` <img src=x onerror=alert(1)>\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "    <script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|:-:|\n| <img src=x onerror=alert(1)> |",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "&amp;lt;script&amp;gt;",
    "# <script>alert(1)</script> {#id .class onclick=alert(1)}",
    "> <script>\n> alert(1)\n> </script>",
    "<a href='javascript:alert(1)'>x</a>",
    "<x onclick=alert(1)//<y onclick=alert(1)>",
    "\0<script>alert(1)</script>",
    "\ufeff<script>alert(1)</script>",
    "<table><td background='https://evil.example/x'>",
    "<video src=x onerror=alert(1)><source src=x></video>",
]


@pytest.mark.parametrize("markdown", BATTERY)
def test_an_attack_becomes_text(markdown):
    assert_harmless(markdown)
    assert_harmless(f"- > {markdown}")
    assert_harmless(f"**{markdown}** [y]({markdown})")


fragments = st.lists(
    st.sampled_from(BATTERY) | st.sampled_from(list("[]()<>!`*_|\n\"'&:#\\ ")) | st.text(max_size=3), max_size=12
).map("".join)


@given(fragments)
def test_no_mixture_of_attacks_gets_through(markdown):
    assert_harmless(markdown)


def test_raw_html_is_shown_not_swallowed():
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in render_preview("see <script>alert(1)</script>")


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("![a *map* of it](https://evil.example/p.png 'title')", "<em>🖼 a map of it</em>"),
        ("![](p.png)", "<em>🖼 </em>"),
        ("![a <strong>b](p.png)", "<em>🖼 a &lt;strong&gt;b</em>"),
    ],
)
def test_an_image_is_its_alt_text_with_a_mark(markdown, text):
    assert render_preview(markdown) == f"<p>{text}</p>\n"


@pytest.mark.parametrize(
    "target",
    ["https://example.org/a?b=c#d", "http://example.org", "mailto:a@example.org", "notes/b.md", "../c.md#d", "#e"],
)
def test_links_to_the_web_to_mail_and_within_the_vault_work(target):
    assert elements(f"[x]({target})")[1] == ("a", {"href": target, "rel": "nofollow noopener noreferrer"})


def test_markdown_is_rendered_with_tables():
    html = render_preview(
        "# T\n\n*a* **b** `c`\n\n3. one\n\n| a | b |\n|--:|---|\n| 1 | 2 |\n\n```py\nx\n```\n\n---\n> q"
    )
    for expected in ("<h1>T</h1>", "<em>a</em>", "<strong>b</strong>", '<ol start="3">', "<td>1</td>", "<pre><code>x"):
        assert expected in html
    assert "<blockquote>" in html
    assert isinstance(html, SafeString)


def test_wikilinks_stay_as_they_are_written():
    assert render_preview("see [[ops/runbook|the runbook]]") == "<p>see [[ops/runbook|the runbook]]</p>\n"


def test_deep_nesting_is_rendered():
    assert_harmless("> " * 2_000 + "x")
    assert_harmless("[" * 2_000 + "x" + "](y)" * 2_000)
    assert_harmless("*" * 2_000 + "x" + "*" * 2_000)
