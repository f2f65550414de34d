"""Which clause to read before a model is trained on another's output. A pointer, no advice."""

from __future__ import annotations

import re

TERMS: tuple[tuple[str, str], ...] = (
    (
        r"claude|anthropic",
        "Anthropic's commercial terms forbid training models that compete with its own on outputs",
    ),
    (
        r"gpt|openai|davinci|\bo[1-9]\b",
        "OpenAI's terms forbid using output to develop models that compete with its own",
    ),
    (
        r"gemini|palm|bard|google",
        "Google's generative AI terms restrict using output to develop competing models",
    ),
    (r"deepseek", "DeepSeek-R1's licence allows distillation; read that of the model you used"),
    (r"llama", "the Llama licence asks for 'Llama' in the name of a model trained on its output"),
    (r"qwen", "licences differ by size: Qwen2.5-3B is non-commercial; read that of your model"),
    (r"mistral|mixtral", "licences differ by model; read that of the one you used"),
)
"""A pattern for the generator's name, and what to read. Terms change: read them."""


def clause(generator: str) -> str:
    """What to read about the outputs of `generator`."""
    for pattern, text in TERMS:
        if re.search(pattern, generator, re.IGNORECASE):
            return text
    return "read the terms under which its outputs may be used to train models"
