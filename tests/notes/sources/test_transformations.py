"""The pure parts: whatever the names and texts, nothing collides, nothing else changes, every link leads on."""

import posixpath
from datetime import date
from time import process_time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kjxlkj.notes.markdown import link_key, parse_links
from kjxlkj.notes.sources.bear import BEAR
from kjxlkj.notes.sources.journal import title_of_day
from kjxlkj.notes.sources.labels import hashtags
from kjxlkj.notes.sources.logseq import LOGSEQ, labels_of, page_properties
from kjxlkj.notes.sources.notion import NOTION, without_ids
from kjxlkj.notes.sources.obsidian import OBSIDIAN
from kjxlkj.notes.sources.relinking import Relinking
from kjxlkj.notes.sources.source import kept_apart
from kjxlkj.notes.vault import Contents, NoteFile
from tests.notes.sources.vaults import IDS

words = st.sampled_from(["a", "b", "Über", "c d", "e(1)", "100%", "q?", "x#y", "[z]", "v1.2"])
names = st.builds(lambda name, number: f"{name} {IDS[number]}" if number else name, words, st.integers(0, 3))
suffixes = st.sampled_from([".md", ".csv", "_all.csv", ".png", ""])
paths = st.builds(lambda folders, name, suffix: "/".join([*folders, name + suffix]),
                  st.lists(names, max_size=3), names, suffixes)  # fmt: skip


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef")))
def test_nothing_is_put_where_something_else_is(wanted):
    places = kept_apart(wanted)
    assert places.keys() == wanted.keys()
    assert len(set(places.values())) == len(places)
    assert all(new in {old, wanted[old]} for old, new in places.items())
    if len(set(wanted.values())) == len(wanted):
        assert places == wanted


@given(st.sets(paths, max_size=8))
def test_files_without_ids_stay_as_many_and_as_deep(files):
    places = without_ids(sorted(files))
    assert places.keys() == files
    assert len(set(places.values())) == len(places)
    for old, new in places.items():
        assert old.count("/") == new.count("/")
        assert all(new.endswith(suffix) for suffix in (".md", ".csv", "_all.csv", ".png") if old.endswith(suffix))
    assert without_ids(sorted(files, reverse=True)) == places


@given(st.dictionaries(paths, paths, min_size=1, max_size=5), st.data())
def test_a_link_leads_to_the_same_file_and_nothing_else_changes(wanted, data):
    places = kept_apart(wanted)
    assume(not any(other.startswith(f"{old}/") for old in places for other in places))
    source, target = data.draw(st.sampled_from(sorted(places))), data.draw(st.sampled_from(sorted(places)))
    written = posixpath.relpath(f"/{target}", posixpath.dirname(f"/{source}"))
    escaped = "".join(f"%{ord(c):02X}" if c in " ()%?#[]" else c for c in written)
    text = f"---\na: '[x]({escaped})'\n---\n\r\n`[x]({escaped})` é [x]({{}}#h%20i 'T') <b>\n[web](https://x.example/{escaped})"
    was = text.format(escaped)
    now = Relinking(places).of(was, source, places[source])
    (link,) = parse_links(now.partition("\n---\n")[2])
    assert now == text.format(now[now.index("é [x](") + 6 : now.index("#h%20i")])
    assert (
        posixpath.normpath(posixpath.join("/", posixpath.dirname(places[source]), link.target)) == f"/{places[target]}"
    )
    assert link.heading == "h i"
    assert link_key(link, places[source])
    if places[source] == source and places[target] == target:
        assert now == was


@pytest.mark.parametrize(("written", "now"), [
    ("[x](a)", "[x](z/b)"), ("[x](/a.md#h)", "[x](/z/b.md#h)"), ("![x](<a.md> 'T')", "![x](<z/b.md> 'T')"),
    ("[![i](p.png)](a.md)", "[![i](z/q%20r.png)](z/b.md)"), ("[x](none.md)", "[x](none.md)"), ("[[a]]", "[[a]]"),
    ("[x](./here.md)", "[x](./here.md)"), ("[x](a.md?y)", "[x](z/b.md?y)"), ("[x](#a.md)", "[x](#a.md)"),
    ("[x](mailto:a.md)", "[x](mailto:a.md)"), ("[x](u\u0308.md)", "[x](z/ue.md)"),
])  # fmt: skip
def test_only_the_path_of_a_link_that_moved_changes(written, now):
    places = {"a.md": "z/b.md", "p.png": "z/q r.png", "here.md": "here.md", "n.md": "n.md", "\u00fc.md": "z/ue.md"}
    assert Relinking(places).of(written, "n.md", "n.md") == now


@given(st.text(st.sampled_from("ab#[]()`\n -:/.1!|")))
def test_any_text_without_moved_targets_stays(text):
    assert Relinking({"a": "a", "b.md": "b.md"}).of(text, "b.md", "b.md") == text


@pytest.mark.parametrize(("body", "found"), [
    ("#one #two/three (#four) x#no #a-b_c.", ["one", "two/three", "four", "a-b_c"]),
    ("# Heading\n## More\n#tag", ["tag"]),
    ("`#code` <!-- #c --> [#l](x) https://x.example/#frag\n```\n#fenced\n```\n", []),
    ("#123 #2024 #v2 #été #🍕", ["v2", "été", "🍕"]),
    ("#two words# and #one and #two, C# and F#", ["two words", "one", "two"]),
    ("#a/b c/d# #x#", ["a/b c/d", "x"]),
    ("#[[two words]] [[no tag]] #plain", ["two words", "plain"]),
    ("#tag, see C# now", ["tag"]),
    ("#+BEGIN_NOTE #-x #/y #^z #=1a", []),
])  # fmt: skip
def test_hashtags_are_found_where_they_are_tags(body, found):
    assert [tag.label for tag in hashtags(body, bracketed=True, of_words=True)] == found


@given(st.text(st.sampled_from("#a b[]\n`,./1#")))
def test_hashtags_say_where_they_stand(body):
    for tag in hashtags(body, bracketed=True, of_words=True):
        assert body[tag.position] == "#"
        assert body[tag.position :].lstrip("#[ ").startswith(tag.label)


@pytest.mark.parametrize(("body", "properties"), [
    ("title:: A\ntags:: x, y\n\n- text key:: no\n", {"title": "A", "tags": "x, y"}),
    ("- title:: A\n  Tags:: x\n- more:: no\n", {"title": "A", "tags": "x"}),
    ("\n\ntitle:: A", {"title": "A"}),
    ("text\ntitle:: A\n", {}),
    ("https://x.example::8000\n", {}),
    ("title::\r\nalias:: b\r\n", {"title": "", "alias": "b"}),
    ("# A:: b\n", {}),
    ("", {}),
])  # fmt: skip
def test_page_properties_stand_at_the_top(body, properties):
    assert page_properties(body) == properties


def test_a_property_names_pages_in_many_ways():
    assert labels_of('a, [[b c]], #d, #[[e, f]], "g, h" , , i j') == ["a", "b c", "d", "e, f", "g, h", "i j"]


@pytest.mark.parametrize(("stem", "name_format", "title_format", "title"), [
    ("2024_01_31", "yyyy_MM_dd", "MMM do, yyyy", "Jan 31st, 2024"),
    ("2024-02-02", "yyyy-MM-dd", "EEE, dd.MM.yy", "Fri, 02.02.24"),
    ("2024-02-03", "yyyy_MM_dd", "EEEE d MMMM", "Saturday 3 February"),
    ("20240211", "yyyyMMdd", "do 'of' MMMM", "11th of February"),
    ("11.02.2024", "dd.MM.yyyy", "yyyy-MM-dd EEEE", "2024-02-11 Sunday"),
    ("2024_02_30", "yyyy_MM_dd", "yyyy", None),
    ("notes", "yyyy_MM_dd", "yyyy", None),
    ("2024_01_31", "yyyy_MM_dd", "QQ yyyy", None),
    ("2024_01_31", "(((", "yyyy", "2024"),
])  # fmt: skip
def test_days_are_named_as_the_settings_say(stem, name_format, title_format, title):
    assert title_of_day(stem, name_format, title_format) == title


@given(st.dates(), st.sampled_from(["yyyy_MM_dd", "dd-MM-yyyy", "yyyyMMdd"]))
def test_every_day_is_found_again(day, name_format):
    stem = name_format.replace("yyyy", f"{day.year:04}").replace("MM", f"{day.month:02}").replace("dd", f"{day.day:02}")
    assert date.fromisoformat(str(title_of_day(stem, name_format, "yyyy-MM-dd"))) == day


HOSTILE = [
    "#a b# ", "#a b", "#x", "#\U0001f355", "[x](a.md)", "[x](", "[[a", "![", "((", "{{embed ", "{{query ", "a, ", "`",
    "((66b0a1c2-0000-4000-8000-000000000000))", "#+BEGIN_QUERY\n", "https://www.notion.so/", "<a href=\"", "key:: ",
    "<img src='a.md'", "a:: #b\n", "Tags: a, b\n", "# ", "[[a]] ", "%%", "<!--", "[[a#^b]]", "```dataview\n", " ",
    "\n", "> ", "\r\n",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_long(piece):
    """A quadratic way of reading any of these would take minutes."""
    note = NoteFile("a.md", "# T\n\n" + piece * (100_000 // len(piece)))
    contents = Contents(["a.md", f"b {IDS[0]}.md", "logseq/config.edn", "pages/c.md"], {}, False)
    started = process_time()
    for source in (OBSIDIAN, LOGSEQ, NOTION, BEAR):
        entries = list(source.carry(contents, iter([note])))
        assert sum(isinstance(entry, NoteFile) for entry in entries) == 1
    assert process_time() - started < 8
