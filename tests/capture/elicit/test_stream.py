from __future__ import annotations

from collections.abc import Callable

from limbeck.capture.elicit import frames
from limbeck.capture.elicit.prepare import Prepared
from limbeck.models.call import Reply
from limbeck.models.dialects import anthropic, openai_chat
from limbeck.models.dialects.table import Dialect, dialect

Ask = Callable[..., Prepared]


def told(spoken: Dialect, text: str) -> list[bytes]:
    reply = Reply(text=text, thinking="hm", signature="c2ln", stop_reason="end_turn")
    return list(spoken.write_stream(reply))


def test_the_reader_of_a_dialect_reads_what_it_would_have_read(ask: Ask) -> None:
    for name in ("anthropic", "openai_chat"):
        spoken = dialect(name)
        body = spoken.write_request(model="m", system="s", user="q", stream=True)
        restorer = ask("inline", name, body).stream()
        shown, plain = spoken.StreamReader(), spoken.StreamReader()
        for event in told(spoken, "<rationale>Because é.</rationale>\n\nÇa va."):
            shown.feed(restorer.feed(event))
        shown.feed(restorer.close())
        for event in told(spoken, "Ça va."):
            plain.feed(event)
        assert shown.reply() == plain.reply()
        assert shown.ended
        assert restorer.rationale == "Because é."


def test_when_nothing_is_left_to_take_out_chunks_pass_unread(ask: Ask) -> None:
    body = anthropic.write_request(model="m", system="s", user="q")
    restorer = ask("inline", "anthropic", body).stream()
    for event in told(dialect("anthropic"), "<rationale>so</rationale>Yes"):
        restorer.feed(event)
    chunk = b"data: half of"
    assert restorer.feed(chunk) is chunk
    assert restorer.close() == b""


def test_a_stream_that_is_none_of_events_passes(ask: Ask) -> None:
    body = openai_chat.write_request(model="m", system="s", user="q")
    restorer = ask("inline", "openai_chat", body).stream()
    chunk = b"x" * (frames.MOST_PENDING + 1)
    assert restorer.feed(chunk) == chunk
    assert restorer.feed(b"y") == b"y"


def test_a_last_frame_without_its_blank_line_is_read_too(ask: Ask) -> None:
    body = openai_chat.write_request(model="m", system="s", user="q")
    stream = b"".join(told(dialect("openai_chat"), "<rationale>so</rationale>Yes"))
    restorer = ask("inline", "openai_chat", body).stream()
    head, _, _ = stream.partition(b'"finish_reason":"stop"')
    last = head.rpartition(b"\n\n")[0]
    shown = restorer.feed(last) + restorer.close()
    assert shown.endswith(last[-40:])
    assert b"<rationale>" not in shown
