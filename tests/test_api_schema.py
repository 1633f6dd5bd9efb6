"""The OpenAPI document says what the API does."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from kjxlkj.notes.filters import VOCABULARY


@pytest.fixture(scope="module")
def document():
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format=openapi-json", stdout=out)
    return json.loads(out.getvalue())


def test_the_document_is_valid_and_served(document):
    answer = Client().get("/api/schema/", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["paths"].keys() == document["paths"].keys()


def test_every_address_of_the_contract_is_described_without_a_trailing_slash(document):
    wanted = {
        "/api/workspaces": {"get", "post"},
        "/api/workspaces/{id}": {"get", "patch", "delete"},
        "/api/workspaces/{workspace_id}/members": {"get"},
        "/api/workspaces/{workspace_id}/members/{user_id}": {"put", "delete"},
        "/api/notes": {"get", "post"},
        "/api/notes/{id}": {"get", "patch", "delete"},
        "/api/notes/{id}/history": {"get"},
        "/api/notes/{id}/rollback": {"post"},
        "/api/notes/{id}/restore": {"post"},
        "/api/notes/{id}/backlinks": {"get"},
        "/api/notes/{id}/tags": {"put"},
        "/api/search": {"get"},
        "/api/tags": {"get"},
        "/api/events": {"get"},
        "/api/automation/rules/{id}/preview": {"post"},
        "/api/automation/rules/preview": {"post"},
        "/api/automation/vocabulary": {"get"},
        "/api/automation/rules/{id}/webhook-secret": {"get"},
        "/api/automation/runs/{id}/cancel": {"post"},
        "/api/automation/runs/{id}/retry": {"post"},
        "/api/admin/backup/sql": {"post"},
        "/api/admin/export/{id}/cancel": {"post"},
        "/api/admin/export/{id}/retry": {"post"},
        "/api/admin/export/{id}/verify": {"post"},
        "/api/admin/export/{id}/artifact": {"get", "delete"},
        "/api/admin/audit": {"get"},
        "/api/healthz": {"get"},
        "/api/readyz": {"get"},
    }
    for path, methods in wanted.items():
        assert methods <= document["paths"][path].keys(), path


@pytest.mark.parametrize("path", ["/api/notes", "/api/search"])
def test_lists_of_notes_describe_every_filter_and_their_pages(document, path):
    parameters = {parameter["name"] for parameter in document["paths"][path]["get"]["parameters"]}
    assert {*VOCABULARY, "filter", "workspace_id", "limit", "cursor"} <= parameters


@pytest.mark.parametrize(
    ("component", "field"),
    [("RuleOut", "condition_json"), ("RuleCreateRequest", "condition_json"),
     ("PatchedRuleChangeRequest", "condition_json"), ("PreviewInRequest", "condition_json"),
     ("MarkdownExportInRequest", "condition"), ("ExportOut", "condition_json")],
)  # fmt: skip
def test_a_condition_is_one_component_wherever_it_appears(document, component, field):
    schemas = document["components"]["schemas"]
    described = schemas[component]["properties"][field]
    reference = {"$ref": "#/components/schemas/Condition"}
    assert described == reference or described["allOf"] == [reference]
    condition = schemas["Condition"]
    assert condition["properties"].keys() == {"all", "any", "not", *VOCABULARY}
    assert (condition["properties"]["not"], condition["additionalProperties"]) == (reference, False)


def test_every_operation_describes_the_error(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/Error"}, (method, path)
