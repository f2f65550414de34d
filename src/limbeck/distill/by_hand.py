"""The layers of a Llama-type decoder and its loss, forward and backward written out by hand.

On a processor a third of a training step is spent between the matrix products: in norms, rotations,
gates and copies, each a pass over memory and a node of the graph. Here a layer is one node. The scales
of its norms are folded into the weights that follow them, queries, keys and values are one product, and
the last layer computes only what is read of it: the keys and values of a prompt, and no more. Gradients
are those of the library's own model (a parity test keeps them so).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn.functional import silu

from limbeck.distill.blocks import Blocks
from limbeck.distill.places import Heads, Places, all_places, last_places

TYPES = frozenset({"llama", "qwen2", "mistral"})
MOST_LOGITS = 2**26
"""Logits that are held at once."""
Weight = torch.Tensor


class Turn(NamedTuple):
    """The rotation of positions, (T, turned heads * half); the same for each head."""

    cos: torch.Tensor
    sin: torch.Tensor


class Plan(NamedTuple):
    """What the layers of a batch share."""

    places: Places
    turn: Turn
    order: torch.Tensor
    """Rows of queries, keys and values, one above the other, by halves: first, second, values."""
    scale: float
    eps: float


def possible(model: Any) -> bool:
    """Whether every operation of `model` in training is known here."""
    config = model.config
    if hasattr(model, "peft_config") or config.model_type not in TYPES:
        return False
    if config.hidden_act != "silu" or getattr(config, "attention_dropout", 0.0):
        return False
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    if type(head) is not torch.nn.Linear:
        return False
    if any(getattr(one, "gradient_checkpointing", False) for one in decoder.modules()):
        return False
    if head.bias is not None or not all(p.requires_grad for p in model.parameters()):
        return False
    return all(_known(layer) for layer in decoder.layers)


def _known(layer: Any) -> bool:
    attention, forward = layer.self_attn, layer.mlp
    without = [attention.o_proj, forward.gate_proj, forward.up_proj, forward.down_proj]
    inner = [attention.q_proj, attention.k_proj, attention.v_proj, *without]
    biases = [one.bias is not None for one in inner[:3]]
    return (
        layer._compiled_call_impl is None
        and all(type(one) is torch.nn.Linear for one in inner)
        # Sharded weights are of another type, and whole only while the library's layer runs.
        and all(type(one.weight) is torch.nn.Parameter for one in inner)
        and all(one.bias is None for one in without)
        and all(biases) == any(biases)
    )


def loss(
    model: Any,
    ids: torch.Tensor,
    positions: torch.Tensor,
    blocks: Blocks,
    sources: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ weight · −log p over the supervised tokens, and −log p of each, (S,); `weights` in float32.

    Rows stand end to end, (1, T); a token is predicted from `sources`.
    """
    decoder, config = model.get_decoder(), model.config
    x = decoder.embed_tokens(ids)[0]  # (T, D)
    first = decoder.layers[0].self_attn
    kv = config.num_key_value_heads
    heads = Heads(kv, config.num_attention_heads // kv, first.head_dim // 2)
    cos, sin = decoder.rotary_emb(x[None], positions)
    turn = Turn(*(t[0, :, : heads.half].to(x.dtype).repeat(1, heads.turned) for t in (cos, sin)))
    order, scale, eps = _order(heads), float(first.scaling), config.rms_norm_eps
    places = all_places(blocks.lengths, heads, x)
    last = last_places(blocks.lengths, sources.numpy(), heads, x)
    for layer in decoder.layers[:-1]:
        x = _layer(layer, x, Plan(places, turn, order, scale, eps))
    x = _layer(decoder.layers[-1], x, Plan(last, turn, order, scale, eps))
    read = sources if last.kept is None else torch.searchsorted(last.kept, sources)
    head, norm = model.get_output_embeddings().weight, decoder.norm.weight
    summed, nats = _Head.apply(x, norm, head, read, labels, weights, eps)  # type: ignore[no-untyped-call]  # torch's own
    return summed, nats


def _layer(layer: Any, x: torch.Tensor, plan: Plan) -> torch.Tensor:
    attention, forward = layer.self_attn, layer.mlp
    three = (attention.q_proj, attention.k_proj, attention.v_proj)
    made: torch.Tensor = _Layer.apply(  # type: ignore[no-untyped-call]  # torch's own
        x,
        plan,
        layer.input_layernorm.weight,
        *(one.weight for one in three),
        *(one.bias for one in three),
        attention.o_proj.weight,
        layer.post_attention_layernorm.weight,
        forward.gate_proj.weight,
        forward.up_proj.weight,
        forward.down_proj.weight,
    )
    return made


def _order(heads: Heads) -> torch.Tensor:
    asked, half = heads.kv * heads.group, heads.half
    rows = torch.arange(2 * half * heads.all).view(heads.all, 2, half)
    turned = rows[: asked + heads.kv].transpose(0, 1)
    return torch.cat([turned.reshape(-1), rows[asked + heads.kv :].reshape(-1)])


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        x: torch.Tensor,
        plan: Plan,
        norm_in: Weight,
        q: Weight,
        k: Weight,
        v: Weight,
        q_bias: Weight | None,
        k_bias: Weight | None,
        v_bias: Weight | None,
        out: Weight,
        norm_mid: Weight,
        gate: Weight,
        up: Weight,
        down: Weight,
    ) -> torch.Tensor:
        folded = torch.cat([q, k, v]).index_select(0, plan.order).mul_(norm_in)
        unit, rate = _unit(x, plan.eps)
        if q_bias is None or k_bias is None or v_bias is None:
            qkv = torch.mm(unit, folded.t())
        else:
            bias = torch.cat([q_bias, k_bias, v_bias]).index_select(0, plan.order)
            qkv = torch.addmm(bias, unit, folded.t())
        _turned(qkv, plan, back=False)
        flat = qkv.view(-1, plan.places.heads.half).index_select(0, plan.places.units)
        del qkv
        said, shares = _attend(flat, plan)
        asking = x if plan.places.kept is None else x.index_select(0, plan.places.kept)
        y = torch.addmm(asking, said, out.t())
        middle, rate_mid = _unit(y, plan.eps)
        gates = torch.mm(middle, (gate * norm_mid).t())
        ups = torch.mm(middle, (up * norm_mid).t())
        opened = silu(gates)
        inner = opened * ups
        context.plan, context.biased = plan, q_bias is not None
        context.cut = [len(q), len(k), len(v)]
        # Folded weights are not kept: to fold them again costs less than their memory.
        context.save_for_backward(
            *(q, k, v, norm_in, unit, rate, flat, *shares, said, out),
            *(norm_mid, gate, up, down, middle, rate_mid, gates, ups, opened, inner),
        )
        return torch.addmm(y, inner, down.t())

    @staticmethod
    def backward(context: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        plan, (grad,) = context.plan, grads
        q, k, v, norm_in, unit, rate, flat, s_text, s_own, said, out, *rest = context.saved_tensors
        norm_mid, gate, up, down, middle, rate_mid, gates, ups, opened, inner = rest
        d_down = torch.mm(grad.t(), inner)
        d_inner = torch.mm(grad, down)
        d_gates = torch.ops.aten.silu_backward(d_inner * ups, gates)
        d_ups = d_inner.mul_(opened)
        d_middle = torch.mm(d_gates, gate * norm_mid).addmm_(d_ups, up * norm_mid)
        d_gate, d_up = torch.mm(d_gates.t(), middle), torch.mm(d_ups.t(), middle)
        d_norm_mid = (d_gate * gate).sum(0) + (d_up * up).sum(0)
        dy = grad + _unit_back(d_middle, middle, rate_mid)
        d_out = torch.mm(dy.t(), said)
        d_qkv = _attend_back(dy, out, flat, (s_text, s_own), plan)
        d_folded = torch.mm(d_qkv.t(), unit)
        three = torch.cat([q, k, v]).index_select(0, plan.order)
        d_norm_in = (d_folded * three).sum(0)
        dx = _unit_back(torch.mm(d_qkv, three * norm_in), unit, rate)
        if plan.places.kept is None:
            dx += dy
        else:
            dx.index_add_(0, plan.places.kept, dy)
        d_three = torch.empty_like(three)
        d_three[plan.order] = d_folded.mul_(norm_in)
        biases: list[torch.Tensor | None] = [None] * 3
        if context.biased:
            d_bias = torch.empty_like(three[:, 0])
            d_bias[plan.order] = d_qkv.sum(0)
            biases = list(d_bias.split(context.cut))
        return (
            *(dx, None, d_norm_in, *d_three.split(context.cut), *biases, d_out, d_norm_mid),
            *(d_gate.mul_(norm_mid), d_up.mul_(norm_mid), d_down),
        )


def _unit(x: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of root mean square 1, and what each was multiplied with, (T, 1)."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    rate = (length.square_() / x.shape[-1] + eps).rsqrt_().to(x.dtype)
    return x * rate, rate


def _unit_back(grad: torch.Tensor, unit: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
    """The gradient before `_unit`; `grad` is used up."""
    along = (grad * unit).sum(-1, keepdim=True) / unit.shape[-1]
    return grad.addcmul_(unit, along, value=-1).mul_(rate)


def _turned(qkv: torch.Tensor, plan: Plan, *, back: bool) -> None:
    """Rotates queries and keys in place: (a, b) to (a cos - b sin, b cos + a sin), or back."""
    width = plan.turn.cos.shape[1]
    a, b = qkv[:, :width], qkv[:, width : 2 * width]
    cos, sin = plan.turn
    sign = -1 if back else 1
    crossed = a * sin
    a.mul_(cos).addcmul_(b, sin, value=-sign)
    b.mul_(cos).add_(crossed, alpha=sign)


def _attend(
    flat: torch.Tensor, plan: Plan
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """What the heads say to each token, (T', H * head), and the shares of attention."""
    places = plan.places
    rows, _, known, _, wide = places.shape
    q, k, v, own_q, own_k, own_v = places.cut(flat)
    scores = torch.baddbmm(places.text_bias, q, k.transpose(1, 2), alpha=plan.scale)
    text = torch.softmax(scores, dim=-1)
    outputs = flat.new_empty(q.numel() + own_q.numel())
    torch.bmm(text, v, out=outputs[: q.numel()].view_as(q))
    own = flat.new_empty(0)
    if own_q.numel():
        wider = own_q.view(places.heads.kv * rows, -1, own_q.shape[2])
        to_text = torch.baddbmm(places.padding, wider, k.transpose(1, 2), alpha=plan.scale)
        to_own = torch.baddbmm(places.own_bias, own_q, own_k.transpose(1, 2), alpha=plan.scale)
        scores = torch.cat([to_text, to_own.view(*to_text.shape[:2], wide)], dim=-1)
        own = torch.softmax(scores, dim=-1)
        of_text, of_own = own.split([known, wide], dim=-1)
        into = outputs[q.numel() :].view_as(own_q)
        torch.bmm(of_own.reshape(len(own_q), -1, wide), own_v, out=into)
        into.view_as(wider).baddbmm_(of_text, v)
    chosen = outputs.view(-1, q.shape[2]).index_select(0, places.said)
    heads = places.heads
    return chosen.view(-1, heads.kv * heads.group * 2 * heads.half), (text, own)


def _attend_back(
    dy: torch.Tensor,
    out: torch.Tensor,
    flat: torch.Tensor,
    shares: tuple[torch.Tensor, torch.Tensor],
    plan: Plan,
) -> torch.Tensor:
    """The gradient of queries, keys and values, (T, all heads), before their rotation."""
    places, (text, own) = plan.places, shares
    rows, _, known, _, wide = places.shape
    half = places.heads.half
    # A last row of zeros is what padding has for a gradient.
    d_said = dy.new_empty(len(dy) + 1, out.shape[1])
    torch.mm(dy, out, out=d_said[:-1])
    d_said[-1].zero_()
    d_outputs = d_said.view(-1, 2 * half).index_select(0, places.said_back).view(-1)
    d_flat = torch.empty(len(flat) + 1, half, dtype=flat.dtype, device=flat.device)
    d_flat[-1].zero_()
    q, k, v, own_q, own_k, own_v = places.cut(flat)
    dq, dk, dv, d_own_q, d_own_k, d_own_v = places.cut(d_flat[:-1])
    d_text = d_outputs[: q.numel()].view_as(q)
    torch.bmm(text.transpose(1, 2), d_text, out=dv)
    scores = _softmax_back(torch.bmm(d_text, v.transpose(1, 2)), text, plan.scale)
    torch.bmm(scores, k, out=dq)
    torch.bmm(scores.transpose(1, 2), q, out=dk)
    if own_q.numel():
        d_own = d_outputs[q.numel() :].view_as(own_q)
        wider = (places.heads.kv * rows, -1, own_q.shape[2])
        of_text, of_own = own.split([known, wide], dim=-1)
        of_own = of_own.reshape(len(own_q), -1, wide)
        dv.baddbmm_(of_text.transpose(1, 2), d_own.view(wider))
        torch.bmm(of_own.transpose(1, 2), d_own, out=d_own_v)
        to_text = torch.bmm(d_own.view(wider), v.transpose(1, 2))
        to_own = torch.bmm(d_own, own_v.transpose(1, 2)).view(*to_text.shape[:2], wide)
        scores = _softmax_back(torch.cat([to_text, to_own], dim=-1), own, plan.scale)
        to_text, to_own = scores.split([known, wide], dim=-1)
        to_own = to_own.reshape(len(own_q), -1, wide)
        torch.bmm(to_own, own_k, out=d_own_q)
        d_own_q.view(wider).baddbmm_(to_text, k)
        torch.bmm(to_own.transpose(1, 2), own_q, out=d_own_k)
        dk.baddbmm_(to_text.transpose(1, 2), own_q.view(wider))
    d_qkv = d_flat.index_select(0, places.back).view(-1, 2 * half * places.heads.all)
    _turned(d_qkv, plan, back=True)
    return d_qkv


def _softmax_back(grad: torch.Tensor, shares: torch.Tensor, scale: float) -> torch.Tensor:
    """The gradient of the products of queries and keys."""
    found = torch._softmax_backward_data(grad, shares, -1, shares.dtype)
    return found.mul_(scale)


class _Head(torch.autograd.Function):
    """The last norm, the head and the loss; gradients are computed on the way forward, while the logits
    are there, so that they are never held twice."""

    @staticmethod
    def forward(
        context: Any,
        x: torch.Tensor,
        norm: Weight,
        head: Weight,
        sources: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor,
        eps: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        folded = head * norm
        unit, rate = _unit(x, eps)
        picked = unit.index_select(0, sources)  # (S, D)
        d_picked = torch.empty_like(picked)
        d_folded: torch.Tensor | None = None
        nats = []
        size = max(1, MOST_LOGITS // len(head))
        for at in range(0, len(picked), size):
            here = slice(at, at + size)
            shares, found = _surprise(torch.mm(picked[here], folded.t()), labels[here])
            nats.append(found)
            shares.mul_(weights[here, None].to(shares.dtype))
            torch.mm(shares, folded, out=d_picked[here])
            if d_folded is None:
                d_folded = torch.mm(shares.t(), picked[here])
            else:
                d_folded.addmm_(shares.t(), picked[here])
        each = torch.cat(nats)
        context.mark_non_differentiable(each)
        context.save_for_backward(norm, head, sources, unit, rate, d_picked, d_folded)
        return (each * weights).sum(), each

    @staticmethod
    def backward(context: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        norm, head, sources, unit, rate, d_picked, d_folded = context.saved_tensors
        by = grads[0].to(unit.dtype)
        d_unit = torch.zeros_like(unit).index_add_(0, sources, d_picked * by)
        d_folded = d_folded * by
        d_norm = (d_folded * head).sum(0)
        dx = _unit_back(d_unit, unit, rate)
        return dx, d_norm, d_folded.mul_(norm), None, None, None, None


def _surprise(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """softmax − one-hot, (S, V), and −log p of each label in float32, (S,)."""
    chosen = logits.gather(1, labels[:, None])[:, 0].float()
    if logits.dtype == torch.float32:
        logged = logits.log_softmax(-1)
        found = -logged.gather(1, labels[:, None])[:, 0]
        shares = logged.exp_()
    else:
        shares = logits.softmax(-1)
        # The largest share is the best known; from it the sum under all of them.
        most, at = shares.max(-1, keepdim=True)
        top = logits.gather(1, at)[:, 0].float()
        found = top - most[:, 0].float().log() - chosen
    rows = torch.arange(len(labels), device=labels.device)
    shares[rows, labels] -= 1
    return shares, found
