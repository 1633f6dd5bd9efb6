"""Search finds what people mean, ranks the title over the text, and marks what it found."""

import pytest
from django.db import connection

from kjxlkj.notes.models import Note
from kjxlkj.notes.search import by_index, highlighted, ranked, with_snippets

pytestmark = pytest.mark.django_db


def found(text):
    return [note.title for note in ranked(Note.objects.live(), text)]


@pytest.mark.parametrize(
    ("body", "query"),
    [("He was running.", "run"), ("A run.", "running"), ("Die Häuser am Hafen", "häuser"), ("STRASSE", "strasse"),
     ("東京 タワー", "東京"), ("Ünïcode naïve", "naïve"), ("the and of", "the"), ("version 2.4.1 is out", "2.4.1"),
     ("see docs/setup.md", "docs/setup.md"), ("a@b.example", "a@b.example"), ("snake_case_name", "snake_case_name")],
)  # fmt: skip
def test_words_are_found_stemmed_in_english_and_as_they_are_in_any_language(make_note, body, query):
    make_note("Right", body=body)
    make_note("Wrong", body="nothing of the kind" if query != "the" else "nothing")
    assert found(query) == ["Right"]


def test_the_title_outranks_the_text(make_note):
    make_note("Log", body="anchor anchor anchor anchor anchor anchor")
    make_note("Anchor", body="x")
    assert found("anchor") == ["Anchor", "Log"]


def test_phrases_exclusions_and_alternatives(make_note):
    make_note("One", body="red buoy")
    make_note("Two", body="buoy red")
    make_note("Three", body="green light")
    assert found('"red buoy"') == ["One"]
    assert sorted(found("buoy -green")) == ["One", "Two"]
    assert sorted(found("green or red")) == ["One", "Three", "Two"]
    assert found("buoy light") == []


def test_snippets_mark_the_words_and_escape_the_rest(make_note):
    note = make_note("x", body='<img src=x onerror="alert(1)"> Running & <b>jumping</b>')
    row = with_snippets(Note.objects.filter(pk=note.pk), "run").get()
    html = highlighted(row.snippet)
    assert "<mark>Running</mark> &amp;" in html
    assert "<img" not in html and "<b>" not in html


def test_marks_in_the_text_itself_cannot_open_tags(make_note):
    note = make_note("x", body="\ue000<script>\ue001 run")
    html = highlighted(with_snippets(Note.objects.filter(pk=note.pk), "run").get().snippet)
    assert "<script" not in html
    assert html.count("<mark>") == html.count("</mark>")


@pytest.mark.parametrize(
    ("query", "marked"),
    [("lantern", "lanterns"), ("queries", "query"), ("sea lantern", "lanterns"), ('"old sea lanterns"', "lanterns"),
     ("-ashore lantern", "lanterns"), ("nowhere or lantern", "lanterns")],
)  # fmt: skip
def test_a_snippet_shows_the_words_however_deep_in_the_text_they_stand(make_note, query, marked):
    filler = "The sea is wide and says little. " * 1000
    note = make_note("x", body=f"{filler}There hang old sea lanterns beside one query. {filler}")
    snippet = with_snippets(Note.objects.filter(pk=note.pk), query).get().snippet
    assert f"<mark>{marked}</mark>" in highlighted(snippet)


def test_a_note_found_by_its_title_alone_shows_how_its_text_begins(make_note):
    note = make_note("Lantern", body="It begins here. " + "And goes on. " * 500)
    assert with_snippets(Note.objects.filter(pk=note.pk), "lantern").get().snippet.startswith("It begins here.")


def test_of_more_matches_than_are_ranked_those_with_the_words_in_the_title_stay(make_note, monkeypatch):
    monkeypatch.setattr("kjxlkj.notes.search.RANKED", 2)
    for title in ("Log", "On anchors and a great many other things", "Diary", "Anchors"):
        make_note(title, body="anchor " * len(title))
    assert found("anchor") == ["On anchors and a great many other things", "Anchors"]
    assert found("anchor -diary") == ["On anchors and a great many other things", "Anchors"]


@pytest.mark.django_db(transaction=True)
def test_by_index_is_over_with_its_block(make_note):
    with by_index(), connection.cursor() as cursor:
        cursor.execute("SHOW enable_seqscan")
        assert cursor.fetchone() == ("off",)
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_seqscan")
        assert cursor.fetchone() == ("on",)
