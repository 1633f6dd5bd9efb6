"""Notes into requests: as many as fit, in their order, none twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from kjxlkj.notes.models import Note
from librarian.bundles import Bundle, Excerpt
from librarian.models import OperationKind
from librarian.plan import Plan
from librarian.planning.context import Context, context_of
from librarian.planning.cutting import cut_at_heading
from librarian.planning.prompts import propose_prompt
from librarian.planning.tokens import estimated_tokens
from librarian.prompt_pack import Pack

_MARGIN = 128
# Where a model may rewrite: so much of its answer may be texts, the rest is tags around them and reasons.
_TEXT_SHARE = 0.8
_LEAST = 256


def plan_bundles(
    workspace_id: UUID, plan: Plan, sources: Sequence[Note], *, is_local: bool, pack: Pack
) -> list[Bundle]:
    """Bundles whose prompt and answer fit into the model's context, by our estimate."""
    if not sources:
        return []
    context = context_of(workspace_id, sources, is_local=is_local, scope=plan.scope)
    room = _Room.of(plan, pack, context)
    return list(_packed(plan, context, room, sources))


@dataclass(frozen=True, slots=True)
class _Room:
    """Tokens that sources may take of a prompt, and their texts of an answer."""

    prompt: int
    answer: float

    @classmethod
    def of(cls, plan: Plan, pack: Pack, context: Context) -> "_Room":
        answer = plan.provider.max_tokens or pack.stages["propose"].max_tokens
        empty = Bundle((), tags=context.tags)
        told = sum(map(estimated_tokens, propose_prompt(pack, plan, empty, "0" * 40)))
        room = max(_LEAST, plan.provider.context_tokens - answer - told - _MARGIN)
        rewritten = OperationKind.REWRITE in plan.kinds
        return cls(room, answer * _TEXT_SHARE if rewritten else float("inf"))


def _packed(plan: Plan, context: Context, room: _Room, sources: Sequence[Note]) -> Iterator[Bundle]:
    held: list[Excerpt] = []
    prompt, answer = 0, 0
    for note in sources:
        excerpt, size = _excerpt(note, context, room)
        text = 0 if excerpt.is_cut else estimated_tokens(excerpt.body)
        full = prompt + size > room.prompt or answer + text > room.answer
        if held and (full or len(held) >= plan.limits.sources_per_request):
            yield _bundle(held, context)
            held, prompt, answer = [], 0, 0
        held.append(excerpt)
        prompt, answer = prompt + size, answer + text
    if held:
        yield _bundle(held, context)


def _excerpt(note: Note, context: Context, room: _Room) -> tuple[Excerpt, int]:
    """The note as it is sent, and what it takes of a prompt."""
    related = context.related.get(note.id, ())
    names = context.link_candidates.get(note.id, ())
    beside = [note.path, note.title, *note.tags, *(name for name, _ in names)]
    beside += [f"{each.note.title} {each.note.tags} {each.opening}" for each in related]
    around = estimated_tokens("\n".join(beside)) + 20 * (len(beside) + 6)
    body, is_cut = cut_at_heading(note.body, max(_LEAST // 2, room.prompt - around))
    size = estimated_tokens(body)
    # A text that no answer could hold is not to be rewritten, though it is sent whole.
    return Excerpt(note, body, is_cut or size > room.answer, related, names), size + around


def _bundle(excerpts: Sequence[Excerpt], context: Context) -> Bundle:
    mentioned = {each.note.id: each.note for excerpt in excerpts for each in excerpt.related}
    mentioned |= {note_id: context.notes[note_id] for excerpt in excerpts for _, note_id in excerpt.link_candidates}
    sources = [excerpt.note for excerpt in excerpts]
    return Bundle(tuple(excerpts), context.tags_for(sources), tuple(mentioned.values()))
