import json
import os
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kjxlkj.notes.front_matter import join, parse, render, split
from kjxlkj.notes.front_matter.mapping import MAX_DEPTH
from kjxlkj.notes.front_matter.reading import MAX_BLOCK, MAX_TITLE
from kjxlkj.notes.front_matter.scalar import write_scalar
from kjxlkj.notes.tags import MAX_TAG_CHARACTERS, MAX_TAGS, normalise_tag

CORPORA = Path(os.environ.get("KJXLKJ_CORPORA", Path(__file__).parents[2].parent / "shared" / "corpora"))


def block(content):
    return f"---\n{content}---\n"


def edited(front_matter, **changes):
    """`render` with everything as it is but for the changes."""
    parsed = parse(front_matter)
    says = {"title": parsed.title or "Default", "tags": parsed.tags, "aliases": parsed.aliases}
    return render(front_matter, **(says | changes), default_title="Default")


# Text made of the pieces that decide where a block begins and ends, and of anything else.
PIECES = st.sampled_from(
    ["---", "...", "\n", "\r\n", "\r", " ", "\t", "\ufeff", "a: b", "#", "- x", "key:", "```", "{", "? ", ":", "é😀"]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=24).map("".join)


class TestSplit:
    @pytest.mark.parametrize(
        ("text", "front_matter"),
        [
            ("---\na: 1\n---\nbody", "---\na: 1\n---\n"),
            ("---\r\na: 1\r\n---\r\nbody", "---\r\na: 1\r\n---\r\n"),
            ("--- \t\na: 1\n---  \nbody", "--- \t\na: 1\n---  \n"),
            ("---\na: 1\n...\nbody", "---\na: 1\n...\n"),
            ("---\na: 1\n---", "---\na: 1\n---"),
            ("\ufeff---\na: 1\n---\nbody", "\ufeff---\na: 1\n---\n"),
            ("---\n---\nbody", "---\n---\n"),
            ("---\n# only a comment\n\n---\nbody", "---\n# only a comment\n\n---\n"),
            ("---\na: |\n  ---\n  x\n---\nbody", "---\na: |\n  ---\n  x\n---\n"),
            ("---\n\n# c\n'a b': 1\n---\n", "---\n\n# c\n'a b': 1\n---\n"),
            ("---\n{a: 1}\n---\n", "---\n{a: 1}\n---\n"),
            ('---\ntitle: "bad\n---\nbody', '---\ntitle: "bad\n---\n'),
            ("\ufeffbody", "\ufeff"),
        ],
    )
    def test_takes_off_a_block(self, text, front_matter):
        assert split(text) == (front_matter, text.removeprefix(front_matter))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "body",
            "---\na: 1\n",
            "---\na: 1\n----\n",
            "---\na: 1\n ---\n",
            " ---\na: 1\n---\n",
            "\n---\na: 1\n---\n",
            "----\na: 1\n---\n",
            "```yaml\n---\na: 1\n---\n```\n",
            "---\nA paragraph between two rules.\n---\n",
            "---\n- a list: of one\n---\n",
            "---\nhttps://example.org\n---\n",
            "---\n{{< shortcode a: b >}}\n---\n",
            f"---\na: {'x' * MAX_BLOCK}\n---\n",
        ],
    )
    def test_leaves_what_only_looks_like_one(self, text):
        assert split(text) == ("", text)

    @given(TEXTS)
    def test_loses_nothing(self, text):
        front_matter, body = split(text)
        assert front_matter + body == text
        assert join(front_matter, body) == text

    @given(TEXTS, TEXTS)
    def test_gives_back_any_body_that_was_joined(self, text, body):
        front_matter = split(text)[0]
        assert split(join(front_matter, body))[1] == body


class TestParse:
    def test_values_are_what_json_can_hold(self):
        parsed = parse(
            block(
                "a: 2024-01-01\nb: 2024-01-01 10:00:00\nc: .nan\nd: -.inf\ne: 1e999\nf: 12:30\ng: yes\nh: 007\n"
                'i: 12\nj: 1.5\nk: true\nl: ~\nm:\nn: "\\0"\n1: x\n[p, q]: {r: [1]}\no: 99999999999999999999\n'
            )
        )
        assert parsed.metadata == {
            "a": "2024-01-01", "b": "2024-01-01 10:00:00", "c": ".nan", "d": "-.inf", "e": "1e999", "f": "12:30",
            "g": "yes", "h": "007", "i": 12, "j": 1.5, "k": True, "l": None, "m": None, "n": "\ufffd", "1": "x",
            '["p", "q"]': {"r": [1]}, "o": "99999999999999999999",
        }  # fmt: skip
        assert parsed.warnings == []

    @pytest.mark.parametrize("written", ["yes", "12:30", "2024-01-01", "007", "1.10", "true", "0x1F", ".nan", "1e3"])
    def test_a_title_and_a_tag_are_the_text_that_was_written(self, written):
        parsed = parse(block(f"title: {written}\ntags: [{written}]\n"))
        assert parsed.title == written
        assert parsed.tags == [normalise_tag(written)]

    @pytest.mark.parametrize(
        ("content", "title"),
        [
            ("a: 1\n", None),
            ("title:\n", None),
            ("title: ''\n", ""),
            ("Title: X\n", "X"),
            ("title: |\n  a\n  b\n", "a b"),
        ],
    )
    def test_title(self, content, title):
        assert parse(block(content)).title == title

    @pytest.mark.parametrize(
        ("content", "tags"),
        [
            ("tags: [Web Design, '#b']\n", ["b", "web-design"]),
            ("tags:\n- a\n-\n- null\n- b\n", ["a", "b"]),
            ("tags: one two\n", ["one", "two"]),
            ("tags: one two, three\n", ["one-two", "three"]),
            ("tags: '#one #two'\n", ["one", "two"]),
            ("keywords: one two\n", ["one-two"]),
            ("topics: one, two\n", ["one", "two"]),
            ("Tags: [a]\ntag: b\ntopics: [c]\nkeywords: d\n", ["a", "b", "c", "d"]),
            ("a: &x [q]\ntags: *x\n", ["q"]),
            ("tags: [2024, 1.0]\n", ["1.0", "2024"]),
            ("tags: {a: b}\n", []),
            ("tags:\n", []),
        ],
    )
    def test_tags(self, content, tags):
        assert parse(block(content)).tags == tags

    def test_aliases(self):
        assert parse(block("aliases: One thing, Other\n")).aliases == ["One thing", "Other"]
        assert parse(block("alias:\n  - 'a, b'\n  - a\n  - a\n")).aliases == ["a, b", "a"]

    def test_what_is_over_a_limit_stays_in_the_text_and_is_named(self):
        many = ", ".join(f"t{number:03}" for number in range(MAX_TAGS + 1))
        parsed = parse(block(f"title: {'x' * (MAX_TITLE + 1)}\ntags: [{many}, {'y' * (MAX_TAG_CHARACTERS + 1)}]\n"))
        assert len(parsed.tags) == MAX_TAGS
        assert parsed.title == "x" * MAX_TITLE
        assert len(parsed.warnings) == 3

    def test_of_a_repeated_key_the_last_counts_and_it_is_named(self):
        parsed = parse(block("title: A\ntitle: B\n"))
        assert parsed.title == "B"
        assert "“title”" in parsed.warnings[0]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ('title: "never closed\n', "line 3"),
            ("a: b: c\n", "line 2"),
            ("a: *nowhere\n", "&nowhere"),
            ("a: &a [*a]\n", "&a"),
            ("a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1) + "\n", "nested"),
            ("a: \x01\n", "control"),
            ("a: \ud800\n", "surrogate"),
            ("a: 1\n--- \nb: 1\n", None),
        ],
    )
    def test_bad_yaml_is_named_and_nothing_more(self, content, says):
        parsed = parse(block(content))
        if says:
            assert not parsed.readable
            assert says in parsed.warnings[0]
            assert parsed.metadata == {}
            assert edited(block(content), title="New", tags=["a"]) == block(content)

    def test_aliases_cannot_be_piled_up(self):
        levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 12))
        parsed = parse(block(f"l0: &l0 lol\n{levels}"))
        assert not parsed.readable
        assert "expand" in parsed.warnings[0]

    @given(TEXTS)
    def test_any_text_is_read_without_a_fault_and_its_values_can_be_stored(self, text):
        parsed = parse(block(text.replace("---", "")))
        stored = json.dumps(parsed.metadata, allow_nan=False)
        assert "\\u0000" not in stored
        assert json.loads(stored) == parsed.metadata


class TestRender:
    @pytest.mark.parametrize(
        ("before", "changes", "after"),
        [
            ("title: A # c\nz: 1\n", {"title": "B"}, "title: B # c\nz: 1\n"),
            ("title: 'A'\n", {"title": "it's"}, "title: 'it''s'\n"),
            ('title: "A"\n', {"title": 'say "x"'}, 'title: "say \\"x\\""\n'),
            ("title: A\n", {"title": "12:30"}, 'title: "12:30"\n'),
            ("title: A\n", {"title": "yes"}, 'title: "yes"\n'),
            ("title: A\n", {"title": "a: b"}, 'title: "a: b"\n'),
            ("title: |\n  A\n  b\n\nz: 1\n", {"title": "B"}, "title: B\n\nz: 1\n"),
            ("title: >-\n  A\n", {"title": "B"}, "title: B\n"),
            ("title: # none\nz: 1\n", {"title": "B"}, "title: B # none\nz: 1\n"),
            ("title: &t !!str A\n", {"title": "B"}, "title: &t !!str B\n"),
            ("# c\nz: 1\n", {"title": "B"}, "title: B\n# c\nz: 1\n"),
            ("z: 1\n", {"tags": ["a", "b"]}, "z: 1\ntags:\n  - a\n  - b\n"),
            ("  z: 1\n", {"tags": ["a"]}, "  z: 1\n  tags:\n    - a\n"),
            ("{z: 1}\n", {"tags": ["a"]}, '{"tags": ["a"], z: 1}\n'),
            ("tags: [a, 'b'] # c\n", {"tags": ["a", "b", "c"]}, "tags: [a, 'b', 'c'] # c\n"),
            ("tags: [a, b, c]\n", {"tags": ["b"]}, "tags: [b]\n"),
            ("tags: [a, b, c,]\n", {"tags": ["a", "b"]}, "tags: [a, b,]\n"),
            ("tags: [\n  a, # x\n  b\n]\n", {"tags": ["a", "b", "c"]}, None),
            ("tags: [\n  a,\n  b\n]\n", {"tags": ["b", "c"]}, "tags: [\n  b,\n  c\n]\n"),
            ("tags: []\n", {"tags": ["a"]}, "tags: [a]\n"),
            ("tags:\nz: 1\n", {"tags": ["a"]}, "tags:\n  - a\nz: 1\n"),
            ("tags:\n- a\n# c\n-   B b # d\nz: 1\n", {"tags": ["b-b", "c"]}, "tags:\n# c\n-   B b # d\n-   c\nz: 1\n"),
            ("tags:\n  - a\n", {"tags": []}, "tags:\n"),
            ("tags: one two\n", {"tags": ["two", "x"]}, "tags: two x\n"),
            ("tags: One Two, b\n", {"tags": ["one-two", "x"]}, "tags: One Two, x\n"),
            ("tags: a b, c\n", {"tags": ["a-b"]}, "tags: [a b]\n"),
            ("keywords: a\ntags: b\n", {"tags": ["b", "c"]}, "keywords: \ntags: b, c\n"),
            ("keywords: a b\n", {"tags": ["a-b", "x,y"]}, 'keywords: [a b, "x,y"]\n'),
            ("tags: &t [a, b]\ntopics: *t\n", {"tags": ["a"]}, "tags: &t [a]\ntopics: *t\n"),
            ("tags: &t [a, b]\nz: *t\n", {"tags": ["a"]}, "tags: &t [a, b]\nz: *t\n"),
            ("tags:\n  - &q a\n  - b\nz: *q\n", {"tags": ["b"]}, "tags:\n  - &q a\n  - b\nz: *q\n"),
            ("title: A\ntitle: B\n", {"title": "C"}, "title: A\ntitle: C\n"),
            ("aliases:\n  - Old\n", {"aliases": ["Old", "Older: one"]}, 'aliases:\n  - Old\n  - "Older: one"\n'),
            ("? tags\n: - a\n", {"tags": ["b"]}, "? tags\n: [b]\n"),
        ],
    )  # fmt: skip
    def test_changes_as_little_as_can_be(self, before, changes, after):
        made = edited(block(before), **changes)
        if after is not None:
            assert made == block(after)
        else:
            assert set(parse(made).tags) == set(changes["tags"])

    def test_a_block_is_made_where_there_is_none(self):
        assert edited("", tags=["a"]) == "---\ntags:\n  - a\n---\n"
        assert edited("\ufeff", title="B") == "\ufeff---\ntitle: B\n---\n"
        made = render("", title="B", tags=[], aliases=[], default_title="A", newline="\r\n")
        assert made == "---\r\ntitle: B\r\n---\r\n"

    def test_nothing_is_said_of_a_default_title(self):
        assert render("", title="A", tags=[], aliases=[], default_title="A") == ""
        assert render(block("title: ''\n"), title="A", tags=[], aliases=[], default_title="A") == block("title: ''\n")

    def test_line_ends_are_kept(self):
        before = "---\r\ntitle: A\r\ntags:\r\n- a\r\n---\r\n"
        after = "---\r\ntitle: B\r\ntags:\r\n- a\r\n- b\r\n---\r\n"
        assert edited(before, title="B", tags=["a", "b"]) == after

    def test_what_was_over_the_limit_does_not_come_back_as_a_tag(self):
        names = [f"t{number:03}" for number in range(MAX_TAGS + 6)]
        made = edited(block(f"tags: [{', '.join(names)}]\n"), tags=names[1:MAX_TAGS])
        assert parse(made).tags == names[1:MAX_TAGS]


# Blocks as people write them: every style of title and tags between lines that have nothing to do with them.
WORDS = st.text(alphabet="abcé 日'\"#:,-[]{}&*!|>%@`_/😀", min_size=1, max_size=12).map(str.strip).filter(bool)
TITLES = WORDS.map(lambda text: " ".join(text.split()))
STYLES = st.sampled_from(["", "'", '"'])


def _is_tag(word):
    return 0 < len(normalise_tag(word)) <= MAX_TAG_CHARACTERS


@st.composite
def tag_entries(draw, key):
    words, quote = draw(st.lists(WORDS.filter(_is_tag), max_size=4)), draw(STYLES)
    layout = draw(st.sampled_from(["flow", "lines", "block", "indented", "text", "null"]))
    flow = [write_scalar(word, quote, flow=True) for word in words]
    if layout == "flow":
        return f"{key}: [{draw(st.sampled_from(['', ' ']))}{', '.join(flow)}]  # c\n"
    if layout == "lines" and words:
        return f"{key}: [\n  " + ",\n  ".join(flow) + "\n]\n"
    if layout in {"block", "indented"} and words:
        dash = "- " if layout == "block" else "  -  "
        return f"{key}:\n" + "".join(f"{dash}{write_scalar(w, quote)} # {n}\n# c\n" for n, w in enumerate(words))
    if layout == "text":
        return f"{key}: {write_scalar(draw(st.sampled_from([', ', ' '])).join(words), quote)}\n"
    return f"{key}:\n"


@st.composite
def blocks(draw):
    others = [
        "# a comment\n",
        "x:\n  - 1\n  -   two # c\n",
        "y: {b: [1, 2]}\n",
        "\n",
        "z: |\n  title: no\n\n",
        "w: 'q'  # c\n",
    ]
    parts = draw(st.lists(st.sampled_from(others), unique=True))
    if draw(st.booleans()):
        parts.append(f"title:  {write_scalar(draw(TITLES), draw(STYLES))} # t\n")
    keys = draw(st.lists(st.sampled_from(["tags", "Tags", "tag", "topics", "keywords"]), unique=True, max_size=2))
    parts += [draw(tag_entries(key)) for key in keys]
    if draw(st.booleans()):
        parts.append(draw(tag_entries("aliases")))
    text = "".join(draw(st.permutations(parts)))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return draw(st.sampled_from(["", "\ufeff"])) + block(text).replace("\n", newline)


def _untouched(front_matter, keys):
    """The lines that belong to no key of `keys`: neither the key's own nor those of its list."""
    lines, inside = [], False
    for line in front_matter.splitlines(keepends=True):
        name = line.split(":")[0].casefold()
        if name in keys:
            inside = True
        elif inside and (line.startswith((" ", "-", "]"))) and not line.startswith("---"):
            continue
        else:
            inside = inside and line.startswith("#")
            lines.append(line)
    return lines


LABEL_KEYS = {"title", "tags", "tag", "topics", "keywords", "aliases"}


class TestRenderOnAnyBlock:
    @given(blocks())
    def test_verbatim_when_nothing_changed(self, front_matter):
        assert parse(front_matter).readable
        assert edited(front_matter) == front_matter

    @given(
        blocks(), TITLES, st.lists(WORDS.map(normalise_tag).filter(_is_tag), unique=True, max_size=3), WORDS, st.data()
    )
    def test_says_what_was_wanted_and_leaves_every_other_line(self, front_matter, title, new, alias, data):
        before = parse(front_matter)
        kept = data.draw(st.lists(st.sampled_from(before.tags), unique=True)) if before.tags else []
        tags = sorted({*kept, *new})
        made = edited(front_matter, title=title, tags=tags, aliases=[*before.aliases[1:], alias])
        after = parse(made)
        assert (after.title, after.tags) == (title, tags) or (before.title is None and title == "Default")
        assert set(after.aliases) == {*before.aliases[1:], " ".join(alias.split())}
        assert _untouched(made, LABEL_KEYS) == _untouched(front_matter, LABEL_KEYS)
        assert split(made + "body") == (made, "body")

    @given(blocks(), WORDS.filter(_is_tag))
    def test_a_tag_put_on_and_taken_off_leaves_the_others_spelled_as_they_were(self, front_matter, word):
        tag, before = normalise_tag(word), parse(front_matter)
        assume(tag not in before.tags)
        there = edited(front_matter, tags=sorted([*before.tags, tag]))
        back = edited(there, tags=before.tags)
        assert parse(there).tags == sorted([*before.tags, tag])
        assert parse(back).tags == before.tags
        assert parse(back).title == before.title

    @given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
    def test_any_title_can_be_written(self, title):
        assume(title.strip())
        made = render("", title=title, tags=[], aliases=[], default_title="")
        assert parse(made).title == " ".join(title.split())[:MAX_TITLE].rstrip()


@pytest.mark.parametrize("name", ["18f-blog", "digitalgov", "flancia-garden", "windows-driver-docs"])
def test_corpus_comes_back_verbatim_and_takes_a_tag(name):
    import zipfile

    archive = CORPORA / f"{name}.zip"
    if not archive.exists():
        pytest.skip(f"the corpus {name} is not here")
    with zipfile.ZipFile(archive) as corpus:
        texts = [corpus.read(path).decode() for path in corpus.namelist() if path.endswith(".md")]
    for text in texts[:3000]:
        front_matter, body = split(text)
        parsed = parse(front_matter)
        assert front_matter + body == text
        assert edited(front_matter) == front_matter
        if parsed.readable and len(parsed.tags) < MAX_TAGS:
            made = edited(front_matter, tags=sorted([*parsed.tags, "zz-new"]))
            assert parse(made).tags == sorted([*parsed.tags, "zz-new"])
            assert len(set(made.splitlines()) - set(front_matter.splitlines())) <= 3
