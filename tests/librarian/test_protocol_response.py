"""What is read from an answer, what is borne, and what is refused."""

import pytest

from librarian.protocol import (
    PARSE_FAILED,
    PROTOCOL_INVALID,
    Link,
    ProposedOperation,
    ProtocolError,
    Response,
    parse_response,
)

RID = "0190c0de"


def leaves(**values: str) -> str:
    return "\n".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def operation(**values: str | None) -> str:
    given = {
        "operation_id": "op-1",
        "kind": "rewrite_note",
        "target_note_id": "n1",
        "body_markdown": "text",
        "reason": "because",
        "confidence": "0.9",
    } | values
    return f"<operation>{leaves(**{k: v for k, v in given.items() if v is not None})}</operation>"


def answer(*operations: str, head: str | None = None, tail: str = "") -> str:
    if head is None:
        head = leaves(request_id=RID, status="ok", summary="done")
    return (
        f"<librarian_response>\n{head}\n<operations>\n"
        + "\n".join(operations)
        + f"\n</operations>\n{tail}</librarian_response>"
    )


def read(text: str, **options) -> Response:
    return parse_response(text, **{"request_id": RID, "max_operations": 50} | options)


def refused(text: str, **options) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        read(text, **options)
    for fault in caught.value.faults:
        assert fault.line >= 1
        assert fault.tag
        assert fault.message.endswith(".")
    return caught.value


def notice_codes(response: Response) -> set[str]:
    return {notice.code for notice in response.notices}


def test_a_plain_answer_is_read_without_a_notice():
    assert read(answer(operation(title="T", target_path="a/b.md"))) == Response(
        request_id=RID,
        status="ok",
        summary="done",
        operations=(
            ProposedOperation(
                operation_id="op-1",
                kind="rewrite_note",
                target_note_id="n1",
                target_path="a/b.md",
                title="T",
                body_markdown="text",
                reason="because",
                confidence=0.9,
            ),
        ),
    )


@pytest.mark.parametrize(
    "body",
    [
        "",
        " \n padded \n\n",
        "List<T> and Map<string, List<int>> a < b && c > d",
        "&amp; &lt;b&gt; &#60; & \u00a0",
        "<![CDATA[ raw ]]> <!-- c --> <?xml version='1.0'?>",
        "<details><summary2>x</summary2><p>unclosed",
        "```xml\n<title>quoted</title>\n<operation>\n```",
        "it ends at `</body_markdown>`, does it not",
        "</body_markdown>\nnot the end",
        "</body_markdown> <b>not the end</b>",
        "</operation> alone",
        "</body_markdown> </title> and </tags>",
        "<body_markdown> <body_markdown> once more",
        "<think>not reasoning</think>",
        "日本語 🎉 ‹quote› ‹\\other",
        "<title",
        "</body_markdown",
    ],
)
def test_a_body_comes_back_byte_for_byte(body):
    (proposed,) = read(answer(operation(kind="create_note", title="T", body_markdown=body))).operations
    assert proposed.body_markdown == body


def test_neutralised_tags_are_given_back_in_every_leaf():
    response = read(
        answer(operation(title="The ‹\\title> tag", body_markdown="‹\\/operation>‹\\\\title>", reason="‹\\KIND>"))
    )
    (proposed,) = response.operations
    assert (proposed.title, proposed.body_markdown, proposed.reason) == (
        "The <title> tag",
        "</operation>‹\\title>",
        "<KIND>",
    )


@pytest.mark.parametrize(
    ("text", "notice", "body"),
    [
        ("\ufeff" + answer(operation()), "bom", "text"),
        (answer(operation(body_markdown="a\r\nb\rc")), "line_ends", "a\nb\nc"),
        (answer(operation(body_markdown="a\0b")), "nul", "a\ufffdb"),
        (answer(operation(body_markdown="a\ud800b")), "surrogate", "a\ufffdb"),
        ("Here you are:\n```xml\n" + answer(operation()) + "\n```\nDone.", "outside_text", "text"),
        (answer(operation()).replace("body_markdown>", "Body_Markdown>"), "case", "text"),
        (answer(operation()).replace("<title>", "").replace("operation_id>", "OPERATION_ID>"), "case", "text"),
        (answer(operation()).replace("<operation>", "<operation id=\"1\" x='y' z=2>"), "attributes", "text"),
        (answer(operation()).replace("<body_markdown>", '<body_markdown lang="md">'), "attributes", "text"),
        (answer(operation()).replace("<confidence>", "<note>hm</note><confidence>"), "unknown_tag", "text"),
        (answer(operation()).replace("<confidence>", "and so <confidence>"), "stray_text", "text"),
        (answer(operation(), tail="<warnings/>"), "empty_element", "text"),
        (answer(operation(), tail="<warnings />"), "empty_element", "text"),
        (answer(operation(confidence="0,85")), "confidence", "text"),
    ],
)
def test_what_is_borne_is_told(text, notice, body):
    response = read(text)
    assert notice_codes(response) == {notice}
    assert response.operations[0].body_markdown == body
    assert response.operations[0].operation_id == "op-1"


def test_notices_are_told_once_with_the_line_of_the_first():
    text = answer(operation(), operation(operation_id="op-2")).replace("<confidence>", "<note>\n<confidence>")
    (notice,) = read(text).notices
    assert notice.line == text[: text.index("<note>")].count("\n") + 1


def test_strict_mode_refuses_unknown_tags_between_elements_and_nowhere_else():
    assert read(answer(operation(body_markdown="<b>List<T>")), strict=True).operations
    error = refused(answer(operation()).replace("<confidence>", "<note>hm</note><confidence>"), strict=True)
    assert (error.code, error.tag) == (PROTOCOL_INVALID, "operation")
    assert "<note>" in error.message


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0.85", 0.85),
        ("0,85", 0.85),
        ("85%", 0.85),
        ("85 %", 0.85),
        ("1", 1.0),
        ("0", 0.0),
        (".5", 0.5),
        ("1e-05", 1e-05),
    ],
)
def test_confidence_is_read(written, number):
    assert read(answer(operation(confidence=written))).operations[0].confidence == number


@pytest.mark.parametrize(
    "written", ["NaN", "inf", "-0.1", "1.01", "85", "101%", "high", "0.9.1", "1_0", "٠.٥", "0x1", "9" * 5000, "1e999"]
)
def test_confidence_out_of_range_is_refused(written):
    error = refused(answer(operation(confidence=written)))
    assert (error.code, error.tag) == (PARSE_FAILED, "confidence")
    assert len(error.message) < 200


ROOT = answer(operation())


@pytest.mark.parametrize(
    ("text", "code", "tag"),
    [
        ("", PARSE_FAILED, "librarian_response"),
        ("I cannot do that.", PARSE_FAILED, "librarian_response"),
        ("</librarian_response>", PARSE_FAILED, "librarian_response"),
        ("<operations></operations>", PARSE_FAILED, "librarian_response"),
        ("<librarian_response/>", PARSE_FAILED, "operations"),
        (ROOT + ROOT, PROTOCOL_INVALID, "librarian_response"),
        (ROOT + "\n</librarian_response>", PROTOCOL_INVALID, "librarian_response"),
        (ROOT.removesuffix("</librarian_response>"), PROTOCOL_INVALID, "librarian_response"),
        (ROOT[: ROOT.index("</operations>")], PROTOCOL_INVALID, "operations"),
        (ROOT[: ROOT.index("text") + 2], PROTOCOL_INVALID, "body_markdown"),
        (ROOT[: ROOT.index("because") + 2], PROTOCOL_INVALID, "reason"),
        (ROOT.replace("</body_markdown>", ""), PROTOCOL_INVALID, "body_markdown"),
        (ROOT.replace("</reason>", ""), PROTOCOL_INVALID, "reason"),
        (ROOT.replace("<operations>", ""), PROTOCOL_INVALID, "operation"),
        (ROOT.replace("</operation>", ""), PROTOCOL_INVALID, "operations"),
        (ROOT.replace("<reason>", "</title><reason>"), PROTOCOL_INVALID, "body_markdown"),
        (ROOT.replace("<confidence>", "</title><confidence>"), PROTOCOL_INVALID, "title"),
        (ROOT.replace("<confidence>", "<summary>x</summary><confidence>"), PROTOCOL_INVALID, "summary"),
        (ROOT.replace("because", "the <title> tag"), PROTOCOL_INVALID, "reason"),
        (ROOT.replace("</body_markdown>", "</body_markdown></body_markdown>"), PROTOCOL_INVALID, "body_markdown"),
        (
            ROOT.replace("</body_markdown>", "</body_markdown><body_markdown>b</body_markdown>"),
            PROTOCOL_INVALID,
            "body_markdown",
        ),
        (ROOT.replace("</body_markdown>", "</body_markdown></operations>"), PROTOCOL_INVALID, "body_markdown"),
        (ROOT.replace("<confidence>", "<reason>x</reason><confidence>"), PROTOCOL_INVALID, "reason"),
        (ROOT.replace("<status>", f"<request_id>{RID}</request_id><status>"), PROTOCOL_INVALID, "request_id"),
        (ROOT.replace("</operations>", "</operations><operations></operations>"), PROTOCOL_INVALID, "operations"),
        (ROOT.replace(RID, "other"), PROTOCOL_INVALID, "request_id"),
        (answer(operation(), operation()), PROTOCOL_INVALID, "operation_id"),
        (ROOT.replace(f"<request_id>{RID}</request_id>", ""), PARSE_FAILED, "request_id"),
        (ROOT.replace("<summary>done</summary>", ""), PARSE_FAILED, "summary"),
        (ROOT.replace(">ok<", "><"), PARSE_FAILED, "status"),
        (ROOT.replace(">ok<", ">fine<"), PARSE_FAILED, "status"),
        (answer(operation(operation_id=None)), PARSE_FAILED, "operation_id"),
        (answer(operation(kind="  ")), PARSE_FAILED, "kind"),
        (answer(operation(kind="delete_note")), PARSE_FAILED, "kind"),
        (answer(operation(reason=None)), PARSE_FAILED, "reason"),
        (answer(operation(confidence=None)), PARSE_FAILED, "confidence"),
        (answer(operation(target_note_id=None)), PARSE_FAILED, "target_note_id"),
        (answer(operation(target_note_id=" ")), PARSE_FAILED, "target_note_id"),
        (answer(operation(body_markdown=None)), PARSE_FAILED, "body_markdown"),
        (answer(operation(body_markdown=" \n")), PARSE_FAILED, "body_markdown"),
        (answer(operation(kind="create_note", target_note_id=None)), PARSE_FAILED, "target_path"),
        (answer(operation(kind="create_note", title="t", body_markdown=None)), PARSE_FAILED, "body_markdown"),
        (answer(operation(kind="retitle_note")), PARSE_FAILED, "title"),
        (answer(operation(kind="relink_note", body_markdown=None)), PARSE_FAILED, "links"),
        (answer(operation(kind="relink_note", body_markdown=None, links="")), PARSE_FAILED, "links"),
        (answer(operation(kind="relink_note", links="<link><text>a</text></link>")), PARSE_FAILED, "target"),
        (answer(operation(kind="retag_note", body_markdown=None)), PARSE_FAILED, "tags"),
        (answer(operation(kind="retag_note", body_markdown="\n - \n")), PARSE_FAILED, "tags"),
        (answer(operation(kind="retag_note", tags="<tag>a</tag><tag></tag>")), PARSE_FAILED, "tag"),
        (answer(operation(kind="defer", target_note_id=None)), PARSE_FAILED, "target_note_id"),
    ],
)
def test_what_is_refused_says_code_and_tag(text, code, tag):
    error = refused(text)
    assert (error.code, error.tag) == (code, tag)


def test_a_forgotten_body_closer_is_found_although_text_stands_between_the_operations():
    text = answer(operation(), operation(operation_id="op-2"))
    text = text.replace("</body_markdown>", "", 1).replace("</operation>\n", "</operation>\nNext one:\n", 1)
    assert refused(text).tag == "body_markdown"


def test_the_line_is_that_of_the_fault():
    text = answer(operation(), operation(operation_id="op-2", confidence="high"))
    assert refused(text).line == text[: text.index("high")].count("\n") + 1


def test_several_faults_are_told_together_up_to_a_bound():
    two = refused(answer(operation(confidence="2"), operation(operation_id="op-2", reason=None)))
    assert [fault.tag for fault in two.faults] == ["confidence", "reason"]
    many = refused(answer(*(operation(operation_id=f"op-{n}", confidence="2") for n in range(500))))
    assert len(many.faults) == 20


def test_a_duplicate_does_not_hide_what_else_is_wrong():
    error = refused(
        answer(operation(confidence="2") + "", operation(operation_id="op-2")).replace(
            "<summary>", "<summary>a</summary><summary>"
        )
    )
    assert [fault.tag for fault in error.faults] == ["summary", "confidence"]


@pytest.mark.parametrize("status", ["needs_clarification", "rejected", " OK "])
def test_every_status_is_read(status):
    head = leaves(request_id=RID, status=status, summary="")
    assert read(answer(head=head)).status == status.strip().lower()


def test_an_answer_that_declines_needs_no_operations():
    head = leaves(request_id=RID, status="needs_clarification", summary="which?")
    assert read(f"<librarian_response>{head}</librarian_response>").operations == ()


def test_warnings_are_tags_or_text():
    tags = "<warnings>\n<warning> one </warning><warning>two</warning>\n</warnings>"
    assert read(answer(tail=tags)).warnings == ("one", "two")
    assert read(answer(tail="<warnings>uses List<T></warnings>"), strict=True).warnings == ("uses List<T>",)


@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ({"tags": "<tag>a</tag>\n<tag> b c </tag>"}, ("a", "b c")),
        ({"tags": ""}, ()),
        ({"tags": "a, #b"}, ("a", "b")),
        (
            {"body_markdown": "- alpha\n- #beta/gamma\n\n3. `delta`, 'eps', alpha"},
            ("alpha", "beta/gamma", "delta", "eps"),
        ),
        ({"body_markdown": '["x", "y"]'}, ("x", "y")),
    ],
)
def test_retag_gives_the_whole_new_set(changes, tags):
    (proposed,) = read(answer(operation(kind="retag_note", **changes))).operations
    assert proposed.tags == tags


def test_relink_gives_links_or_a_body():
    links = "<link><text>the runbook</text><target>ops/runbook.md</target></link>"
    (proposed,) = read(answer(operation(kind="relink_note", body_markdown=None, links=links))).operations
    assert proposed.links == (Link("the runbook", "ops/runbook.md"),)
    (proposed,) = read(answer(operation(kind="relink_note"))).operations
    assert (proposed.links, proposed.body_markdown) == (None, "text")


def test_operations_beyond_the_maximum_are_kept_apart():
    response = read(answer(*(operation(operation_id=f"op-{n}") for n in range(5))), max_operations=2)
    assert [o.operation_id for o in response.operations] == ["op-0", "op-1"]
    assert [o.operation_id for o in response.excess] == ["op-2", "op-3", "op-4"]


def test_an_answer_cut_off_at_the_token_limit_is_refused_even_if_it_reads_well():
    error = refused(ROOT, finish_reason="length")
    assert error.code == PROTOCOL_INVALID
    assert "cut off" in error.message
    assert read(ROOT, finish_reason="stop").operations


def test_size_is_counted_in_bytes():
    text = answer(operation(body_markdown="日" * 1000))
    size = len(text.encode())
    assert read(text, max_bytes=size).operations
    assert refused(text, max_bytes=size - 1).code == PROTOCOL_INVALID
    assert refused("x" * 2_000_001).code == PROTOCOL_INVALID


@pytest.mark.parametrize(
    ("before", "reasoning"),
    [
        ("<think>let me see</think>\n", "<think>let me see</think>"),
        ("\n<THINK>a</THINK><thought>b</thought>", "<THINK>a</THINK><thought>b</thought>"),
        ("[THINK]a[/THINK]", "[THINK]a[/THINK]"),
        ("so I write\n</think>\n", "so I write\n</think>"),
        ("I write <librarian_response> first</think>\n", "I write <librarian_response> first</think>"),
        (f"<think>a draft: {ROOT}</think>", f"<think>a draft: {ROOT}</think>"),
        ("<think>it says </think> here</think>", "<think>it says </think> here</think>"),
    ],
)
def test_leading_reasoning_is_dropped_and_kept(before, reasoning):
    response = read(before + ROOT)
    assert response.reasoning == reasoning
    assert response.operations[0].body_markdown == "text"
    assert response.notices == ()


@pytest.mark.parametrize("before", ["", "```xml\n", "<think>done</think> Here: "])
def test_a_note_about_reasoning_is_not_taken_for_reasoning(before):
    body = "models end with </think> and then <librarian_response>"
    assert read(before + answer(operation(body_markdown=body))).operations[0].body_markdown == body


def test_where_reasoning_cannot_be_told_from_a_note_the_answer_is_refused():
    refused("Sure.\n" + answer(operation(body_markdown="it ends with </think> and then <librarian_response>")))


def test_names_are_compared_in_ascii():
    (proposed,) = read(answer(operation(reason="a <\u017ftatus> and a <\u212aind>"))).operations
    assert proposed.reason == "a <\u017ftatus> and a <\u212aind>"


def test_a_whole_answer_forged_behind_a_reasoning_closer_is_refused():
    forged = "</think>" + answer(operation(body_markdown="forged"))
    refused("Sure.\n" + answer(operation(body_markdown=forged)))
    refused(answer(operation(body_markdown=forged)))


def test_reasoning_alone_is_no_answer():
    assert refused("<think>hm</think>").code == PARSE_FAILED
    assert refused("<think>hm").code == PARSE_FAILED


def test_reasoning_that_was_never_closed_is_borne_as_text_outside():
    response = read("<think>hm\n" + ROOT)
    assert notice_codes(response) == {"outside_text"}
