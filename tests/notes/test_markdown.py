import pytest
from hypothesis import given
from hypothesis import strategies as st

from kjxlkj.notes.markdown import (
    HIDDEN,
    LinkPlacementError,
    can_be_target,
    first_heading,
    insert_links,
    link_key,
    mask,
    name_key,
    note_keys,
    only_links_differ,
    parse_links,
    plain_text,
    strip_links,
)

# In every body `secret` must be hidden, and `open` must not: before it, and after it where the hiding ends.
HIDING = {
    "fence": "open\n```\nsecret\n```\nopen",
    "fence with info": "open\n```python title\nsecret\n```\nopen",
    "tilde fence": "open\n~~~\nsecret\n```\nsecret\n~~~\nopen",
    "longer fence": "open\n````\n```\nsecret\n```\nsecret\n````\nopen",
    "unclosed fence": "open\n```\nsecret\n\nsecret",
    "quoted fence": "> open\n> ```\n> secret\n> ```\n> open",
    "unclosed quoted fence": "> ```\n> secret\n\nopen",
    "listed fence": "- open\n- ```\n  secret\n  ```\n- open",
    "unclosed listed fence": "1. ```\n   secret\n\nopen",
    "fence in a list item": "- open\n\n  ```\n  secret\n  ```\n\n  open",
    "fence with CRLF": "open\r\n```\r\nsecret\r\n```\r\nopen",
    "code span": "open `secret` open",
    "double code span": "open ``secret ` secret`` open",
    "code span over lines": "open `secret\nsecret` open",
    "HTML comment": "open <!-- secret\n\nsecret --> open",
    "unclosed HTML comment": "open\n<!-- secret",
    "percent comment": "open %%secret%% open",
    "percent block": "open\n%%\nsecret\n\nsecret\n%%\nopen",
    "math": "open $secret$ open",
    "math block": "open\n$$\nsecret\n\nsecret\n$$\nopen",
    "script": "open <script>\nsecret\n\n</script> open",
    "pre": "open <PRE class=x>secret</pre> open",
    "code element": "open <code>secret</code> open",
    "tag": 'open <a href="secret">open</a> open',
    "autolink": "open <https://secret> open",
    "URL": "open https://example.org/secret open",
    "bare URL": "open www.example.org/secret open",
    "heading": "open\n\n## secret\nopen",
    "heading in a quote": "> # secret\n> open",
    "setext heading": "open\n\nsecret and secret\n===\n\nopen",
    "setext heading, dashes": "open\n\nsecret\n---\nopen",
    "reference definition": "open\n\n[secret]: https://x.y secret\nopen",
    "inline field": "open\nowner:: secret\nopen",
    "bracketed field": "open [owner:: secret] open",
    "template": "open {{ secret }} open",
    "shortcode": 'open {{< ref "secret" >}} open',
    "template tag": "open {% secret %} open",
    "callout": "> [!secret] open\n> open",
    "footnote": "open[^secret] open",
    "directive": "open\n:::secret secret\nopen",
    "hashtag": "open #secret/secret open",
    "wikilink": "open [[secret]] open",
    "wikilink with text": "open [[a|secret]] open",
    "embed": "open ![[secret]] open",
    "Markdown link": "open [secret](x.md 'secret') open",
    "link over lines": "open [secret\nsecret](x.md) open",
    "angle link": "open [secret](<x secret.md>) open",
    "image in a link": "open [![secret](secret.png)](secret.md) open",
    "reference link": "open [secret][secret] open",
}
# Hides nothing: look-alikes.
SHOWING = [
    r"\`open\` open",
    "`open",
    "``open`",
    "open\n\n`open\n\n`open",
    "costs $5 and $10 open",
    "100%% open",
    "a < open and b > open",
    "x <!-- open",
    "x\n<!not open",
    r"\[[open",
    "[open] (open)",
    "[[open\n]]",
    "std::open",
    "open {{ open",
    "#\u200b open".replace("#\u200b", "no#1"),
    "- open\n---\n".replace("\n---\n", "\n\n---\n"),
    "a | open\n---|---\nopen | open",
]


@pytest.mark.parametrize("body", HIDING.values(), ids=HIDING.keys())
def test_mask_hides_what_must_not_be_linked_and_nothing_else(body):
    masked = mask(body)
    assert len(masked) == len(body)
    assert "secret" not in masked
    assert masked.count("open") == body.count("open")


@pytest.mark.parametrize("body", SHOWING)
def test_mask_leaves_look_alikes_readable(body):
    masked = mask(body)
    assert len(masked) == len(body)
    assert masked.count("open") == body.count("open")


def test_mask_can_leave_links_readable():
    assert "secret" in mask("[[secret]] [x](secret.md)", links=False)
    assert "secret" not in mask("`[[secret]]`", links=False)


ADVERSARIAL = [
    "`" * 3,
    "` `` ``` ",
    "[",
    "![",
    "[[",
    "[a](",
    "[a](<",
    '[a](b "',
    "[a](b '",
    "[[a|",
    "[[a#",
    "[a [b] ",
    "<!--",
    "<pre>",
    "<a ",
    "<",
    "%%",
    "$$",
    "$a",
    "{{",
    "{%",
    "#",
    "# ",
    "a::",
    "a :: ",
    ":::",
    "> ```\n",
    "- ```\n",
    "  - ```\n",
    "- ```\n  ```\n",
    "```\n",
    "~~~ x\n",
    "> ",
    "- ",
    "1. ",
    "\\",
    "_",
    "*",
    "\n===",
    "\n ",
    "https://",
    "h",
]


@pytest.mark.parametrize("prefix", ["", "a" * 20_000, "> " * 10_000], ids=["bare", "long", "quote"])
@pytest.mark.parametrize("shape", ADVERSARIAL)
def test_openers_without_closers_do_not_hang_the_reader(prefix, shape):
    """Quadratic reading of these would take minutes; nothing is asserted of the time."""
    body = prefix + shape * (80_000 // len(shape))
    assert len(mask(body)) == len(body)
    for read in (parse_links, plain_text, first_heading, strip_links):
        read(body)


@given(st.text(alphabet="ab[]()|#!`~<>-%$\\\n \t:.{}*_=İß漢", max_size=60))
def test_reading_never_fails_and_keeps_offsets(body):
    assert len(mask(body)) == len(mask(body, links=False)) == len(body)
    links = parse_links(body)
    assert all(body[link.start : link.end] == link.raw for link in links)
    assert [link.start for link in links] == sorted(link.start for link in links)
    plain_text(body)
    first_heading(body)
    assert only_links_differ(body, body)


def shape(body):
    return [(link.kind, link.target, link.heading, link.text) for link in parse_links(body)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[[A note]]", [("wikilink", "A note", "", "")]),
        ("[[A|text]]", [("wikilink", "A", "", "text")]),
        ("[[A#Part two|text]]", [("wikilink", "A", "Part two", "text")]),
        ("[[A#^block]]", [("wikilink", "A", "^block", "")]),
        ("| [[A\\|text]] |", [("wikilink", "A", "", "text")]),
        ("![[pic.png|300]]", [("embed", "pic.png", "", "300")]),
        ("[t](b.md)", [("markdown", "b.md", "", "t")]),
        ('[t](../b%20c.md#h%C3%A9 "title")', [("markdown", "../b c.md", "hé", "t")]),
        ("[t](<my note.md#x>)", [("markdown", "my note.md", "x", "t")]),
        ("[t](a(1).md)", [("markdown", "a(1).md", "", "t")]),
        ("[t](b.md?view=x)", [("markdown", "b.md", "", "t")]),
        ("![alt](i.png)", [("image", "i.png", "", "alt")]),
        ("[![a](i.png)](b.md)", [("markdown", "b.md", "", "![a](i.png)"), ("image", "i.png", "", "a")]),
        (
            "[b](b.md) [[a]] ![[c]]",
            [("markdown", "b.md", "", "b"), ("wikilink", "a", "", ""), ("embed", "c", "", "")],
        ),
        ("# about [[a]]", [("wikilink", "a", "", "")]),
        ("[t](http://x) [t](mailto:a@b.c) [t](//x) [t](#here) [t]() [[#here]] [[ ]]", []),
        ("`[[a]]`\n```\n[[b]]\n```\n<!-- [[c]] -->\n%%[[d]]%%\n\\[[e]]", []),
        ("a `b` [[c]] `d`", [("wikilink", "c", "", "")]),
    ],
)
def test_parse_links(body, expected):
    assert shape(body) == expected


def resolve(body, source, notes):
    """What the join in the database does."""
    keys = [(rank, path, key) for path, title, aliases in notes for key, rank in note_keys(path, title, aliases)]
    return [
        min(((rank, path) for rank, path, key in keys if key == link_key(link, source)), default=(0, None))[1]
        for link in parse_links(body)
    ]


NOTES = [
    ("ops/Deploy.md", "How we deploy", ["Rollout"]),
    ("ops/runbooks/_index.md", "Runbooks", []),
    ("README.md", "Start", []),
    ("Straße.md", "Deploy", []),
    ("caf\u0065\u0301.md", "", []),
]


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("[[ops/deploy]]", "ops/Deploy.md"),
        ("[[OPS\\DEPLOY.md]]", "ops/Deploy.md"),
        ("[[/ops/deploy]]", "ops/Deploy.md"),
        ("[[deploy]]", "ops/Deploy.md"),
        ("[[how  we DEPLOY]]", "ops/Deploy.md"),
        ("[[rollout#now]]", "ops/Deploy.md"),
        ("[[../README]]", "README.md"),
        ("[[STRASSE]]", "Straße.md"),
        ("[[CAFÉ]]", "caf\u0065\u0301.md"),
        ("[[runbooks]]", "ops/runbooks/_index.md"),
        ("[x](Deploy.md)", "ops/Deploy.md"),
        ("[x](deploy)", "ops/Deploy.md"),
        ("[x](./runbooks/)", "ops/runbooks/_index.md"),
        ("[x](/ops/deploy.md#a)", "ops/Deploy.md"),
        ("[x](../../../README.md)", "README.md"),
        ("[x](rollout)", None),
        ("[x](how%20we%20deploy.md)", None),
        ("[[nowhere]]", None),
    ],
)
def test_a_link_finds_its_note(link, found):
    assert resolve(link, "ops/today.md", NOTES) == [found]


def test_a_key_is_given_once_with_its_best_rank():
    assert note_keys("a/Deploy.md", "deploy", ["DEPLOY"]) == [
        ("/a/deploy", 0),
        ("a/deploy", 0),
        ("deploy", 1),
    ]
    assert note_keys("", "Only a title", []) == [("only a title", 2)]
    assert note_keys("", "", []) == []


@given(st.text())
def test_name_key_is_stable(name):
    assert name_key(name).removesuffix(".md").strip() == name_key(name_key(name)).removesuffix(".md").strip()


@pytest.mark.parametrize(
    ("body", "heading"),
    [
        ("intro\n\n## The *plan* for [[x|Monday]] ##\n# later", "The plan for Monday"),
        ("```\n# not this\n```\nA title\n=======\n", "A title"),
        ("#\n\n# `code` counts", "code counts"),
        ("#hashtag only", None),
        ("text\n\n---\n\ntext", None),
        ("# C# in depth", "C# in depth"),
        ("", None),
    ],
)
def test_first_heading(body, heading):
    assert first_heading(body) == heading


def test_plain_text_is_what_one_reads():
    body = "# Plan\nSee [[a|the *note*]], [[b]] and [c](d.md) `inline`.\n"
    body += "```\nhidden\n```\n<b>bold</b> http://x a_b _it_"
    assert " ".join(plain_text(body).split()) == "Plan See the note, b and c inline. bold a_b it"


@pytest.mark.parametrize(
    ("body", "links", "expected"),
    [
        ("see Deploy now", [("Deploy", "Deploy")], "see [[Deploy]] now"),
        ("see deploy now", [("deploy", "Deploy")], "see [[Deploy|deploy]] now"),
        ("`a b` Redeploy a-b x/a b a b", [("a b", "N")], "`a b` Redeploy a-b x/a b [[N|a b]]"),
        ("# deploy\ndeploy. deploy", [("deploy", "D")], "# deploy\n[[D|deploy]]. deploy"),
        ("a b", [("b", "B"), ("a", "A")], "[[A|a]] [[B|b]]"),
        ("a a", [("a", "A"), ("a", "B")], "[[A|a]] [[B|a]]"),
        ("| a | b |", [("a", "A")], "| [[A\\|a]] | b |"),
        ("我在东京塔下", [("东京塔", "东京塔")], "我在[[东京塔]]下"),
        ("İ ß deploy", [("deploy", "Deploy")], "İ ß [[Deploy|deploy]]"),
    ],
)
def test_insert_links(body, links, expected):
    result = insert_links(body, links)
    assert result == expected
    assert only_links_differ(body, result)
    assert len(parse_links(result)) == len(parse_links(body)) + len(links)


@pytest.mark.parametrize(
    ("body", "text", "target"),
    [
        ("redeployed", "deploy", "D"),
        ("`deploy` [[deploy]] # deploy".replace(" # ", "\n# "), "deploy", "D"),
        ("deploy", "deploy", "a]]b"),
        ("deploy", "deploy", ""),
        ("a|b", "a|b", "D"),
        ("a", " ", "D"),
        ("a\nb", "a\nb", "D"),
    ],
)
def test_a_link_that_cannot_stand_is_refused_by_name(body, text, target):
    with pytest.raises(LinkPlacementError, match="“") as caught:
        insert_links(body, [(text, target)])
    assert caught.value.text == text


@given(st.text(alphabet="ab CĳŒ-_/.|`#\n漢字", max_size=40), st.sampled_from(["a", "b", "ab", "漢"]))
def test_inserting_changes_nothing_but_links(body, text):
    try:
        result = insert_links(body, [(text, "Target")])
    except LinkPlacementError:
        return
    assert only_links_differ(body, result)
    assert HIDDEN not in result


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("a b", "a [[b]]", True),
        ("a [[b]]", "a [x](b.md)", False),
        ("a [b](x.md)", "a [[y|b]]", True),
        ("a b", "a  b", False),
        ("[b](http://good)", "[b](http://evil)", False),
        ("![[b]]", "b", False),
        ("`[[b]]`", "`b`", False),
    ],
)
def test_only_links_differ(old, new, same):
    assert only_links_differ(old, new) is same


def test_targets_that_read_back():
    assert can_be_target("Release checklist")
    assert not any(can_be_target(name) for name in ("", "C#", "a|b", "[x]", " a", "a\nb"))
