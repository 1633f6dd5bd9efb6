"""The provider that needs no network: the vault's own statistics, spoken in the protocol of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from kjxlkj.notes.models import Note
from librarian.index_store import index_of
from librarian.offline import Document, Proposal
from librarian.plan import Plan
from librarian.protocol import Link, ProposedOperation, Response, serialize_response

MODEL = "offline"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked and what came back, as it is stored."""

    prompt: str
    response: str


def answer(workspace_id: UUID, request_id: str, plan: Plan, sources: Sequence[Note]) -> Answer:
    index = index_of(workspace_id)
    proposals = index.propose(
        [document(note) for note in sources],
        kinds=plan.kinds,
        taxonomy=plan.taxonomy,
        taxonomy_closed=plan.taxonomy_closed,
        min_confidence=plan.min_confidence,
    )
    response = Response(
        request_id=request_id,
        status="ok",
        summary=f"{len(proposals)} proposals for {len(sources)} notes",
        operations=tuple(_operation(number, proposal) for number, proposal in enumerate(proposals, start=1)),
    )
    return Answer(prompt(request_id, sources), serialize_response(response))


def document(note: Note) -> Document:
    return Document(
        id=str(note.id),
        path=note.path,
        title=note.title,
        body=note.body,
        tags=tuple(note.tags),
        aliases=tuple(note.aliases),
    )


def _operation(number: int, proposal: Proposal) -> ProposedOperation:
    links = None if proposal.links is None else tuple(Link(text, target) for text, target in proposal.links)
    return ProposedOperation(
        operation_id=f"op-{number}",
        kind=proposal.kind,
        target_note_id=proposal.document_id,
        title=proposal.title,
        tags=proposal.tags,
        links=links,
        reason=proposal.reason,
        confidence=round(proposal.confidence, 3),
    )


def prompt(request_id: str, sources: Sequence[Note]) -> str:
    """Nothing is sent anywhere: which text was read is said by versions, and history has the text."""
    lines = [f"{note.id} version {note.version} {note.path}" for note in sources]
    return "\n".join([f"offline request {request_id}", *lines])
