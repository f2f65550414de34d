"""What a gateway has done since it started."""

from __future__ import annotations


class Counts:
    """Plain numbers, for `/limbeck/health`.

    A teacher that answers with an error status refuses; one that cannot be reached or hangs up fails.
    What cannot be read, as a call or as a reply, passes all the same. `spooled` traces are on disk
    outside of the store until they are `absorbed`, `unrecorded` ones nowhere. `passed` requests went
    through without being recorded. Bytes are those of bodies: in from clients, out from teachers.

    A student that fails time after time is `skipped` for a while. Answers `in_need` are a student's that
    went out because the teacher was down. Audits that the teacher could not settle stay `open`.
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
        self.student_skipped = 0
        self.answered_in_need = 0
        self.audited = 0
        self.audits_open = 0
        self.elicit_refused = 0
        self.clients_gone = 0
        self.clients_refused = 0
        self.passed = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.open_streams = 0
        self.configuration_errors = 0
        self.watching_errors = 0
        self.failures_by_kind: dict[str, int] = {}
        self.refusals_by_status: dict[str, int] = {}
        self.refused_by_kind: dict[str, int] = {}
        self.last_teacher_error: str | None = None
        self.last_store_error: str | None = None
        self.last_student_error: str | None = None

    def teacher_failed(self, kind: str, what: str) -> None:
        """A teacher that could not be reached, hung up or stayed silent."""
        self.teacher_failures += 1
        _add(self.failures_by_kind, kind)
        self.last_teacher_error = what

    def teacher_refused(self, status: int, teacher: str) -> None:
        """A teacher that answered with an error status."""
        self.teacher_refusals += 1
        _add(self.refusals_by_status, str(status))
        self.last_teacher_error = f"{teacher} answered with status {status}"

    def client_refused(self, kind: str) -> None:
        """A request that is not taken, in the providers' words for why."""
        self.clients_refused += 1
        _add(self.refused_by_kind, kind)


def _add(table: dict[str, int], kind: str) -> None:
    table[kind] = table.get(kind, 0) + 1
