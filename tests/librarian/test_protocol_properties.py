"""What holds for every text: no crash, no loss, no forged tag."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from librarian.protocol import (
    KINDS,
    STATUSES,
    Constraints,
    Link,
    ProposedOperation,
    ProtocolError,
    Request,
    Response,
    Source,
    neutralise,
    parse_request,
    parse_response,
    restore,
    serialize_request,
    serialize_response,
    serialize_source,
)
from librarian.protocol.grammar import FLAGS, REQUEST, RESPONSE, tag_expression

NAMES = sorted(REQUEST.names | RESPONSE.names)
ANY_TAG = re.compile(tag_expression(NAMES), FLAGS)

pieces = st.one_of(
    st.sampled_from(
        [f"<{name}>" for name in NAMES]
        + [f"</{name}>" for name in NAMES]
        + [f"‹\\{name}>" for name in NAMES]
        + ["<", "</", "‹", "\\", "/", ">", "\n", " ", '="', "<think>", "</think>", "```", "ſ", "K", "<ſource>"]
        + ["<TITLE a='b'>", "<title/>", "<title >", "r", "ok", "defer", "0.9", "NaN", "&lt;", "]]>", "\ufeff"]
    ),
    st.text(max_size=4),
)
texts = st.lists(pieces, max_size=24).map("".join)
storable = texts.map(lambda s: s.replace("\r", "").replace("\0", ""))
"""Lone surrogates are outside what st.text() makes up."""
short = storable.map(str.strip)
named = short.filter(bool)


@settings(max_examples=500)
@given(texts)
def test_no_text_crashes_the_readers(text):
    for read in (
        lambda: parse_response(text, request_id="r", max_operations=3),
        lambda: parse_response(text, request_id="r", max_operations=3, strict=True, max_bytes=200),
        lambda: parse_request(text),
    ):
        try:
            read()
        except ProtocolError as error:
            assert error.faults


@settings(max_examples=300)
@given(st.data())
def test_no_damaged_answer_crashes_the_reader(data):
    text = serialize_response(data.draw(responses))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        text = text[:start] + data.draw(texts) + text[start + data.draw(st.integers(0, 40)) :]
    try:
        parse_response(text, request_id="r", max_operations=3)
    except ProtocolError as error:
        assert error.faults


@settings(max_examples=500)
@given(texts | st.text(alphabet=st.characters(exclude_categories=())))
def test_neutralising_is_undone_exactly(text):
    assert restore(neutralise(text)) == text
    assert restore(restore(neutralise(neutralise(text)))) == text


@settings(max_examples=500)
@given(texts)
def test_no_protocol_tag_survives_neutralising(text):
    neutral = neutralise(text)
    assert not ANY_TAG.search(neutral)
    assert not ANY_TAG.search(f"x{neutral}</title>".removesuffix("</title>"))


@pytest.mark.parametrize("name", NAMES)
def test_neutralising_changes_the_opening_character_alone(name):
    assert neutralise(f"a <{name}> b </{name.upper()} c='d'>") == f"a ‹\\{name}> b ‹\\/{name.upper()} c='d'>"
    assert neutralise(f"‹\\{name}> ‹{name}> <{name}x> < {name}>") == f"‹\\\\{name}> ‹{name}> <{name}x> < {name}>"


sources = st.builds(
    Source,
    source_id=storable,
    path=storable,
    title=storable,
    tags=st.lists(storable, max_size=3).map(tuple),
    kind=storable,
    body_markdown=storable,
    is_complete=st.booleans(),
    related_notes=st.lists(storable, max_size=2).map(tuple),
    link_candidates=st.lists(storable, max_size=2).map(tuple),
)
constraints = st.builds(
    Constraints,
    strict_mode=st.booleans(),
    max_operations=st.integers(0, 10_000),
    allow_delete=st.booleans(),
    allowed_kinds=st.none() | st.lists(st.sampled_from(KINDS), max_size=3).map(tuple),
    style_profile=storable,
    taxonomy_closed=st.booleans(),
)
requests = st.builds(
    Request,
    request_id=storable,
    goal=storable,
    scope=storable,
    sources=st.lists(sources, max_size=3).map(tuple),
    taxonomy=st.lists(storable, max_size=3).map(tuple),
    constraints=constraints,
    output_contract=storable,
    existing_tags=st.lists(storable, max_size=3).map(tuple),
)


@given(requests)
def test_a_request_is_read_as_it_was_written(request_):
    assert parse_request(serialize_request(request_)) == request_


def test_lists_that_are_empty_take_no_room_in_a_request():
    source = Source("id", "a.md", "A", (), "markdown", "Text.")
    text = serialize_request(Request("r", "g", "s", (source,), (), Constraints(True, 3, False, None, "p"), "o"))
    for name in ("existing_tags", "related_notes", "link_candidates"):
        assert name not in text
    assert parse_request(text).sources == (source,)
    assert serialize_source(source) in text


links = st.lists(st.builds(Link, text=named, target=named), min_size=1, max_size=3).map(tuple)
bodies = storable.filter(str.strip)
confidences = st.floats(0, 1)


def operations_of(kind: str, **fields):
    target = st.one_of(st.tuples(named, st.none() | named), st.tuples(st.none(), named))
    return target.flatmap(
        lambda ids: st.builds(
            ProposedOperation,
            operation_id=named,
            kind=st.just(kind),
            target_note_id=st.just(ids[0]),
            target_path=st.just(ids[1]),
            reason=named,
            confidence=confidences,
            **fields,
        )
    )


tag_sets = st.lists(named, max_size=3).map(tuple)
operations = st.one_of(
    operations_of("create_note", title=named, body_markdown=storable, tags=st.none() | tag_sets),
    operations_of("rewrite_note", title=st.none() | named, body_markdown=bodies),
    operations_of("retitle_note", title=named, body_markdown=st.none() | storable),
    operations_of("relink_note", links=links),
    operations_of("retag_note", tags=tag_sets),
    operations_of("defer", body_markdown=st.none() | storable),
)
responses = st.builds(
    Response,
    request_id=st.just("r"),
    status=st.sampled_from(STATUSES),
    summary=short,
    operations=st.lists(operations, max_size=3, unique_by=lambda o: o.operation_id).map(tuple),
    warnings=st.lists(named, max_size=3).map(tuple),
)


@given(responses)
def test_an_answer_is_read_as_it_was_written(response):
    text = serialize_response(response)
    assert parse_response(text, request_id="r", max_operations=3) == response
    assert parse_response(text, request_id="r", max_operations=3, strict=True) == response


@given(responses)
def test_excess_is_written_behind_the_operations(response):
    read = parse_response(serialize_response(response), request_id="r", max_operations=1)
    assert read.operations == response.operations[:1]
    assert read.excess == response.operations[1:]


@pytest.mark.parametrize("fault", ["yes", "", "True"])
def test_a_request_with_a_bad_flag_is_refused(fault):
    text = serialize_request(Request("r", "g", "s", (), (), Constraints(True, 3, False, None, "p"), "o"))
    with pytest.raises(ProtocolError) as caught:
        parse_request(text.replace("<strict_mode>true", f"<strict_mode>{fault}"))
    assert caught.value.tag == "strict_mode"
    with pytest.raises(ProtocolError):
        parse_request(text.replace("<goal>g</goal>", ""))
