"""Every endpoint of notes: it works, strangers do not learn of it, the wrong role is told so, bad input is named."""

import json
from uuid import UUID, uuid4

import pytest

from kjxlkj.notes import services
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.pagination import encode_cursor
from kjxlkj.workspaces.services import archive_workspace

pytestmark = pytest.mark.django_db


def faults(answer):
    return {fault["field"] for fault in answer.json()["details"]["errors"]}


@pytest.fixture
def note(make_note):
    return make_note("Tides", path="reference/tides.md", body="High water at noon.", tags=["sea"])


# --- Create ---------------------------------------------------------------------------------------


def test_a_note_is_created_and_read_back(client_for, editor, workspace):
    made = client_for(editor).post(
        "/api/notes",
        {
            "workspace_id": str(workspace.id),
            "title": "  Plan  B ",
            "path": "plans/b.md",
            "tags": ["To Do"],
            "body": " x\n",
        },
    )
    assert made.status_code == 201
    note = made.json()
    assert (note["title"], note["path"], note["tags"], note["body"]) == ("Plan B", "plans/b.md", ["to-do"], " x\n")
    assert (note["version"], note["kind"], note["workspace_id"]) == (1, "markdown", str(workspace.id))
    assert note["created_at"].endswith("Z")
    assert client_for(editor).get(f"/api/notes/{note['id']}").json() == note


def test_strangers_cannot_write_into_a_workspace_and_do_not_learn_of_it(client_for, outsider, workspace):
    answer = client_for(outsider).post("/api/notes", {"workspace_id": str(workspace.id), "title": "x"})
    unknown = client_for(outsider).post("/api/notes", {"workspace_id": str(uuid4()), "title": "x"})
    assert answer.status_code == unknown.status_code == 404
    assert answer.json()["code"] == unknown.json()["code"] == "WORKSPACE_NOT_FOUND"
    assert answer.json()["message"] == unknown.json()["message"]


def test_viewers_may_not_write(client_for, viewer, workspace, note):
    client = client_for(viewer)
    url = f"/api/notes/{note.id}"
    answers = [
        client.post("/api/notes", {"workspace_id": str(workspace.id), "title": "x"}),
        client.patch(url, {"base_version": 1, "title": "x"}),
        client.delete(f"{url}?base_version=1"),
        client.post(f"{url}/rollback", {"base_version": 1, "version": 1}),
        client.post(f"{url}/restore", {"base_version": 1}),
        client.put(f"{url}/tags", {"base_version": 1, "tags": []}),
    ]
    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert {answer.json()["code"] for answer in answers} == {"ROLE_FORBIDDEN"}
    assert Note.objects.get(pk=note.pk).version == 1


@pytest.mark.parametrize("method, path", [
    ("get", ""), ("patch", ""), ("delete", ""), ("get", "/history"), ("get", "/history/1"), ("post", "/rollback"),
    ("post", "/restore"), ("get", "/backlinks"), ("put", "/tags"),
])  # fmt: skip
@pytest.mark.parametrize("which", ["real", "unknown", "malformed"])
def test_to_strangers_no_note_exists(client_for, outsider, note, method, path, which):
    note_id = {"real": note.id, "unknown": uuid4(), "malformed": "not-an-id"}[which]
    answer = getattr(client_for(outsider), method)(f"/api/notes/{note_id}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOTE_NOT_FOUND")


def test_a_name_that_is_unknown_is_refused_by_name(client_for, editor, workspace, note):
    made = client_for(editor).post("/api/notes", {"workspace_id": str(workspace.id), "title": "x", "tagz": []})
    changed = client_for(editor).patch(f"/api/notes/{note.id}", {"base_version": 1, "version": 3})
    assert (made.status_code, faults(made)) == (400, {"tagz"})
    assert (changed.status_code, faults(changed)) == (400, {"version"})


@pytest.mark.parametrize(
    ("given", "field"),
    [({"title": 5}, "title"), ({"body": ["x"]}, "body"), ({"tags": "x"}, "tags"), ({"tags": [5]}, "tags.0"),
     ({"kind": "exe"}, "kind"), ({"title": None}, "title"), ({"body": "a\0b"}, "body")],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_refused_by_name(client_for, editor, workspace, given, field):
    answer = client_for(editor).post("/api/notes", {"workspace_id": str(workspace.id), "title": "x", **given})
    assert answer.status_code == 400, answer.json()
    assert {fault.split(".")[0] for fault in faults(answer)} == {field.split(".")[0]}


@pytest.mark.parametrize(
    ("given", "field"),
    [({"title": " "}, "title"), ({"title": "x" * 201}, "title"), ({"path": "../up.md"}, "path"),
     ({"path": "/root.md"}, "path"), ({"tags": ["x" * 65]}, "tags"), ({"tags": [f"t{i}" for i in range(65)]}, "tags")],
)  # fmt: skip
def test_a_value_over_a_limit_is_refused_by_name(client_for, editor, workspace, given, field):
    answer = client_for(editor).post("/api/notes", {"workspace_id": str(workspace.id), "title": "x", **given})
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)


def test_a_body_over_the_limit_is_413(client_for, editor, workspace, settings):
    settings.NOTE_BODY_MAX_BYTES = 100
    answer = client_for(editor).post("/api/notes", {"workspace_id": str(workspace.id), "title": "x", "body": "ä" * 51})
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.json()["details"]["field"] == "body"


def test_a_request_over_the_limit_is_413(client_for, editor, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = client_for(editor).post("/api/notes", {"title": "x" * 200})
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_two_notes_cannot_have_one_path(client_for, editor, workspace, note):
    answer = client_for(editor).post("/api/notes", {"workspace_id": str(workspace.id), "title": "x", "path": note.path})
    assert (answer.status_code, answer.json()["code"]) == (409, "PATH_TAKEN")


# --- Change ---------------------------------------------------------------------------------------


def test_a_change_adds_one_version(client_for, editor, note):
    changed = client_for(editor).patch(f"/api/notes/{note.id}", {"base_version": 1, "title": "Ebb", "body": "Low."})
    assert changed.status_code == 200
    assert (changed.json()["version"], changed.json()["title"], changed.json()["body"]) == (2, "Ebb", "Low.")
    assert changed.json()["tags"] == ["sea"]


def test_a_change_without_base_version_is_refused_by_name(client_for, editor, note):
    client, url = client_for(editor), f"/api/notes/{note.id}"
    answers = [
        client.patch(url, {"title": "x"}),
        client.delete(url),
        client.put(f"{url}/tags", {"tags": []}),
        client.post(f"{url}/rollback", {"version": 1}),
        client.post(f"{url}/restore", {}),
    ]
    assert [(answer.status_code, faults(answer)) for answer in answers] == [(400, {"base_version"})] * 5


def test_an_old_base_version_conflicts_and_writes_nothing(client_for, editor, note):
    client, url = client_for(editor), f"/api/notes/{note.id}"
    client.patch(url, {"base_version": 1, "title": "Ebb"})
    answers = [
        client.patch(url, {"base_version": 1, "title": "Flood"}),
        client.delete(f"{url}?base_version=1"),
        client.put(f"{url}/tags", {"base_version": 1, "tags": ["x"]}),
        client.post(f"{url}/rollback", {"base_version": 1, "version": 1}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (409, "VERSION_CONFLICT")
        assert answer.json()["details"]["current_version"] == 2
    assert client.get(url).json()["title"] == "Ebb"


def test_a_deletion_may_name_its_version_in_the_body(client_for, editor, note):
    client, url = client_for(editor), f"/api/notes/{note.id}"
    assert client.delete(url, {"base_version": 7}).json()["code"] == "VERSION_CONFLICT"
    assert client.delete(url, {"base_version": 1}).status_code == 204


def test_tags_are_replaced(client_for, editor, note):
    answer = client_for(editor).put(f"/api/notes/{note.id}/tags", {"base_version": 1, "tags": ["Moon", "a b"]})
    assert (answer.status_code, answer.json()["tags"], answer.json()["version"]) == (200, ["a-b", "moon"], 2)


def test_nobody_writes_into_an_archived_workspace(client_for, owner, workspace, note):
    archive_workspace(workspace, actor=owner)
    answer = client_for(owner).patch(f"/api/notes/{note.id}", {"base_version": 1, "title": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "WORKSPACE_ARCHIVED")
    assert client_for(owner).get(f"/api/notes/{note.id}").status_code == 200


def test_a_deleted_note_leaves_lists_and_search_and_can_be_restored(client_for, editor, note):
    client, url = client_for(editor), f"/api/notes/{note.id}"
    assert client.delete(f"{url}?base_version=1").status_code == 204
    assert client.get(url).status_code == 404
    assert client.get("/api/notes").json()["results"] == []
    assert client.get("/api/search?q=water").json()["results"] == []
    assert client.patch(url, {"base_version": 2, "title": "x"}).status_code == 404
    assert client.delete(f"{url}?base_version=2").status_code == 404
    assert [row["id"] for row in client.get("/api/notes?deleted=true").json()["results"]] == [str(note.id)]
    gone = client.get(f"{url}?deleted=true").json()
    assert gone["deleted_at"] and gone["version"] == 2

    restored = client.post(f"{url}/restore", {"base_version": 2})
    assert (restored.status_code, restored.json()["version"], restored.json()["deleted_at"]) == (200, 3, None)
    assert client.get("/api/search?q=water").json()["results"][0]["id"] == str(note.id)
    again = client.post(f"{url}/restore", {"base_version": 3})
    assert (again.status_code, again.json()["code"]) == (409, "NOTE_NOT_DELETED")


# --- History --------------------------------------------------------------------------------------


def test_history_tells_each_version_newest_first(client_for, editor, viewer, note):
    client = client_for(editor)
    client.patch(f"/api/notes/{note.id}", {"base_version": 1, "title": "Ebb", "body": "Low."})
    client.put(f"/api/notes/{note.id}/tags", {"base_version": 2, "tags": []})
    events = client_for(viewer).get(f"/api/notes/{note.id}/history").json()["results"]
    assert [(event["seq"], event["changed"]) for event in events] == [(3, ["tags"]), (2, ["body", "title"]), (1, [])]
    assert {event["actor_id"] for event in events[:2]} == {str(editor.id)}
    first = client_for(viewer).get(f"/api/notes/{note.id}/history/1").json()
    assert (first["version"], first["title"], first["body"], first["tags"]) == (
        1,
        "Tides",
        "High water at noon.",
        ["sea"],
    )


def test_a_rollback_is_a_new_version(client_for, editor, note):
    client, url = client_for(editor), f"/api/notes/{note.id}"
    client.patch(url, {"base_version": 1, "title": "Ebb", "body": "Low."})
    back = client.post(f"{url}/rollback", {"base_version": 2, "version": 1})
    assert (back.status_code, back.json()["version"], back.json()["title"]) == (200, 3, "Tides")
    latest = client.get(f"{url}/history?limit=1").json()["results"][0]
    assert (latest["seq"], latest["cause"]) == (3, "rollback")


@pytest.mark.parametrize("version", [4, 10**30])
def test_a_version_that_never_was_is_not_found(client_for, editor, note, version):
    answer = client_for(editor).post(f"/api/notes/{note.id}/rollback", {"base_version": 1, "version": version})
    assert (answer.status_code, answer.json()["code"]) == (404, "VERSION_NOT_FOUND")


def test_backlinks_name_the_notes_that_link_here(client_for, viewer, make_note, note):
    source = make_note("Log", path="log.md", body="See [[tides|the tides]] and [[Tides#Noon]].")
    links = client_for(viewer).get(f"/api/notes/{note.id}/backlinks").json()["results"]
    assert [(link["source_note_id"], link["raw"], link["heading"], link["text"]) for link in links] == [
        (str(source.id), "[[tides|the tides]]", "", "the tides"),
        (str(source.id), "[[Tides#Noon]]", "Noon", ""),
    ]
    assert (links[0]["source_title"], links[0]["source_path"]) == ("Log", "log.md")


# --- Lists ----------------------------------------------------------------------------------------


@pytest.fixture
def many(workspace, owner):
    """Seven notes of one moment, three of them without a path."""
    news = [
        services.NewNote(title=f"n{i}", path=f"d/{i}.md" if i < 4 else "", tags=["odd"] * (i % 2)) for i in range(7)
    ]
    return services.create_notes(workspace, news, cause=by(owner))


@pytest.mark.parametrize("order", ["path", "title", "-updated_at", "-created_at"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_hold_every_row_once_there_and_back(client_for, viewer, many, order, limit):
    client = client_for(viewer)
    url, pages = f"/api/notes?order={order}&limit={limit}", []
    while url:
        page = client.get(url).json()
        pages.append([row["id"] for row in page["results"]])
        url, last = page["next"], page
    seen = [note_id for page in pages for note_id in page]
    assert sorted(seen) == sorted(str(note.id) for note in many)
    back = [pages[-1]]
    while last["previous"]:
        last = client.get(last["previous"]).json()
        back.insert(0, [row["id"] for row in last["results"]])
    assert back == pages
    assert last["previous"] is None


def test_a_page_misses_nothing_when_rows_before_it_go(client_for, viewer, owner, many):
    client = client_for(viewer)
    first = client.get("/api/notes?order=title&limit=3").json()
    services.delete_note(many[1], base_version=1, cause=by(owner))
    second = client.get(first["next"]).json()
    assert [row["title"] for row in second["results"]] == ["n3", "n4", "n5"]


def test_lists_leave_the_text_out_and_show_only_what_is_mine(client_for, viewer, outsider, superuser, note):
    (row,) = client_for(viewer).get("/api/notes").json()["results"]
    assert "body" not in row and "metadata" not in row and row["title"] == "Tides"
    assert client_for(outsider).get("/api/notes").json()["results"] == []
    assert len(client_for(superuser).get("/api/notes").json()["results"]) == 1


def test_a_list_of_a_strangers_workspace_is_not_found(client_for, outsider, workspace):
    for path in ("notes?", "search?q=x&", "tags?", "attachments?", "events?"):
        answer = client_for(outsider).get(f"/api/{path}workspace_id={workspace.id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "WORKSPACE_NOT_FOUND"), path


@pytest.mark.parametrize(
    ("query", "titles"),
    [("tag=odd", ["n1", "n3", "n5"]), ("untagged=true&folder=d", ["n0", "n2"]), ("path_prefix=d/3", ["n3"]),
     ("tag_any=odd,other&title_contains=N5", ["n5"]),
     ('filter={"any":[{"title_contains":"n0"},{"title_contains":"n6"}]}', ["n0", "n6"]),
     ('filter={"not":{"tag":"odd"}}&folder=d', ["n0", "n2"])],
)  # fmt: skip
def test_lists_take_every_filter(client_for, viewer, many, query, titles):
    answer = client_for(viewer).get(f"/api/notes?order=title&{query}")
    assert [row["title"] for row in answer.json()["results"]] == titles


@pytest.mark.parametrize(
    ("query", "field"),
    [("tagg=x", "tagg"), ("limit=0", "limit"), ("limit=201", "limit"), ("limit=ten", "limit"),
     ("cursor=zzz", "cursor"), ("cursor=WzFd", "cursor"), ("order=size", "order"),
     ("created_since=soon", "created_since"), ("updated_since=9999-12-31T23:59:59-23:59", "updated_since"),
     ("created_since=0001-01-01T00:00:00%2B14:00", "created_since"),
     ('filter={"\\ud800":1}', "filter"), ('filter={"all":[{"\\u0000":{}}]}', "filter"),
     ("untagged=perhaps", "untagged"), ("min_length=-1", "min_length"), ("filter=[", "filter"),
     ("workspace_id=7", "workspace_id"),
     ("tag=a&tag=b", "tag"),
     ("kind=exe", "kind"), ("title_contains=%00", "title_contains"), ("updated_within_days=0", "updated_within_days")],
)  # fmt: skip
def test_a_bad_parameter_is_refused_by_name(client_for, viewer, many, query, field):
    answer = client_for(viewer).get(f"/api/notes?{query}")
    assert answer.status_code == 400
    assert faults(answer) == {field}


def test_a_bad_condition_is_refused_with_the_path_of_its_fault(client_for, viewer, many):
    answer = client_for(viewer).get("/api/notes", {"filter": json.dumps({"all": [{"tag": "x"}, {"colour": 1}]})})
    assert (answer.status_code, answer.json()["code"]) == (422, "FILTER_INVALID")
    assert faults(answer) == {"filter.all[1].colour"}


@pytest.mark.parametrize(
    ("order", "value"),
    [("path", None), ("path", "\0"), ("path", "\ud800"), ("title", [1, None]), ("-updated_at", None),
     ("-updated_at", "9999-12-31T23:59:59-23:59"), ("-updated_at", 10**40),
     ("-created_at", "0001-01-01T00:00:00+14:00")],
)  # fmt: skip
def test_a_cursor_that_nobody_gave_out_is_refused(client_for, viewer, many, order, value):
    last = encode_cursor([[order, "id"], [value, str(UUID(int=1))], False])
    answer = client_for(viewer).get("/api/notes", {"order": order, "cursor": last})
    assert answer.status_code in ({200, 400} if isinstance(value, list) else {400})
    tie = encode_cursor([[order, "id"], ["2026-05-31T12:00:00Z", None], False])
    assert client_for(viewer).get("/api/notes", {"order": order, "cursor": tie}).status_code == 400


def test_a_cursor_that_nobody_gave_out_is_refused_for_tags(client_for, viewer, workspace):
    answer = client_for(viewer).get("/api/tags", {"workspace_id": workspace.pk, "cursor": encode_cursor("\ud800")})
    assert (answer.status_code, faults(answer)) == (400, {"cursor"})


def test_a_cursor_of_another_order_is_refused(client_for, viewer, many):
    page = client_for(viewer).get("/api/notes?order=title&limit=2").json()
    answer = client_for(viewer).get(page["next"].replace("order=title", "order=path"))
    assert (answer.status_code, faults(answer)) == (400, {"cursor"})


@pytest.mark.parametrize(
    "path", ["notes?workspace_id={}", "search?q=n&workspace_id={}", "tags?workspace_id={}", "notes/{}/history"]
)
def test_lists_take_as_many_queries_for_many_rows_as_for_one(
    client_for, viewer, make_note, workspace, path, connection_queries
):
    note = make_note("n first", tags=["a"])
    client = client_for(viewer)
    url = "/api/" + path.format(note.id if "history" in path else workspace.id)
    few = connection_queries(lambda: client.get(url))
    for i in range(20):
        make_note(f"n {i}", tags=[f"t{i}"])
        note = services.update_note(note, base_version=note.version, cause=by(viewer), title=f"n {i} times")
    assert connection_queries(lambda: client.get(url)) == few
    assert len(client.get(url).json()["results"]) > 15


def test_backlinks_take_as_many_queries_for_many_rows_as_for_one(
    client_for, viewer, make_note, note, connection_queries
):
    make_note("First", body="[[tides]]")
    client, url = client_for(viewer), f"/api/notes/{note.id}/backlinks"
    few = connection_queries(lambda: client.get(url))
    for i in range(10):
        make_note(f"Another {i}", body="[[tides]] [[tides]]")
    assert connection_queries(lambda: client.get(url)) == few
    assert len(client.get(url).json()["results"]) == 21


# --- Search and tags ------------------------------------------------------------------------------


def test_search_ranks_titles_first_and_marks_words_safely(client_for, viewer, make_note):
    make_note("Other", body="<script>alert(1)</script> the anchor & <mark>chain</mark>")
    make_note("Anchor", body="nothing")
    found = client_for(viewer).get("/api/search?q=anchors").json()["results"]
    assert [row["title"] for row in found] == ["Anchor", "Other"]
    assert found[0]["rank"] > found[1]["rank"]
    assert "<mark>anchor</mark> &amp;" in found[1]["snippet"]
    assert "<script" not in found[1]["snippet"] and "<mark>chain" not in found[1]["snippet"]


def test_search_takes_filters_and_pages(client_for, viewer, make_note):
    for i in range(5):
        make_note(f"Buoy {i}", tags=["red"] if i % 2 else [])
    client = client_for(viewer)
    assert len(client.get("/api/search?q=buoy&tag=red").json()["results"]) == 2
    first = client.get("/api/search?q=buoy&limit=2").json()
    second = client.get(first["next"]).json()
    third = client.get(second["next"]).json()
    titles = [row["title"] for page in (first, second, third) for row in page["results"]]
    assert sorted(titles) == [f"Buoy {i}" for i in range(5)]
    assert (first["previous"], third["next"]) == (None, None)
    assert client.get(third["previous"]).json()["results"] == second["results"]


@pytest.mark.parametrize(
    ("query", "field"), [("", "q"), ("q=", "q"), ("q=a%00", "q"), ("q=x&nope=1", "nope"), ("q=x&cursor=WzFd", "cursor")]
)
def test_a_bad_search_is_refused_by_name(client_for, viewer, query, field):
    answer = client_for(viewer).get(f"/api/search?{query}")
    assert (answer.status_code, faults(answer)) == (400, {field})


@pytest.mark.parametrize("text", ["'", '"unclosed', "a & | ! ( b", "<->", ":*", "the", "-", "\\", "or"])
def test_anything_may_be_searched_for(client_for, viewer, make_note, text):
    make_note("Tides")
    assert client_for(viewer).get("/api/search", {"q": text}).status_code == 200


def test_strangers_find_nothing(client_for, outsider, note):
    assert client_for(outsider).get("/api/search?q=water").json()["results"] == []


def test_tags_are_counted_in_live_notes(client_for, viewer, owner, workspace, make_note):
    make_note("1", tags=["a", "b"])
    make_note("2", tags=["b"])
    services.delete_note(make_note("3", tags=["c"]), base_version=1, cause=by(owner))
    client = client_for(viewer)
    url = f"/api/tags?workspace_id={workspace.id}"
    assert client.get(url).json()["results"] == [{"label": "a", "count": 1}, {"label": "b", "count": 2}]
    first = client.get(f"{url}&limit=1").json()
    assert client.get(first["next"]).json() == {"results": [{"label": "b", "count": 2}], "next": None, "previous": None}
    assert faults(client.get("/api/tags")) == {"workspace_id"}
