from __future__ import annotations

from limbeck.serve.headers import brings_key, to_client, to_teacher


def test_what_speaks_of_one_connection_does_not_pass() -> None:
    headers = [
        (b"Connection", b"keep-alive, X-Mine"),
        (b"x-mine", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"X-Stays", b"1"),
    ]
    assert to_client(headers) == [(b"X-Stays", b"1")]
    assert to_teacher(headers, read=False) == [(b"X-Stays", b"1")]


def test_a_reply_that_is_to_be_read_is_asked_for_uncompressed() -> None:
    headers = [(b"Accept-Encoding", b"br"), (b"accept", b"*/*")]
    assert to_teacher(headers, read=False) == headers
    wanted = [(b"accept", b"*/*"), (b"accept-encoding", b"identity")]
    assert to_teacher(headers, read=True) == wanted


def test_our_own_headers_stay_here_but_for_the_marker_of_a_simulation() -> None:
    headers = [(b"x-limbeck-task", b"t"), (b"x-limbeck-simulated", b"1")]
    assert to_teacher(headers, read=False) == []
    assert to_client(headers) == [(b"x-limbeck-simulated", b"1")]


def test_a_changed_body_loses_its_old_length() -> None:
    headers = [(b"content-length", b"5")]
    assert to_client(headers) == headers
    assert to_client(headers, keep_length=False) == []


def test_a_client_brings_a_key_in_either_header() -> None:
    assert brings_key([(b"X-Api-Key", b"k")])
    assert brings_key([(b"authorization", b"Bearer k")])
    assert not brings_key([(b"x-api-key", b""), (b"accept", b"*/*")])
