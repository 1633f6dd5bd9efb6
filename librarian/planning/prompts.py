"""The texts of a request, made of the prompt pack and what there is to ask."""

import json
from collections.abc import Sequence

from kjxlkj.notes.models import Note
from librarian.bundles import Bundle, Excerpt, Related
from librarian.plan import Plan
from librarian.prompt_pack import Pack
from librarian.protocol import Constraints, Fault, Request, Source, neutralise, serialize_request
from librarian.questions import OPERATIONS_PER_SOURCE

Texts = tuple[str, str]
"""System prompt and prompt."""


def propose_prompt(pack: Pack, plan: Plan, bundle: Bundle, request_id: str) -> Texts:
    stage = pack.stages["propose"]
    sources = tuple(_source(excerpt) for excerpt in bundle.excerpts)
    text = serialize_request(_request(plan, request_id, sources, bundle.tags, stage.output_contract))
    return stage.system_prompt, stage.render(request=text)


def outline_prompt(pack: Pack, plan: Plan, sources: Sequence[Note], request_id: str) -> Texts:
    """Of the notes their titles, paths and tags alone."""
    stage = pack.stages["plan"]
    outlines = tuple(_source(Excerpt(note, "", is_cut=True)) for note in sources)
    text = serialize_request(_request(plan, request_id, outlines, (), stage.output_contract))
    return stage.system_prompt, stage.render(request=text)


def repair_prompt(pack: Pack, faults: Sequence[Fault], response: str, request_id: str) -> Texts:
    """The faults and the answer, and nothing else: it is as untrusted as any note."""
    stage = pack.stages["validate_repair"]
    errors = "\n".join(f"{fault.code}, line {fault.line}, {fault.tag}: {fault.message}" for fault in faults)
    return stage.system_prompt, stage.render(request_id=request_id, errors=errors, response=neutralise(response))


def _request(plan: Plan, request_id: str, sources: tuple[Source, ...], tags: tuple[str, ...], contract: str) -> Request:
    most = len(sources) * OPERATIONS_PER_SOURCE
    return Request(
        request_id=request_id,
        goal=plan.goal or "Keep the notes easy to find: good tags, links and titles.",
        scope=json.dumps(plan.scope, ensure_ascii=False) if plan.scope else "",
        sources=sources,
        taxonomy=plan.taxonomy,
        existing_tags=() if plan.taxonomy_closed else tags,
        constraints=Constraints(
            strict_mode=plan.strict_mode,
            max_operations=min(most, plan.max_operations or most),
            allow_delete=False,
            allowed_kinds=tuple(sorted(plan.kinds)),
            style_profile=plan.style_profile,
            taxonomy_closed=plan.taxonomy_closed,
        ),
        output_contract=contract,
    )


def _source(excerpt: Excerpt) -> Source:
    note = excerpt.note
    return Source(
        source_id=str(note.id),
        path=note.path,
        title=note.title,
        tags=tuple(note.tags),
        kind=note.kind,
        body_markdown=excerpt.body,
        is_complete=not excerpt.is_cut,
        related_notes=tuple(map(_told, excerpt.related)),
        link_candidates=tuple(name for name, _ in excerpt.link_candidates),
    )


def _told(related: Related) -> str:
    tags = f" | tags: {', '.join(related.note.tags)}" if related.note.tags else ""
    return f"{related.note.title}{tags} | {related.opening}"
