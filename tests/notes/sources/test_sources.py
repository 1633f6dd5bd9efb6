"""Vaults of other programs come in: paths, titles, tags, names and links as they say, and what does not is told."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest

from exports.markdown_export import write_archive
from kjxlkj.errors import Invalid
from kjxlkj.notes.files import file_of
from kjxlkj.notes.importing import import_vault
from kjxlkj.notes.models import Attachment, Note, NoteLink
from kjxlkj.workspaces.services import create_workspace
from tests.notes.sources.conftest import as_bytes, packed
from tests.notes.sources.vaults import ALL, BEAR, IDS, LOGSEQ, NOTION, OBSIDIAN, PLAIN, PNG

pytestmark = pytest.mark.django_db


@pytest.fixture
def bring_in(workspace, owner, laid_out):
    def bring(files, name="vault", **options):
        return import_vault(workspace, laid_out(files, name), actor=owner, **options)

    return bring


def notes():
    return {note.path: note for note in Note.objects.live()}


def titles():
    return {path: note.title for path, note in notes().items()}


def links(path):
    """What the links of a note mean, by what stands in the text."""
    found = NoteLink.objects.filter(source__path=path).select_related("target", "attachment")
    return {link.raw: getattr(link.target or link.attachment, "path", None) for link in found}


def held(workspace):
    """By path; front matter apart, which an archive gives to notes whose titles and tags stand nowhere else."""
    files = Attachment.objects.filter(workspace=workspace).values_list("path", "sha256")
    names = ("title", "body", "tags")
    said = {
        note.path: ([getattr(note, name) for name in names], set(note.aliases))
        for note in Note.objects.filter(workspace=workspace)
    }
    return said, dict(files)


def lost(report):
    return Counter((lost.code, lost.path, lost.line) for lost in report.lost)


class TestRecognised:
    @pytest.mark.parametrize("name", ["vault", "vault.zip"])
    @pytest.mark.parametrize(("source", "sign"), [
        ("obsidian", ".obsidian"), ("logseq", "logseq/config.edn beside journals and pages"),
        ("notion", f"Home {IDS[0]}.md"), ("bear", "Damaged.textbundle"), ("plain", ""),
    ])  # fmt: skip
    def test_by_sure_signs(self, bring_in, source, sign, name):
        report = bring_in(ALL[source], name)
        assert (report.source.name, report.sign) == (source, sign)
        assert not report.refused

    @pytest.mark.parametrize("files", [
        {"a.md": "x", "pages/b.md": "x", "journals/c.md": "x"},
        {"logseq/config.edn": "{}", "a.md": "x"},
        {"a.md": "x", "b.md": "x", f"c {IDS[0]}.md": "x"},
        {f"{IDS[0]}.md": "x"},
        {"assets/a.png": PNG, "a.md": "#tag"},
        {"a.md": "x", "b.md": "x", "ideas/c.textbundle/text.md": "x"},
        {"export Part-1.zip": packed({"a.md": "x"}), "a.md": "x"},
    ])  # fmt: skip
    def test_half_a_sign_is_none(self, bring_in, files):
        assert bring_in(files, dry_run=True).source.name == "plain"

    def test_below_a_folder_at_the_top(self, bring_in):
        report = bring_in({f"graph/{path}": content for path, content in LOGSEQ.items()})
        assert report.source.name == "logseq"
        assert titles()["graph/pages/Projects/Harbour.md"] == "Projects/Harbour"
        assert links("graph/pages/Projects/Harbour.md")["![](../../assets/tide_1.png)"] == "graph/assets/tide_1.png"

    def test_what_is_named_is_not_guessed(self, bring_in):
        report = bring_in(NOTION, source="plain")
        assert (report.source.name, report.sign) == ("plain", "")
        assert f"Home {IDS[0]}.md" in notes()

    def test_an_unknown_name_writes_nothing(self, bring_in):
        with pytest.raises(Invalid) as error:
            bring_in(PLAIN, source="evernote")
        assert error.value.code == "SOURCE_UNKNOWN"
        assert "obsidian" in error.value.message
        assert not Note.objects.exists()


class TestAll:
    @pytest.mark.parametrize("name", ["vault", "vault.zip"])
    @pytest.mark.parametrize("source", ALL)
    def test_the_same_again_changes_nothing(self, bring_in, source, name):
        first = bring_in(ALL[source], name)
        again = bring_in(ALL[source], name, delete_missing=True)
        assert first.created > 0
        assert again.changes_nothing
        assert again.lost == first.lost

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("source", ALL)
    def test_our_own_export_of_it_is_plain_and_comes_back_as_it_was(self, bring_in, workspace, owner, source):
        bring_in(ALL[source])
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            write_archive(file, workspace, {})
            file.flush()
            again = import_vault(workspace, Path(file.name), actor=owner)
            elsewhere = create_workspace(slug="copy", name="Copy", owner=owner)
            copied = import_vault(elsewhere, Path(file.name), actor=owner)
        assert again.changes_nothing
        assert (again.source.name, again.sign) == ("plain", "our own export")
        assert copied.created == Note.objects.filter(workspace=workspace).count()
        assert held(workspace) == held(elsewhere)

    @pytest.mark.parametrize("source", ["obsidian", "plain"])
    def test_where_nothing_moves_every_byte_stays(self, bring_in, source):
        bring_in(ALL[source])
        for path, note in notes().items():
            assert file_of(note)[0].encode() == as_bytes(ALL[source][path])

    @pytest.mark.parametrize("source", ALL)
    def test_a_dry_run_writes_nothing_and_says_what_it_would(self, bring_in, source):
        report = bring_in(ALL[source], dry_run=True)
        assert not Note.objects.exists()
        assert report.created == bring_in(ALL[source]).created


class TestObsidian:
    def test_links_of_every_form_lead_to_their_notes(self, bring_in):
        bring_in(OBSIDIAN)
        assert set(links("Home.md").values()) == {"ops/Harbour.md", "files/tide.png"}
        assert set(links("ops/Harbour.md").values()) == {"Home.md", "files/tide.png"}
        assert notes()["Home.md"].tags == ["area/sea", "home"]
        assert notes()["Home.md"].aliases == ["Start"]

    def test_what_is_not_as_it_was_is_told_with_its_line(self, bring_in):
        report = bring_in(OBSIDIAN)
        assert lost(report) == Counter([
            ("BLOCK_REFERENCE", "Home.md", 7), ("HASHTAGS_KEPT", "Home.md", 11), ("QUERY_KEPT", "ops/Harbour.md", 7),
            ("CANVAS_KEPT", "Board.canvas", None), ("BASE_KEPT", "Views.base", None),
        ])  # fmt: skip
        assert Attachment.objects.filter(path__in=["Board.canvas", "Views.base"]).count() == 2


class TestLogseq:
    def test_a_name_that_spells_no_title_is_the_title_itself(self, bring_in):
        names = ["%20", "%00", "a%00b"]
        report = bring_in({**LOGSEQ, **{f"pages/{name}.md": "- x\n" for name in names}})
        assert not report.refused
        assert [titles()[f"pages/{name}.md"] for name in names] == ["%20", "%00", "ab"]

    def test_names_of_files_are_titles_and_namespaces_folders(self, bring_in):
        bring_in(LOGSEQ)
        assert titles() == {
            "journals/2024_01_31.md": "Wednesday, 31st January 2024",
            "journals/notes.md": "notes",
            "pages/Projects/Harbour.md": "Projects/Harbour",
            "pages/Projects/Pier.md": "Projects/Pier",
            "pages/Sea.md": "The Sea: a story",
            "pages/What%3F.md": "What?",
            "pages/yaml.md": "From YAML",
        }

    def test_properties_are_read_and_stay_text(self, bring_in):
        bring_in(LOGSEQ)
        harbour = notes()["pages/Projects/Harbour.md"]
        assert harbour.tags == ["big-idea", "boats", "sea"]
        assert harbour.aliases == ["Port", "The Harbour"]
        assert harbour.body.startswith("tags:: [[Big Idea]], sea, #boats\nalias:: Port")
        assert notes()["journals/2024_01_31.md"].tags == ["meeting", "two-words"]
        assert notes()["pages/yaml.md"].tags == ["back", "front"]

    def test_links_lead_to_pages_journals_and_assets(self, bring_in):
        bring_in(LOGSEQ)
        assert links("journals/2024_01_31.md") == {
            "[[Projects/Harbour]]": "pages/Projects/Harbour.md",
            "[[two words]]": None,
            "![tide](../assets/tide_1.png)": "assets/tide_1.png",
        }
        assert links("pages/Projects/Harbour.md") == {
            "[[Big Idea]]": None,
            "[[The Harbour]]": "pages/Projects/Harbour.md",
            "[[Wednesday, 31st January 2024]]": "journals/2024_01_31.md",
            "![](../../assets/tide_1.png)": "assets/tide_1.png",
            "[b](../Sea.md)": "pages/Sea.md",
        }
        assert links("pages/Sea.md")["[the port]([[Port]])"] == "pages/Projects/Harbour.md"
        assert links("pages/Projects/Pier.md") == {"[[Port]]": "pages/Projects/Harbour.md"}

    def test_of_the_text_only_links_that_moved_change(self, bring_in):
        bring_in(LOGSEQ)
        text = LOGSEQ["pages/Projects___Harbour.md"]
        expected = text.replace("](../assets", "](../../assets").replace("](Sea.md", "](../Sea.md")
        assert notes()["pages/Projects/Harbour.md"].body == expected
        assert notes()["journals/2024_01_31.md"].body == LOGSEQ["journals/2024_01_31.md"]

    def test_what_is_not_as_it_was_is_told_with_its_line(self, bring_in):
        report = bring_in(LOGSEQ)
        told = {code: (path, line) for code, path, line in lost(report) if code != "PAGE_MISSING"}
        assert told == {
            "BLOCK_REFERENCE": ("journals/2024_01_31.md", 2),
            "EMBED_KEPT": ("journals/2024_01_31.md", 2),
            "QUERY_KEPT": ("journals/2024_01_31.md", 4),
            "ORG_KEPT": ("pages/old.org", None),
            "WHITEBOARD_KEPT": ("whiteboards/plan.edn", None),
        }
        assert report.lost_by_code["PAGE_MISSING"] == 2
        assert report.skipped == 3  # settings and old versions

    def test_two_pages_that_would_share_a_place_keep_theirs(self, bring_in):
        bring_in({**LOGSEQ, "pages/a___b.md": "- 1", "pages/a%2Fb.md": "- 2", "pages/..___x.md": "- 3"})
        assert {titles()[path] for path in ("pages/a___b.md", "pages/a%2Fb.md")} == {"a/b"}
        assert titles()["pages/..___x.md"] == "../x"

    def test_a_name_that_makes_no_path_is_kept(self, bring_in):
        bring_in({**LOGSEQ, "pages/Tweet___.md": "- 1", "pages/___a.md": "- 2", "pages/b___ ___c.md": "- 3"})
        assert titles()["pages/Tweet___.md"] == "Tweet/"
        assert titles()["pages/___a.md"] == "/a"
        assert titles()["pages/b___ ___c.md"] == "b/ /c"


class TestNotion:
    def test_ids_leave_names_and_titles_come_from_headings(self, bring_in):
        bring_in(NOTION)
        assert titles() == {
            "Home.md": "Home: all of it",
            "Home/Harbour.md": "Harbour, with a title that Notion has cut in the name of the file",
            "Home/Berths/One.md": "One",
            f"Home/Meeting {IDS[4]}.md": "Meeting",
            f"Home/Meeting {IDS[5]}.md": "Meeting",
            "Plain.md": "Plain",
        }
        assert set(Attachment.objects.values_list("path", flat=True)) == {
            "Home/Berths.csv", "Home/Berths_all.csv", "Home/tide table.png", f"Home/{IDS[6]}.png",
        }  # fmt: skip

    def test_properties_below_the_title_are_read_and_stay_text(self, bring_in):
        bring_in(NOTION)
        harbour = notes()["Home/Harbour.md"]
        assert harbour.tags == ["big-idea", "sea"]
        assert "\n\nTags: Sea, Big Idea\nStatus: Open\n" in harbour.body

    def test_links_lead_where_the_files_are_now(self, bring_in):
        bring_in(NOTION)
        assert links("Home.md") == {
            "[Harbour](Home/Harbour.md)": "Home/Harbour.md",
            "[Berths](Home/Berths.csv)": "Home/Berths.csv",
            f"[Same](Home/Meeting%20{IDS[4]}.md)": f"Home/Meeting {IDS[4]}.md",
            "![](Home/tide%20table.png)": "Home/tide table.png",
        }
        assert links("Home/Harbour.md") == {"[up](../Home.md)": "Home.md", "[row](Berths/One.md)": "Home/Berths/One.md"}
        assert "[web](https://example.com/a%20b)" in notes()["Home.md"].body

    def test_what_is_not_as_it_was_is_told_with_its_line(self, bring_in):
        assert lost(bring_in(NOTION)) == Counter([
            ("DATABASE_KEPT", "Home/Berths.csv", None), ("DATABASE_KEPT", "Home/Berths_all.csv", None),
            ("HTML_LINK", "Home.md", 7), ("NOTION_ADDRESS", "Home.md", 8),
        ])  # fmt: skip

    @pytest.mark.parametrize("name", ["vault", "Export.zip"])
    def test_parts_of_an_export_are_one_vault(self, bring_in, name):
        uuid = "0123abcd-0123-0123-0123-0123456789ab"
        halves = [dict(list(NOTION.items())[:4]), dict(list(NOTION.items())[4:])]
        parts = {f"ExportBlock-{uuid}-Part-{number}.zip": packed(half) for number, half in enumerate(halves, 1)}
        report = bring_in(parts, name)
        assert (report.source.name, report.sign) == ("notion", f"ExportBlock-{uuid}-Part-1.zip")
        assert "Home/Berths/One.md" in notes()
        assert links("Home.md")["[Harbour](Home/Harbour.md)"] == "Home/Harbour.md"
        assert bring_in(parts, name, delete_missing=True).changes_nothing

    @pytest.mark.parametrize("name", ["vault", "Export.zip"])
    @pytest.mark.parametrize("damage", [b"", b"PK no zip"])
    def test_nothing_is_deleted_where_a_part_cannot_be_read(self, bring_in, name, damage):
        halves = [dict(list(NOTION.items())[:4]), dict(list(NOTION.items())[4:])]
        parts = {f"Part-{number}.zip": packed(half) for number, half in enumerate(halves, 1)}
        bring_in(parts, name)
        before = notes().keys()
        with pytest.raises(Invalid) as error:
            bring_in({**parts, "Part-2.zip": damage}, name, delete_missing=True)
        assert error.value.code == "VAULT_INCOMPLETE"
        assert "Part-2.zip" in error.value.message
        assert notes().keys() == before
        assert [refused.code for refused in bring_in({**parts, "Part-2.zip": damage}, name).refused] == ["DAMAGED"]

    def test_the_folder_of_the_export_itself_is_no_path(self, bring_in):
        top = "Export-0123abcd-0123-0123-0123-0123456789ab"
        bring_in({f"{top}/{path}": content for path, content in NOTION.items()})
        assert "Home/Harbour.md" in notes()


class TestBear:
    def test_a_bundle_is_a_note_with_its_files_beside_it(self, bring_in):
        bring_in(BEAR)
        assert titles() == {"Harbour.md": "Harbour", "Pier.md": "Pier", "Damaged.md": "Damaged"}
        assert links("Harbour.md") == {
            "![](Harbour/tide%20table.png)": "Harbour/tide table.png", "[[Pier]]": "Pier.md"
        }  # fmt: skip
        assert links("Pier.md")["![](Pier/tide%20table.png)"] == "Pier/tide table.png"
        assert not Attachment.objects.filter(path__contains="info.json").exists()

    def test_tags_stand_in_the_text(self, bring_in):
        bring_in(BEAR)
        assert notes()["Harbour.md"].tags == ["big-idea", "one", "sea/boats", "two"]
        assert notes()["Damaged.md"].tags == ["tag"]

    def test_what_is_left_out_is_told(self, bring_in):
        report = bring_in(BEAR)
        assert lost(report) == Counter([
            ("TRASHED", "Gone.md", None), ("ENCRYPTED_NOTE", "Secret.md", None), ("ARCHIVED", "Pier.md", None),
            ("TEXTPACK_KEPT", "packed.textpack", None),
        ])  # fmt: skip
        assert not Attachment.objects.filter(path__contains="gone").exists()

    def test_plain_markdown_of_bear_keeps_its_paths(self, bring_in):
        bring_in(
            {"Big Plan.md": "# The big plan\n#work\n![](Big%20Plan/a.png)\n", "Big Plan/a.png": PNG}, source="bear"
        )
        assert titles() == {"Big Plan.md": "The big plan"}
        assert notes()["Big Plan.md"].tags == ["work"]
        assert links("Big Plan.md") == {"![](Big%20Plan/a.png)": "Big Plan/a.png"}


class TestPlain:
    def test_dead_links_are_told_with_their_lines(self, bring_in):
        text = "---\na: 1\n---\n\n![[gone.png]] [[Page]] [[README]]\n"
        report = bring_in({**PLAIN, "guide/dead.md": text})
        assert lost(report) == Counter([
            ("LINK_BROKEN", "README.md", 3), ("LINK_BROKEN", "guide/dead.md", 5), ("PAGE_MISSING", "guide/dead.md", 5)
        ])  # fmt: skip

    def test_each_of_several_dead_links_is_told_with_its_own_line(self, bring_in):
        report = bring_in({"a.md": "[[x]]\n[[y]] [[a]]\n\n[[x]] [![](p.png)](q.md)\n[[x]]\n"})
        assert [(lost.code, lost.line) for lost in report.lost] == [
            ("PAGE_MISSING", 1), ("PAGE_MISSING", 2), ("PAGE_MISSING", 4), ("LINK_BROKEN", 4), ("LINK_BROKEN", 4),
            ("PAGE_MISSING", 5),
        ]  # fmt: skip

    def test_dead_links_of_other_notes_are_not_told(self, bring_in, make_note):
        make_note("Other", path="other.md", body="[[nothing]]")
        assert {lost.path for lost in bring_in(PLAIN).lost} == {"README.md"}


class TestLimits:
    def test_more_tags_than_a_note_may_have_stay_text_and_are_told(self, bring_in):
        body = "# T\n" + "\n".join(f"#tag{number}" for number in range(70)) + "\n#" + "x" * 65
        report = bring_in({"T.textbundle/text.md": body})
        assert len(notes()["T.md"].tags) == 64
        (over,) = report.lost
        assert (over.code, over.line) == ("TAG_OVER_LIMIT", 66)
        assert over.text.endswith(": #tag64, #tag65, #tag66, #tag67, #tag68, #tag69, #" + "x" * 64)

    @pytest.mark.parametrize(("source", "files"), [
        ("logseq", {"pages/a.md": f"title:: {'x' * 300}\n"}),
        ("notion", {f"a {IDS[0]}.md": f"# {'x' * 300}\n"}),
        ("bear", {"a.md": f"# {'x' * 300}\n"}),
    ])  # fmt: skip
    def test_a_title_that_is_too_long_is_cut_and_told(self, bring_in, source, files):
        report = bring_in(files, source=source)
        assert {len(title) for title in titles().values()} == {200}
        assert report.lost_by_code == {"TITLE_CUT": 1}
