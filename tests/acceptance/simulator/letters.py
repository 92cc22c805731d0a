"""What is asked of every message that the mail server has taken: is it true, is it theirs, is it the first."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.acceptance.simulator.judge import Step, hold
from tests.acceptance.simulator.surroundings import Letter, Said
from tests.support.model import Message, State

STATUS_SAID = {"pause": "paused", "resume": "active"}


@dataclass
class LetterJudge:
    """Knows which change of a status each message tells of: the latest when the message was written."""

    told: dict[tuple[object, int], int] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    def note(self, state: State) -> None:
        """Look at the messages that are new, as long as what they tell is just done."""
        for message in state.messages.values():
            if message.id in self.seen:
                continue
            self.seen.add(message.id)
            for event in state.events_of(message):
                self._note(event["key"], message.about_id or 0, state)
            for mentor_id in message.context.get("paused", ()):
                self._note(message.id, mentor_id, state)

    def _note(self, key: object, mentor_id: int, state: State) -> None:
        if change := state.latest_changes.get(mentor_id):
            self.told.setdefault((key, mentor_id), change.id)

    def judge(self, letter: Letter, step: Step) -> None:
        message = step.after.messages.get(letter.row)
        if message is None:  # pruned, or of operations
            return
        before = step.before.messages.get(letter.row)
        hold("sent once", before is None or before.status != "sent", f"{letter.message_id} ({message.kind})")
        for said in letter.said:
            self._judge_truth(said, message, step)
        if message.user_id:
            self._judge_reader(letter, message, step)

    def _judge_truth(self, said: Said, message: Message, step: Step) -> None:
        change_id = self.told.get((said.key or message.id, said.mentor_id))

        def is_true(state: State, today: object) -> bool:
            mentor = state.mentors.get(said.mentor_id)
            if mentor is None:
                return False
            if said.kind == "remind":
                return (message.mentor_id is None or mentor.status != "paused") and any(
                    held.id == said.certification_id
                    and str(held.expires_on) == said.expires_on
                    and state.stage(held, today) is not None  # type: ignore[arg-type]
                    for held in state.certifications
                )
            status = STATUS_SAID.get(said.kind)
            latest = state.latest_changes.get(said.mentor_id)
            return status is None or (mentor.status == status and (latest is None or latest.id == change_id))

        ref = step.after.mentors[said.mentor_id].ref
        what = f"{message.kind} to {'a coordinator' if message.user_id else 'the mentor'}: {said.kind} of {ref}"
        hold("sent true", step.ever(is_true, message.organisation_id), what)

    def _judge_reader(self, letter: Letter, message: Message, step: Step) -> None:
        user_id = message.user_id or 0

        def has_role(state: State, _today: object) -> bool:
            return any(
                role.user_id == user_id and role.organisation_id == message.organisation_id for role in state.roles
            )

        if message.kind != "invited":
            hold("sent theirs", step.ever(has_role, message.organisation_id), f"{message.kind} to who has no role")
        named = {said.mentor_id for said in letter.said}
        named |= {mentor.id for mentor in step.after.mentors.values() if mentor.name in letter.text}
        for mentor_id in sorted(named):

            def is_theirs(state: State, _today: object, pk: int = mentor_id) -> bool:
                return pk in state.mentors and state.reaches(user_id, state.mentors[pk])

            reached = step.ever(is_theirs, message.organisation_id)
            hold("sent theirs", reached, f"{message.kind} about {step.after.mentors[mentor_id].ref}")
