"""Remote teachers: models that cost money, asked over HTTP and asked again where they are busy."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import count, islice
from types import TracebackType
from typing import Any, NamedTuple, Self

import urllib3

from limbeck.errors import ConfigError, DataError, TeacherError
from limbeck.models.call import Reply
from limbeck.models.dialects.table import dialect, endpoint
from limbeck.models.waiting import should_retry, wait_s

PROVIDERS = {
    "anthropic": "anthropic",
    "openai": "openai_chat",
    "openai-responses": "openai_responses",
}
"""What may stand before the colon in `--teacher PROVIDER:MODEL`, and the dialect that it speaks."""


class Question(NamedTuple):
    """One thing to ask. `correlation` is the caller's own key, kept with the trace."""

    system: str
    user: str
    task: str | None = None
    correlation: str | None = None
    max_tokens: int = 1024


class Asked(NamedTuple):
    """What came of a question: a reply with the headers of its response, or an error.

    `seconds` is the time until then, with all attempts and the waits between them.
    """

    question: Question
    reply: Reply | None
    headers: Mapping[str, str]
    error: TeacherError | None
    seconds: float


class Teacher:
    """A model behind an HTTP endpoint; safe to share between threads.

    `base_url` is what the provider's own client takes, or that of a gateway (for Chat Completions
    with `/v1`). `timeout_s` is the longest silence on the wire, in seconds. A request is sent at
    most `attempts` times, with at most `longest_wait_s` seconds between two of them. Raises
    ConfigError where the URL is none or `attempts` is less than 1.
    """

    def __init__(
        self,
        base_url: str,
        dialect_name: str,
        model: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 600.0,
        headers: Mapping[str, str] | None = None,
        attempts: int = 6,
        first_wait_s: float = 0.5,
        longest_wait_s: float = 60.0,
        connections: int = 64,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if attempts < 1:
            raise ConfigError(f"attempts is {attempts!r}; wanted at least 1")
        if api_key is not None and not _fits_header(api_key):
            # The key itself is not repeated.
            raise ConfigError(
                "the API key holds a space, a line break or a character beyond ASCII; "
                "copy it again from your provider"
            )
        self.base_url = base_url
        self.model = model
        self._dialect = dialect(dialect_name)
        self._url = _checked(endpoint(base_url, self._dialect), self._dialect.DEFAULT_BASE_URL)
        self._api_key = api_key
        self._headers = {**self._dialect.headers(api_key), **(headers or {})}
        self._attempts = attempts
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._sleep = sleep
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            retries=False,
            timeout=urllib3.Timeout(connect=10.0, read=timeout_s),
        )

    def __repr__(self) -> str:
        return f"Teacher({self._place()!r}, {self._dialect.NAME!r}, {self.model!r})"

    def ask(
        self,
        system: str,
        user: str,
        *,
        task: str | None = None,
        correlation: str | None = None,
        max_tokens: int = 1024,
    ) -> tuple[Reply, Mapping[str, str]]:
        """The reply to `user` under the instruction `system`, and its response headers.

        Header names are in lower case. Raises TeacherError, with what to try, when the teacher
        says no or stays busy, and DataError for a `correlation` that no header can carry.
        """
        body = self._dialect.write_request(
            model=self.model, system=system, user=user, max_tokens=max_tokens
        )
        sent = dict(self._headers)
        if task is not None:
            sent["x-limbeck-task"] = task
        if correlation is not None:
            if not _fits_header(correlation):
                raise DataError(
                    f"correlation is {correlation!r}; wanted printable ASCII without spaces, "
                    "because it travels in a header; use a hash or a number of the row"
                )
            sent["x-limbeck-key"] = correlation
        status, headers, data = self._send(json.dumps(body).encode(), sent)
        if status != 200:
            raise self._refusal(status, data)
        try:
            return self._dialect.read_reply(json.loads(data)), headers
        except (ValueError, DataError) as error:
            raise TeacherError(
                f"the teacher at {self._place()} sent a reply that cannot be read "
                f"({self._safe(str(error))}); check that it speaks {self._dialect.NAME}",
                status,
            ) from None

    def ask_many(
        self, questions: Iterable[Question], workers: int = 8
    ) -> Generator[Asked, None, None]:
        """Ask every question, `workers` at a time; yields each as it is done.

        A question that fails is yielded with its error, so that none costs the others. `questions`
        is read only as far as there is room for more; leaving the loop asks no further.
        """
        rest = iter(questions)
        with ThreadPoolExecutor(workers, thread_name_prefix="teacher") as threads:
            running: set[Future[Asked]] = set()
            try:
                while True:
                    room = 2 * workers - len(running)
                    running |= {threads.submit(self._asked, one) for one in islice(rest, room)}
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Close the connections; the teacher may still be asked and then opens new ones."""
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _asked(self, question: Question) -> Asked:
        began = time.perf_counter()
        try:
            reply, headers = self.ask(
                question.system,
                question.user,
                task=question.task,
                correlation=question.correlation,
                max_tokens=question.max_tokens,
            )
        except TeacherError as error:
            return Asked(question, None, {}, error, time.perf_counter() - began)
        return Asked(question, reply, headers, None, time.perf_counter() - began)

    def _send(self, body: bytes, sent: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        for attempt in count():
            last = attempt + 1 == self._attempts
            headers: dict[str, str] = {}
            try:
                response = self._pool.request("POST", self._url, body=body, headers=sent)
            except urllib3.exceptions.HTTPError as error:
                if last:
                    raise TeacherError(
                        f"the teacher at {self._place()} could not be reached in "
                        f"{self._attempts} attempts ({type(error).__name__}); check the base URL "
                        f"and the network, then run the same command again"
                    ) from None
            else:
                headers = {name.lower(): value for name, value in response.headers.items()}
                if last or not should_retry(response.status, headers):
                    return response.status, headers, response.data
            wait = wait_s(
                attempt, headers, first_s=self._first_wait_s, longest_s=self._longest_wait_s
            )
            self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _refusal(self, status: int, data: bytes) -> TeacherError:
        said = _error_message(self._dialect.read_error, data)
        said = f" ({self._safe(said)})" if said else ""
        return TeacherError(
            f"the teacher {self.model!r} at {self._place()} answered with status {status}{said}; "
            f"{self._remedy(status)}",
            status,
        )

    def _remedy(self, status: int) -> str:
        if status in (401, 403):
            return f"check the key in {self._dialect.KEY_ENV}"
        if status == 404:
            return "check the model's name and the base URL"
        if status == 413:
            return "shorten the input"
        if should_retry(status, {}):
            return "it stayed busy through every attempt: wait, or lower the number of workers"
        return "check the request, above all the model's name and the token limit"

    def _place(self) -> str:
        # A base URL may hold a user name and a password; neither belongs in a message.
        return urllib3.util.parse_url(self._url)._replace(auth=None, query=None).url

    def _safe(self, message: str) -> str:
        return message.replace(self._api_key, "[key]") if self._api_key else message


def _fits_header(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value


def _checked(url: str, example: str) -> str:
    try:
        parts = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parts = urllib3.util.Url()
    if parts.scheme not in ("http", "https") or not parts.host:
        # It may hold a password, so it is not repeated.
        raise ConfigError(f"the teacher's base URL cannot be read; wanted one such as {example!r}")
    return url


def _error_message(read_error: Callable[[Any], str | None], data: bytes) -> str | None:
    try:
        return read_error(json.loads(data))
    except ValueError:
        return None


def parse_teacher(spec: str, environ: Mapping[str, str] = os.environ) -> Teacher:
    """The teacher that `PROVIDER:MODEL` names, with the key from the provider's usual variable.

    Raises ConfigError for another form, an unknown provider or an absent key.
    """
    provider, colon, model = spec.partition(":")
    if not colon or not model or provider not in PROVIDERS:
        known = " or ".join(f"{name}:MODEL" for name in PROVIDERS)
        raise ConfigError(f"teacher is {spec!r}; wanted {known}")
    spoken = dialect(PROVIDERS[provider])
    api_key = environ.get(spoken.KEY_ENV, "").strip()
    if not api_key:
        raise ConfigError(
            f"teacher is {spec!r}, but {spoken.KEY_ENV} is not set; "
            f"set it to your key: export {spoken.KEY_ENV}=..."
        )
    return Teacher(spoken.DEFAULT_BASE_URL, spoken.NAME, model, api_key)
