"""What a gateway has done since it started."""

from __future__ import annotations


class Counts:
    """Plain numbers, for `/limbeck/health`.

    A teacher that answers with an error status refuses; one that cannot be reached or hangs up fails.
    What cannot be read, as a call or as a reply, passes all the same. `spooled` traces are on disk
    outside of the store until they are `absorbed`, `unrecorded` ones nowhere.
    """

    def __init__(self) -> None:
        self.answered_by_teacher = 0
        self.answered_by_student = 0
        self.recorded = 0
        self.spooled = 0
        self.absorbed = 0
        self.spool_damaged = 0
        self.unrecorded = 0
        self.unread = 0
        self.teacher_refusals = 0
        self.teacher_failures = 0
        self.student_failures = 0
        self.clients_gone = 0
        self.clients_refused = 0
        self.last_store_error: str | None = None
        self.last_student_error: str | None = None
