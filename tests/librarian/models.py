"""Models as tests play them: what they answer, and the runs that ask them."""

import re

from automation.models import Run
from automation.services import create_rule, launch_rule
from kjxlkj.jobs.services import execute
from librarian.protocol import ProposedOperation, Response, serialize_response


def prompt_of(body):
    return body["messages"][-1]["content"]


def sent_to(body):
    """Note ids and request id of a prompt."""
    text = prompt_of(body)
    request_id = re.search(r"<request_id>(.*?)</request_id>", text)
    return re.findall(r"<source_id>(.*?)</source_id>", text), request_id[1] if request_id else ""


def response(request_id, *operations):
    return serialize_response(Response(request_id, "ok", "as you wish", tuple(operations)))


def tagging(note_id, number=1, tag="boat", confidence=0.9):
    return ProposedOperation(
        operation_id=f"op-{number}",
        kind="retag_note",
        target_note_id=note_id,
        tags=(tag,),
        reason="It is about a boat.",
        confidence=confidence,
    )


def retag(body):
    """A model that tags whatever it is shown."""
    ids, request_id = sent_to(body)
    return response(request_id, *(tagging(note_id, number) for number, note_id in enumerate(ids)))


def launch(workspace, owner, server, *, provider=None, limits=None, **plan):
    action = {
        "kind": "librarian_structure",
        "provider": {
            "provider_kind": "openai_compatible",
            "base_url": server.base_url,
            "model": "test-model",
            "timeout_ms": 5_000,
            **(provider or {}),
        },
        "plan": plan,
        "limits": {"sources_per_request": 2, **(limits or {})},
    }
    rule = create_rule(workspace, actor=owner, name=f"R{Run.objects.count()}", action_json=action)
    return launch_rule(rule, actor=owner).runs[0]


def done(run):
    Run.objects.filter(pk=run.pk).update(not_before=None)
    execute("automation.run", run.id)
    return Run.objects.get(pk=run.pk)
