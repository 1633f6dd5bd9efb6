"""A run of the librarian: ingest → plan → propose → validate. What it leaves are operations for people to decide.

Every answer is stored as an Exchange before it is used, so a run that is cut off and taken up again asks nobody
twice about the same texts, and can be replayed from what is stored.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from automation.models import Run
from automation.trace import stage
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.outcomes import Incomplete, Postponed
from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.models import Note, NoteKind
from librarian import auto_apply
from librarian.bundles import Bundle, Excerpt
from librarian.models import Operation, OperationStatus
from librarian.offline_answers import answer_offline
from librarian.plan import Plan, read_plan
from librarian.planning.bundling import plan_bundles
from librarian.planning.privacy import why_not
from librarian.prompt_pack import Pack, pack_for
from librarian.providers.endpoints import Endpoint, endpoint_of
from librarian.questions import PLAN, PROPOSE, Question, Trouble, adopted, numbered
from librarian.reporting import report_of
from librarian.validation import Proposed, validated

# Of the offline librarian, which has no tokens to count.
SOURCES_PER_REQUEST = 50
# Where a model chooses among notes by their titles and tags.
_TITLES_PER_REQUEST = 100
_LEFT_OUT_LISTED = 100
# Between two looks whether a server is back: doubling, up to a quarter of an hour.
_FIRST_WAIT = 30.0
_LONGEST_WAIT = 900.0


def work(run: Run, lease: Lease) -> Callable[[], None]:
    """The action's work (see `automation.actions.Action`). Raises `Incomplete` where some of it came to nothing."""
    plan = read_plan(run.rule_snapshot["action_json"])
    endpoint = None if plan.provider.is_offline else endpoint_of(plan.provider.kind, plan.provider.base_url)
    with stage(run, "ingest") as counts:
        sources, left_out = _ingest(run, plan, is_local=endpoint is None or endpoint.is_local)
        counts.update(sources=len(sources), left_out=len(left_out))
    lease.progress(0, len(sources), "Reading notes")
    work = _Work(run, lease, plan, endpoint)
    questions = work.questions_about(sources)
    for question in questions:
        left_out += [_left_out(note, question.left_out[note.id]) for note in sources if note.id in question.left_out]
    left_out += [_left_out(note, "the model did not choose it by its title and tags") for note in work.passed_over]
    run.result_json["left_out"] = left_out[:_LEFT_OUT_LISTED]
    with stage(run, "validate") as counts:
        proposals = list(_proposals(questions, plan))
        operations = validated(run, plan, proposals)
        refused = sum(operation.status == OperationStatus.REJECTED for operation in operations)
        counts.update(operations=len(operations), refused=refused)
    troubles = [question.trouble for question in questions if question.trouble]
    run.result_json["outcome"] = _outcome(len(sources), len(operations), refused, len(troubles))
    report = report_of(run, plan, work.pack, questions, proposals, work.warnings)

    def effects() -> None:
        if waits := auto_apply.mark(run, plan, operations):
            run.result_json["auto_apply"] = waits
        Operation.objects.bulk_create(operations, batch_size=1000)
        report.save(force_insert=True)

    if troubles:
        raise Incomplete(troubles[0].code, _told(troubles, len(questions), len(operations) - refused), effects)
    return effects


# --- Ingest ---------------------------------------------------------------------------------------


def _ingest(run: Run, plan: Plan, *, is_local: bool) -> tuple[list[Note], list[dict[str, str]]]:
    """The notes to work on, and those left out with the reason."""
    notes = Note.objects.filter(id__in=run.sources.values("note_id")).order_by("path", "id")
    in_scope = set(notes.filter(condition_q(plan.scope)).values_list("id", flat=True)) if plan.scope else None
    chosen, left_out = [], []
    for note in notes:
        why = _why_left_out(note, is_local=is_local)
        if not why and in_scope is not None and note.id not in in_scope:
            why = "outside of the rule's scope"
        if why:
            left_out.append(_left_out(note, why))
        else:
            chosen.append(note)
    return chosen, left_out


def _left_out(note: Note, why: str) -> dict[str, str]:
    return {"note_id": str(note.id), "path": note.path, "why": why}


def _why_left_out(note: Note, *, is_local: bool) -> str:
    if note.deleted_at is not None:
        return "deleted"
    if note.kind != NoteKind.MARKDOWN:
        return f"of kind {note.kind}"
    return why_not(note.metadata, is_local=is_local)


# --- Plan and propose -----------------------------------------------------------------------------


class _Work:
    """What a run asks, and whom."""

    def __init__(self, run: Run, lease: Lease, plan: Plan, endpoint: Endpoint | None) -> None:
        self.run, self.lease, self.plan, self.endpoint = run, lease, plan, endpoint
        self.warnings: list[str] = []
        self.surveys: list[Question] = []
        self.passed_over: list[Note] = []
        self.pack: Pack | None = None
        if endpoint is not None:
            self.pack = pack_for(run.workspace_id, run.result_json.get("prompt_pack", ""))
            # A run that is taken up again goes on with the prompts that it began with.
            run.result_json["prompt_pack"] = self.pack.version

    def questions_about(self, sources: Sequence[Note]) -> list[Question]:
        """Settled, in order. Raises `Postponed` while the server is waited for."""
        with stage(self.run, "plan") as counts:
            before = adopted(self.run, sources, strict=self.plan.strict_mode)
            asked = {note.id for question in before if question.stage == PROPOSE for note in question.bundle.sources}
            rest = [note for note in sources if note.id not in asked]
            if self.plan.choose_first and self.endpoint is not None:
                rest = self._chosen(rest, before)
            questions = [question for question in before if question.stage == PROPOSE]
            questions += numbered(self.run, self._bundles(rest), besides=[*before, *self.surveys])
            counts.update(requests=len(questions), answered_before=sum(each.is_settled for each in questions))
        with stage(self.run, "propose") as counts:
            self._settle(questions)
            answers = sum(question.response is not None for question in questions)
            counts.update(answers=answers, warnings=len(self.warnings))
        return sorted(questions, key=lambda question: question.index)

    def _bundles(self, sources: Sequence[Note]) -> list[Bundle]:
        if self.endpoint is not None and self.pack is not None:
            return plan_bundles(
                self.run.workspace_id, self.plan, sources, is_local=self.endpoint.is_local, pack=self.pack
            )
        return _bundles_of(sources, SOURCES_PER_REQUEST)

    def _chosen(self, sources: Sequence[Note], before: Sequence[Question]) -> list[Note]:
        """Those that the model picks by their titles and tags. Of a question that came to nothing, all."""
        known = [question for question in before if question.stage == PLAN]
        told = {note.id for question in known for note in question.bundle.sources}
        new = _bundles_of([note for note in sources if note.id not in told], _TITLES_PER_REQUEST)
        self.surveys = [*known, *numbered(self.run, new, besides=before, stage=PLAN)]
        self._settle(self.surveys)
        picked: set[str | None] = set()
        for question in self.surveys:
            if question.response:
                picked |= {operation.target_note_id for operation in question.response.operations}
            else:
                picked |= {str(note.id) for note in question.bundle.sources}
        self.passed_over = [note for note in sources if str(note.id) not in picked]
        return [note for note in sources if str(note.id) in picked]

    def _settle(self, questions: Sequence[Question]) -> None:
        if self.endpoint is None:
            self._ask_offline(questions)
            return
        # Heavy, and of no use to the offline librarian.
        from librarian.asking import Asking

        assert self.pack is not None  # noqa: S101  # there is one for every endpoint
        asking = Asking(self.run, self.lease, self.plan, self.pack, self.endpoint)
        asking.settle(questions)
        self.warnings += asking.warnings
        may_pass = [question for question in questions if question.trouble and question.trouble.may_pass]
        if not may_pass:
            self.run.result_json.pop("waiting", None)
        elif self.plan.provider.when_down == "offline":
            self._ask_offline(may_pass)
            self.warnings.append(
                f"{self.endpoint.host} did not answer: the offline librarian answered {len(may_pass)} of"
                f" {len(questions)} requests in its place."
            )
        else:
            self._wait_for(may_pass[0].trouble)

    def _ask_offline(self, questions: Sequence[Question]) -> None:
        done = 0
        for question in questions:
            if question.response is None and not (question.trouble and not question.trouble.may_pass):
                self.lease.check()
                question.trouble, question.faults = None, ()
                answer_offline(question, self.plan, self.lease)
            done += len(question.bundle.excerpts)
            self.lease.progress(done, self.lease.reported.total, "Proposing")

    def _wait_for(self, trouble: Trouble | None) -> None:
        """Let the worker go, and come back later; for as long as the rule allows. What is answered is stored."""
        assert trouble is not None  # noqa: S101
        now = timezone.now()
        waiting = self.run.result_json.setdefault("waiting", {"since": now.isoformat(), "looks": 0})
        until = datetime.fromisoformat(waiting["since"]) + timedelta(minutes=self.plan.provider.wait_minutes)
        left = (until - now).total_seconds()
        if left <= 0:
            return
        delay = max(trouble.delay, min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** waiting["looks"]))
        waiting["looks"] += 1
        raise Postponed(
            f"{trouble.detail} The run waits for it, until {until:%Y-%m-%d %H:%M} UTC at the most.",
            delay=min(delay, left + 1),
        )


def _bundles_of(notes: Sequence[Note], most: int) -> list[Bundle]:
    starts = range(0, len(notes), most)
    return [Bundle(tuple(Excerpt(note, note.body) for note in notes[start : start + most])) for start in starts]


def _proposals(questions: Sequence[Question], plan: Plan) -> Iterator[Proposed]:
    allowed, count = plan.max_operations, 0
    for question in questions:
        response, exchange = question.response, question.exchange
        if response is None or exchange is None:
            continue
        sent = {excerpt.note.id: excerpt for excerpt in question.bundle.excerpts}
        outdated = question.outdated
        for operation in response.operations:
            if operation.target_note_id in outdated:
                continue  # another request asks about it as it is now
            yield Proposed(operation, sent, exchange, excess=allowed is not None and count >= allowed)
            count += 1
        for operation in response.excess:
            yield Proposed(operation, sent, exchange, excess=True)


# --- What is told ---------------------------------------------------------------------------------


def _told(troubles: Sequence[Trouble], questions: int, proposed: int) -> str:
    kept = f" What the others proposed is kept: {proposed:,}." if proposed else ""
    if questions == 1:
        return troubles[0].detail
    return f"{len(troubles)} of {questions} requests came to nothing.{kept} The first: {troubles[0].detail}"


def _outcome(sources: int, operations: int, refused: int, troubles: int) -> str:
    """One sentence for people."""
    if not sources:
        return "No note was left to work on."
    proposed = operations - refused
    notes = "1 note" if sources == 1 else f"{sources:,} notes"
    kept_back = f"; {refused:,} more were refused by a check" if refused else ""
    came_to_nothing = "a request" if troubles == 1 else f"{troubles:,} requests"
    failed = f"; {came_to_nothing} came to nothing" if troubles else ""
    if not proposed:
        return f"Read {notes} and proposed nothing{kept_back}{failed}."
    return f"Read {notes} and proposed {proposed:,} {'change' if proposed == 1 else 'changes'}{kept_back}{failed}."
