"""The table of models' answers: each is read, borne or refused as its file says."""

import ast
import sys
from pathlib import Path

import pytest

from librarian import protocol
from librarian.protocol import PARSE_FAILED, ProtocolError
from librarian.protocol.findings import Findings
from librarian.protocol.grammar import RESPONSE
from tests.librarian.answers import all_answers, as_data

ANSWERS = all_answers()
# Of these there may be none.
OPTIONAL = {"warnings", "warning", "operation", "link"}


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_an_answer_is_read_as_its_file_says(answer):
    try:
        response = answer.read()
    except ProtocolError as error:
        faults = [{"code": fault.code, "tag": fault.tag, "line": fault.line} for fault in error.faults]
        assert {"faults": faults} == answer.expected
        assert all(fault.message.endswith(".") for fault in error.faults)
        return
    assert {
        "status": response.status,
        "operations": [as_data(operation) for operation in response.operations],
        "excess": [operation.operation_id for operation in response.excess],
        "warnings": list(response.warnings),
        "notices": sorted(notice.code for notice in response.notices),
        "reasoning": response.reasoning,
    } == {"excess": [], "warnings": [], "reasoning": "", **answer.expected}


def test_there_are_many_answers_and_no_two_are_the_same():
    assert len(ANSWERS) >= 60
    assert len({(answer.text, str(answer.parameters)) for answer in ANSWERS}) == len(ANSWERS)


def test_every_place_where_the_readers_find_something_has_an_answer(monkeypatch):
    found = set()
    for method in ("fault", "fatal", "notice"):
        monkeypatch.setattr(Findings, method, recording(getattr(Findings, method), found))
    for answer in ANSWERS:
        try:
            answer.read()
        except ProtocolError:
            continue
    places = finding_places()
    assert len(places) > 25
    unseen = [
        f"{file.name}:{first}"
        for file, first, last in sorted(places)
        if not any(path == file and first <= line <= last for path, line in found)
    ]
    assert unseen == [], "no answer leads here: add one to tests/librarian/answers"


def recording(method, found):
    def record(*args):
        frame = sys._getframe(1)
        found.add((Path(frame.f_code.co_filename), frame.f_lineno))
        return method(*args)

    return record


def finding_places():
    """(file, first line, last line) of each call that reports a fault or a notice about an answer."""
    places = set()
    for file in Path(protocol.__file__).parent.glob("*.py"):
        if file.name == "request.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = node.func.value
                owner = of.attr if isinstance(of, ast.Attribute) else getattr(of, "id", "")
                if node.func.attr in ("fault", "fatal", "notice") and owner == "findings":
                    places.add((file, node.lineno, node.end_lineno))
    return places


def test_every_required_tag_has_an_answer_without_it():
    faults = [fault for answer in ANSWERS for fault in answer.expected.get("faults", ())]
    missed = {fault["tag"] for fault in faults if fault["code"] == PARSE_FAILED}
    assert missed == RESPONSE.names - OPTIONAL
