"""One student at an OpenAI-compatible endpoint, asked by the client that people use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
import torch
import urllib3
from tests.students import TEXTS, chance_student

from limbeck.errors import UsageError
from limbeck.models.local import Student
from limbeck.serve.endpoint import open_endpoint
from limbeck.serve.endpoint_forms import AskedChat, AskedCompletion, cut, read
from limbeck.serve.running import running_in_thread


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student with the weights of chance."""
    return chance_student(tmp_path_factory.mktemp("students") / "orders")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with running_in_thread(open_endpoint(str(folder), threads=1)) as found:
        yield f"{found}/v1"


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def student(folder: Path) -> Student:
    before = torch.get_num_threads()
    loaded = Student.load(folder, threads=1)
    torch.set_num_threads(before)
    return loaded


@pytest.mark.slow
def test_a_chat_is_answered_as_the_student_answers(client: openai.OpenAI, student: Student) -> None:
    [model] = client.models.list().data
    assert model.id == "orders"
    said = student.decoder.ask([TEXTS[0]], student.card.ask, 20)[0]
    reply = client.chat.completions.create(
        model="orders",
        messages=[
            {"role": "system", "content": "what the student learned"},
            {"role": "user", "content": TEXTS[0]},
        ],
        logprobs=True,
        top_logprobs=2,
    )
    [choice] = reply.choices
    assert choice.message.content == (said.answer or "")
    assert choice.finish_reason == ("stop" if said.stopped else "length")
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    told = [token.logprob for token in choice.logprobs.content]
    assert told == pytest.approx(said.logprobs, abs=1e-4)
    assert reply.usage is not None
    assert reply.usage.completion_tokens == said.new_tokens


@pytest.mark.slow
def test_a_stream_says_what_the_whole_reply_says(client: openai.OpenAI) -> None:
    asked = f"{TEXTS[1]}<|answer|>"
    whole = client.completions.create(model="orders", prompt=asked, max_tokens=12)
    parts = list(
        client.completions.create(
            model="orders",
            prompt=asked,
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(part.choices[0].text for part in parts if part.choices)
    assert text == whole.choices[0].text
    assert len(parts) > 4
    assert parts[-1].usage == whole.usage
    chat = client.chat.completions.create(
        model="orders", messages=[{"role": "user", "content": TEXTS[1]}], max_tokens=12
    )
    pieces = client.chat.completions.create(
        model="orders", messages=[{"role": "user", "content": TEXTS[1]}], max_tokens=12, stream=True
    )
    shown = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    # Of a reply that was cut the whole has no answer, and the stream showed what there was of one.
    assert chat.choices[0].message.content in (shown, "")


@pytest.mark.slow
def test_an_evaluation_harness_gets_the_log_probabilities_of_what_it_sent(
    client: openai.OpenAI, student: Student
) -> None:
    context = [*student.decoder.encode([TEXTS[2]])[0], student.decoder._control["answer"]]
    ending = list(student.decoder.encode(["late"])[0])
    reply = client.completions.create(
        model="orders",
        prompt=[[*context, *ending], [*context, *ending, *ending]],
        echo=True,
        logprobs=1,
        max_tokens=1,
        temperature=0,
        seed=1234,
    )
    for choice, count in zip(reply.choices, (1, 2), strict=True):
        found = choice.logprobs
        assert found is not None
        assert found.token_logprobs is not None
        assert found.token_logprobs[0] is None
        # As the harness counts: what follows the context, without the one that was written.
        total = sum(found.token_logprobs[len(context) : -1])
        ids = [*context, *ending * count]
        with torch.inference_mode():
            logprobs = student.decoder.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        places = range(len(context), len(ids))
        wanted = sum(float(logprobs[at - 1, ids[at]]) for at in places)
        assert total == pytest.approx(wanted, abs=1e-3)


@pytest.mark.slow
def test_what_a_student_cannot_do_is_refused(client: openai.OpenAI, url: str) -> None:
    with pytest.raises(openai.BadRequestError, match="got a penalty for repetition"):
        client.completions.create(model="orders", prompt="late", presence_penalty=1.0)
    with pytest.raises(openai.NotFoundError, match="this is 'orders'"):
        client.completions.create(model="other", prompt="late")
    with pytest.raises(openai.BadRequestError, match="takes at most 256"):
        client.completions.create(model="orders", prompt="late", max_tokens=300)
    assert urllib3.request("POST", f"{url}/completions", body=b"{").status == 400
    assert urllib3.request("GET", f"{url[:-3]}/health").json() == {"status": "ok", "failed": 0}


@pytest.mark.slow
def test_samples_of_a_request_differ_and_come_again(client: openai.OpenAI) -> None:
    def texts() -> list[str]:
        reply = client.completions.create(
            model="orders", prompt="late", n=3, temperature=1.5, seed=7, max_tokens=8
        )
        return [choice.text for choice in reply.choices]

    first = texts()
    assert len(set(first)) > 1
    assert texts() == first


def test_text_after_a_stop_is_cut() -> None:
    assert cut("one two three", (" three", " two")) == ("one", True)
    assert cut("one", ("two",)) == ("one", False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"messages": []}', "messages: List should have at least 1 item"),
        (b'{"messages": [{"role": "user", "content": "a"}], "tools": [{}]}', "got tools"),
        (b'{"messages": [{"role": "assistant", "content": "a"}]}', "several turns"),
        (b'{"messages": [{"role": "user", "content": "a"}], "logit_bias": {"1": 2}}', "logit_bias"),
        (
            b'{"messages": [{"role": "user", "content": "a"}], "temperature": 1, "top_p": 0.9}',
            "top_p other than 1",
        ),
    ],
)
def test_a_chat_that_cannot_be_answered_says_why(body: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(AskedChat, body)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"type": "image_url", "image_url": {}}], "image_url"),
        (None, "wanted a text"),
    ],
)
def test_a_chat_holds_one_text(content: object, said: str) -> None:
    asked = AskedChat.model_validate({"messages": [{"role": "user", "content": content}]})
    with pytest.raises(UsageError, match=said):
        asked.requests()
    asked = AskedChat.model_validate(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "late"}]}]}
    )
    assert [one.prompt for one in asked.requests()] == ["late"]


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [(1, 2)]),
        ([[1, 2], [3]], [(1, 2), (3,)]),
    ],
)
def test_prompts_are_texts_or_ids(prompt: object, wanted: list[object]) -> None:
    asked = AskedCompletion.model_validate({"prompt": prompt, "n": 2})
    found = asked.requests()
    assert [one.prompt for one in found[::2]] == wanted
    assert [one.seed for one in found[:2]] == [0, 1]
