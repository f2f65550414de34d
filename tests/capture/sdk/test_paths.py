from __future__ import annotations

import pytest

from limbeck.capture.sdk.paths import Place, body_of, place_of

VERTEX = "/v1/projects/p/locations/l/publishers/anthropic/models"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/v1/messages", Place("anthropic")),
        ("/prefix/v1/messages", Place("anthropic")),
        ("/v1/chat/completions", Place("openai_chat")),
        ("/openai/deployments/x/chat/completions", Place("openai_chat")),
        ("/v1/responses", Place("openai_responses")),
        (f"{VERTEX}/m-1@2:rawPredict", Place("anthropic", "m-1@2")),
        (f"{VERTEX}/m-1:streamRawPredict", Place("anthropic", "m-1")),
        ("/model/anthropic.m-1%3A0/invoke", Place("anthropic", "anthropic.m-1:0")),
        ("/model/m-1/invoke-with-response-stream", Place("anthropic", "m-1")),
        ("/v1/messages/count_tokens", None),
        ("/v1/messages/batches", None),
        (f"{VERTEX}/count-tokens:rawPredict", None),
        ("/v1/models", None),
        ("/v1/responses/resp_1/cancel", None),
    ],
)
def test_a_call_is_known_by_the_end_of_its_path(path: str, place: Place | None) -> None:
    assert place_of("POST", path) == place


def test_only_what_is_posted_is_a_call() -> None:
    assert place_of("GET", "/v1/responses") is None


def test_a_body_gets_the_model_of_its_path() -> None:
    assert body_of(Place("anthropic", "m"), b'{"messages":[]}') == {"messages": [], "model": "m"}
    assert body_of(Place("anthropic"), b'{"model":"n"}') == {"model": "n"}


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{"])
def test_a_body_that_is_no_object_is_none(content: bytes) -> None:
    assert body_of(Place("anthropic"), content) is None
