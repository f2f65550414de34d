from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from limbeck.distill.chat import frame_of, template_for
from limbeck.distill.settings import DistillSettings
from limbeck.distill.tokens import Encoder, train_tokenizer
from limbeck.errors import PreflightError
from limbeck.models.controls import control_ids
from limbeck.models.local.said import Reader, Token
from limbeck.types import AnswerForm, Ask, Branch, Frame, Part, Task, Tree

TASK = Task(name="t", instruction="Say yes or no.", answer=AnswerForm(kind="text"))
SETTINGS = DistillSettings()
TURNS = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
DROPS = TURNS.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1] }}").replace(
    "m.reasoning_content", "m.nothing"
)
MOVES = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }} {{ m.reasoning_content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture
def chat() -> PreTrainedTokenizerBase:
    made = train_tokenizer(["yes no maybe because it is so", "say yes or no"] * 3, 400)
    made.chat_template = TURNS
    return made


def test_the_rationale_stands_where_the_template_wants_it(chat: PreTrainedTokenizerBase) -> None:
    assert frame_of(chat, TASK, SETTINGS) == Frame(
        before="<|user|>", after="<|end|>\n<|assistant|>", open="<think>\n", close="\n</think>\n\n"
    )


def test_instructions_become_the_system_turn_or_stand_before_the_input(
    chat: PreTrainedTokenizerBase,
) -> None:
    wanted = DistillSettings(with_instructions=True)
    framed = frame_of(chat, TASK, wanted)
    assert framed is not None
    assert framed.before == "<|system|>Say yes or no.<|end|>\n<|user|>"
    chat.chat_template = None
    assert frame_of(chat, TASK, wanted) == Frame(before="Say yes or no.\n\n")
    assert frame_of(chat, TASK, SETTINGS) is None


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (DROPS, "the chat template drops the rationale of a reply"),
        (MOVES, "the chat template moves the rationale behind the answer"),
        (TURNS.replace("<|end|>", "<|stop|>"), "the chat template ends a reply with '<|stop|>"),
        (TURNS.replace("{{ m.content }}", "{{ m.content }}{{ m.content }}"), "2 times"),
        ("{{ nothing() }}", "the chat template cannot be used"),
    ],
)
def test_a_template_that_spoils_a_target_is_refused(
    chat: PreTrainedTokenizerBase, template: str, said: str
) -> None:
    chat.chat_template = template
    with pytest.raises(PreflightError) as caught:
        frame_of(chat, TASK, SETTINGS)
    assert said in str(caught.value)
    assert "chat = 'off'" in str(caught.value)
    assert frame_of(chat, TASK, DistillSettings(chat="off")) is None


def test_a_framed_tree_reads_as_the_template_shows_it(chat: PreTrainedTokenizerBase) -> None:
    frame = frame_of(chat, TASK, SETTINGS)
    tree = Tree(
        prompt="is it so",
        branches=(
            Branch(
                parts=(
                    Part(text="think", role="control", weight=0.0),
                    Part(text="because", role="rationale"),
                    Part(text="answer", role="control"),
                    Part(text="yes", role="answer"),
                )
            ),
        ),
    )
    [made] = Encoder(chat, part_mean=False, frame=frame).trees([tree])
    [branch] = made.branches
    plain = "".join(str(chat.decode([i])) for i in (*made.prompt, *branch.ids)).replace(" ", "")
    for control in ("<|think|>", "<|answer|>"):
        plain = plain.replace(control, "")
    wanted = chat.apply_chat_template(
        [
            {"role": "user", "content": "is it so"},
            {"role": "assistant", "content": "yes", "reasoning_content": "because"},
        ],
        tokenize=False,
    )
    assert plain == str(wanted).strip().replace(" ", "")
    opening = len(chat("<think>\n", add_special_tokens=False)["input_ids"])
    # The control token and the opening are given; all that follows is learned, the end included.
    assert branch.weights == (0.0,) * (1 + opening) + (1.0,) * (len(branch.ids) - 1 - opening)


def test_a_rationale_is_read_without_its_frame(chat: PreTrainedTokenizerBase) -> None:
    frame = frame_of(chat, TASK, SETTINGS)
    assert frame is not None
    ask = Ask(control="think", order="rationale_answer", causal=True, frame=frame)
    controls = control_ids(chat)
    ids = [
        *chat("because" + frame.close, add_special_tokens=False)["input_ids"],
        controls["answer"],
        *chat("yes", add_special_tokens=False)["input_ids"],
        int(str(chat.eos_token_id)),
    ]
    said = Reader(chat, controls, ids[-1]).read([Token(i, -0.1, 1.0) for i in ids], ask)
    assert (said.rationale, said.answer) == ("because", "yes")


def test_the_saved_template_begins_a_reply_as_the_student_is_asked(
    chat: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    frame = frame_of(chat, TASK, SETTINGS)
    ask = Ask(control="think", order="rationale_answer", causal=True, frame=frame)
    chat.chat_template = template_for(chat, ask)
    turns = [{"role": "user", "content": "is it so"}]
    asked = chat.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert asked == "<|user|>is it so<|end|>\n<|assistant|><|think|><think>\n"
    assert "<|think|>" not in str(chat.apply_chat_template(turns, tokenize=False))
