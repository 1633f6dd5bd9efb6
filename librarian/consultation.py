"""Whom a run asks, and about what: the stages plan and propose, offline or with a server."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from automation.models import Run
from automation.trace import stage
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.outcomes import Postponed
from kjxlkj.notes.models import Note
from librarian.bundles import Bundle, Excerpt
from librarian.offline_answers import answer_offline
from librarian.plan import Plan
from librarian.planning.bundling import plan_bundles
from librarian.prompt_pack import Pack, pack_for
from librarian.providers.endpoints import endpoint_of
from librarian.questions import PLAN, PROPOSE, Question, Trouble, adopted, numbered

if TYPE_CHECKING:
    from librarian.asking import Asking

# Of the offline librarian, which has no tokens to count.
SOURCES_PER_REQUEST = 50
# Where a model chooses among notes by their titles and tags.
_TITLES_PER_REQUEST = 100
# Between two looks whether a server is back: doubling, up to a quarter of an hour.
_FIRST_WAIT = 30.0
_LONGEST_WAIT = 900.0


class Consultation:
    """Of one run and attempt. `pack` None: the offline librarian, who needs no prompts."""

    def __init__(self, run: Run, lease: Lease, plan: Plan) -> None:
        """Raises `Invalid` PROVIDER_NOT_ALLOWED."""
        self.run, self.lease, self.plan = run, lease, plan
        self.warnings: list[str] = []
        self.passed_over: list[Note] = []
        self.is_local = True
        self.pack: Pack | None = None
        self._asking: Asking | None = None
        if not plan.provider.is_offline:
            self._ask_a_server()

    def _ask_a_server(self) -> None:
        # Heavy, and of no use to the offline librarian.
        from librarian.asking import Asking

        provider, told = self.plan.provider, self.run.result_json
        endpoint = endpoint_of(provider.kind, provider.base_url)
        pack = pack_for(self.run.workspace_id, told.get("prompt_pack", ""))
        # A run that is taken up again goes on with the prompts that it began with.
        told["prompt_pack"] = pack.version
        self.is_local, self.pack = endpoint.is_local, pack
        self._asking = Asking(self.run, self.lease, self.plan, pack, endpoint)

    def questions_about(self, sources: Sequence[Note]) -> list[Question]:
        """Settled, in order. Raises `Postponed` while the server is waited for."""
        with stage(self.run, "plan") as counts:
            before = adopted(self.run, sources, strict=self.plan.strict_mode)
            asked = {note.id for question in before if question.stage == PROPOSE for note in question.bundle.sources}
            rest = [note for note in sources if note.id not in asked]
            surveys: list[Question] = []
            if self.plan.choose_first and self._asking is not None:
                surveys = self._surveyed(rest, before)
                rest = self._chosen(rest, surveys)
            questions = [question for question in before if question.stage == PROPOSE]
            questions += numbered(self.run, self._bundles(rest), besides=[*before, *surveys])
            counts.update(requests=len(questions), answered_before=sum(each.is_settled for each in questions))
        with stage(self.run, "propose") as counts:
            self._settle(questions)
            answers = sum(question.response is not None for question in questions)
            counts.update(answers=answers, warnings=len(self.warnings))
        return sorted(questions, key=lambda question: question.index)

    def _bundles(self, sources: Sequence[Note]) -> list[Bundle]:
        if self.pack is None:
            return _bundles_of(sources, SOURCES_PER_REQUEST)
        return plan_bundles(self.run.workspace_id, self.plan, sources, is_local=self.is_local, pack=self.pack)

    def _surveyed(self, sources: Sequence[Note], before: Sequence[Question]) -> list[Question]:
        """The questions which of the notes are worth reading, those of former attempts first."""
        known = [question for question in before if question.stage == PLAN]
        told = {note.id for question in known for note in question.bundle.sources}
        new = _bundles_of([note for note in sources if note.id not in told], _TITLES_PER_REQUEST)
        surveys = [*known, *numbered(self.run, new, besides=before, stage=PLAN)]
        self._settle(surveys)
        troubles = [question.trouble.detail for question in surveys if question.trouble]
        self.warnings += [f"Choosing notes by their titles came to nothing, all are read: {each}" for each in troubles]
        return surveys

    def _chosen(self, sources: Sequence[Note], surveys: Sequence[Question]) -> list[Note]:
        """Those that the model picks by their titles and tags. Of a question that came to nothing, all."""
        picked: set[str | None] = set()
        for question in surveys:
            if question.response:
                picked |= {operation.target_note_id for operation in question.response.operations}
            else:
                picked |= {str(note.id) for note in question.bundle.sources}
        self.passed_over = [note for note in sources if str(note.id) not in picked]
        return [note for note in sources if str(note.id) in picked]

    def _settle(self, questions: Sequence[Question]) -> None:
        if self._asking is None:
            self._ask_offline(questions)
            return
        self._asking.settle(questions)
        self.warnings += self._asking.warnings
        self._asking.warnings.clear()
        away = [
            (question, question.trouble) for question in questions if question.trouble and question.trouble.may_pass
        ]
        if not away:
            self.run.result_json.pop("waiting", None)
        elif self.plan.provider.when_down == "offline":
            self._ask_offline([question for question, _ in away])
            self.warnings.append(
                f"{self._asking.endpoint.host} did not answer: the offline librarian answered {len(away)} of"
                f" {len(questions)} requests in its place."
            )
        else:
            self._wait_for(away[0][1])

    def _ask_offline(self, questions: Sequence[Question]) -> None:
        done = 0
        for question in questions:
            if question.response is None and not (question.trouble and not question.trouble.may_pass):
                self.lease.check()
                question.trouble, question.faults = None, ()
                answer_offline(question, self.plan, self.lease)
            done += len(question.bundle.excerpts)
            self.lease.progress(done, self.lease.reported.total, "Proposing")

    def _wait_for(self, trouble: Trouble) -> None:
        """Let the worker go, and come back later; for as long as the rule allows. What is answered is stored."""
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
