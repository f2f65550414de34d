"""Rows of a small Llama-type model on a processor: few, large operations over buffers made beforehand.

A small student spends most of a step between its operations, not in them. So the weights are folded
once into what a step multiplies with: queries, keys and values in one matrix, the gates and values of
the feed-forward in another, the scales of the norms and of the attention inside them; and the halves of
a head are interleaved, so that the rotation of positions (RoPE, Su et al. 2021, arXiv 2104.09864) is
one complex product. The results are those of the plain model up to the rounding of float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from limbeck.models.local.rows import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_PARAMETERS = 200_000_000
"""Above this a step's time is in its products, and the folded weights cost memory for nothing."""
ROOM = 64
"""Columns that a cache grows by, at least."""
ALIGNED = 16
"""Floats that a row of the residual stream is a multiple of."""


class Layer(NamedTuple):
    """Folded weights, as (in, out); a bias is None where the model has none."""

    qkv: torch.Tensor
    qkv_bias: torch.Tensor | None
    out: torch.Tensor
    out_bias: torch.Tensor | None
    gate_up: torch.Tensor
    gate_up_bias: torch.Tensor | None
    down: torch.Tensor
    down_bias: torch.Tensor | None


class Shape(NamedTuple):
    width: int
    heads: int
    kv_heads: int
    head: int
    hidden: int


class Folded:
    """The weights of a model as a step wants them."""

    def __init__(self, model: PreTrainedModel) -> None:
        config, inner = model.config, _inner(model)
        self.version = version(model)
        self.shape = Shape(
            config.hidden_size,
            config.num_attention_heads,
            config.num_key_value_heads,
            inner.layers[0].self_attn.head_dim,
            config.intermediate_size,
        )
        # |x|² + D·eps under the root: the constant stands beside the row as one more number.
        self.floor = math.sqrt(config.hidden_size * config.rms_norm_eps)
        self._rotary = inner.rotary_emb
        with torch.inference_mode():
            self.embedding = inner.embed_tokens.weight.detach().clone()
            self.layers = [self._layer(layer) for layer in inner.layers]
            norm = inner.norm.weight * math.sqrt(config.hidden_size)
            self.head = (model.lm_head.weight * norm).T.contiguous()
            self.rotations = self._rotations(256)

    def _layer(self, layer: Any) -> Layer:
        shape, attention, forward = self.shape, layer.self_attn, layer.mlp
        # A root-mean-square is a length over √D.
        first = layer.input_layernorm.weight * math.sqrt(shape.width)
        second = layer.post_attention_layernorm.weight * math.sqrt(shape.width)
        query, key, value = attention.q_proj, attention.k_proj, attention.v_proj
        scale = attention.scaling
        weights = [
            self._paired(query.weight, shape.heads) * scale,
            self._paired(key.weight, shape.kv_heads),
            value.weight,
        ]
        bias = None
        if query.bias is not None:
            bias = torch.cat(
                [
                    self._paired(query.bias, shape.heads) * scale,
                    self._paired(key.bias, shape.kv_heads),
                    value.bias,
                ]
            )
        gates = [forward.gate_proj, forward.up_proj]
        return Layer(
            qkv=(torch.cat(weights) * first).T.contiguous(),
            qkv_bias=bias,
            out=attention.o_proj.weight.T.contiguous(),
            out_bias=_copy(attention.o_proj.bias),
            gate_up=(torch.cat([gate.weight for gate in gates]) * second).T.contiguous(),
            gate_up_bias=(
                torch.cat([gate.bias for gate in gates]) if gates[0].bias is not None else None
            ),
            down=forward.down_proj.weight.T.contiguous(),
            down_bias=_copy(forward.down_proj.bias),
        )

    def _paired(self, weight: torch.Tensor, heads: int) -> torch.Tensor:
        """Puts the two numbers that are rotated together side by side, in every head."""
        half = self.shape.head // 2
        rows = weight.view(heads, 2, half, -1).transpose(1, 2)
        return rows.reshape(weight.shape)

    def _rotations(self, length: int) -> torch.Tensor:
        """The unit complex numbers of each position, (P, head / 2)."""
        positions = torch.arange(length)[None]
        cos, sin = self._rotary(self.embedding, positions)
        half = self.shape.head // 2
        return torch.complex(cos[0, :, :half].float(), sin[0, :, :half].float())

    def reach(self, length: int) -> None:
        """Makes positions below `length` known."""
        if length > len(self.rotations):
            with torch.inference_mode():
                self.rotations = self._rotations(max(length, 2 * len(self.rotations)))


def foldable(model: PreTrainedModel) -> bool:
    """Whether the model is one whose every step is known here."""
    from torch.nn import Embedding, Linear

    config, inner = model.config, _inner(model)
    if inner is None or config.model_type not in ("llama", "qwen2", "mistral"):
        return False
    if model.device.type != "cpu" or model.dtype != torch.float32:
        return False
    if config.hidden_act != "silu" or getattr(config, "sliding_window", None):
        return False
    if config.rope_parameters.get("rope_type", "default") not in ("default", "linear", "llama3"):
        return False
    if sum(one.numel() for one in model.parameters()) > MOST_PARAMETERS:
        return False
    # An adapter, a quantized layer or a hook does more than its weights say.
    plain = (Linear, Embedding)
    leaves = [one for one in model.modules() if not any(one.children())]
    known = [
        one
        for one in leaves
        if type(one) in plain or type(one).__name__.endswith(("RMSNorm", "RotaryEmbedding"))
    ]
    others = [one for one in leaves if one not in known and any(True for _ in one.parameters())]
    attention = inner.layers[0].self_attn
    return not others and hasattr(attention, "scaling") and hasattr(attention, "head_dim")


def version(model: PreTrainedModel) -> tuple[int, ...]:
    """Changes when a weight of the model is changed in place or replaced."""
    found: list[int] = []
    for one in model.parameters():
        found.append(one.data_ptr())
        if not one.is_inference():
            found.append(one._version)
    return tuple(found)


def _inner(model: PreTrainedModel) -> Any:
    inner = getattr(model, "model", None)
    parts = ("layers", "norm", "embed_tokens", "rotary_emb")
    whole = all(hasattr(inner, part) for part in parts) and hasattr(model, "lm_head")
    return inner if whole else None


def _copy(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else tensor.detach().clone()


class FusedRows:
    """B rows over one static cache, (L, 2, B, H_kv, S, head)."""

    joinable = True

    def __init__(self, folded: Folded) -> None:
        self._folded = folded
        shape = folded.shape
        self._cache = torch.zeros(len(folded.layers), 2, 0, shape.kv_heads, 0, shape.head)
        self._starts: list[int] = []
        """The column of each row's first token."""
        self._at = 0
        """The column of the next token."""
        self._low = 0
        """The first column that any row looks at."""
        self._ragged = False
        """Whether a row has a gap before it that another one has not."""
        self._stale = True

    # -- the batch --------------------------------------------------------------------------------

    def join(self, prompts: Sequence[Prompt], tokens: torch.Tensor | None = None) -> torch.Tensor:
        rows, ahead = [prompt.ids for prompt in prompts], int(tokens is not None)
        self._make_room(len(rows), max(map(len, rows)), ahead)
        # Those that are new end with the token that the others read now.
        self._at += ahead
        hidden = self._take_in(rows, tokens)
        self._starts += [self._at - len(row) for row in rows]
        self._settle()
        return self._logits(hidden)

    def _make_room(self, rows: int, width: int, ahead: int) -> None:
        """Space for `rows` more rows that end `ahead` columns after the others, and for a few more
        columns."""
        there = len(self._starts)
        have = self._cache.shape
        if there + rows <= have[2] and width <= self._at + ahead <= have[4]:
            # Those that are there stay where they are: one that joins has the columns before them.
            return
        at = max(width - ahead, self._at - self._low if there else 0)
        shift = at - self._at
        live = self._cache[:, :, :there, :, self._low : self._at].clone()
        self._starts = [start + shift for start in self._starts]
        self._at = at
        low = self._low + shift
        # By half as many, so that calls that come one by one seldom copy the others.
        more = max(there + rows, have[2] * 3 // 2)
        want = (more if there + rows > have[2] else have[2], max(have[4], at + ROOM))
        if want != (have[2], have[4]):
            self._cache = torch.zeros(*have[:2], want[0], have[3], want[1], have[5])
        if there:
            self._cache[:, :, :there, :, low:at] = live
        self._settle()

    def _take_in(self, rows: Sequence[Sequence[int]], tokens: torch.Tensor | None) -> torch.Tensor:
        """Hidden states (B + N, D + padding) after one of `tokens` of every row that is there, and after
        the last token of each new row; B is 0 without `tokens`. All go through the products together,
        without gaps; what they leave in the cache ends before the column `_at`."""
        shape, folded, at = self._folded.shape, self._folded, self._at
        first, turning = len(self._starts), shape.heads + shape.kv_heads
        ids = torch.tensor([token for row in rows for token in row])
        places = torch.cat([torch.arange(len(row)) for row in rows])
        stepping = 0
        if tokens is not None:
            stepping, starts = first, torch.tensor(self._starts)
            ids, places = torch.cat([tokens, ids]), torch.cat([at - 1 - starts, places])
            mask = self._gaps(starts)[..., self._low : at] if self._ragged else None
        ends = list(accumulate(map(len, rows), initial=stepping))
        folded.reach(max(at - self._low, *map(len, rows)))
        turn = folded.rotations[places][:, None]  # (M, 1, head / 2)
        wide = self._rows_of(ids)
        x = wide[:, : shape.width]
        for number, (layer, cache) in enumerate(zip(folded.layers, self._cache, strict=True)):
            qkv = _times(self._normed(wide, x), layer.qkv, layer.qkv_bias)
            qkv = qkv.view(len(ids), -1, shape.head)  # (M, H + 2 H_kv, head)
            torch.view_as_complex(qkv.view(*qkv.shape[:2], -1, 2))[:, :turning].mul_(turn)
            queries, pairs = qkv[:, : shape.heads], qkv[:, shape.heads :]
            pairs = pairs.unflatten(1, (2, -1)).transpose(0, 2)  # (H_kv, 2, M, head)
            pairs = pairs.transpose(0, 1)
            last, parts = number == len(folded.layers) - 1, []
            if stepping:
                cache[:, :stepping, :, at - 1] = pairs[:, :, :stepping].transpose(1, 2)
                seen = cache[:, :stepping, :, self._low : at].flatten(1, 2)
                parts.append(self._attended(queries[:stepping], seen, mask))
            for row, (begin, end) in enumerate(pairwise(ends), first):
                seen = pairs[:, :, begin:end]
                cache[:, row, :, at - (end - begin) : at] = seen
                # Of the last layer nothing is read but what follows the last token of each row.
                asking = queries[end - 1 if last else begin : end].transpose(0, 1)
                keys, values = seen[:, None]
                mixed = torch.nn.functional.scaled_dot_product_attention(
                    asking[None],
                    keys,
                    values,
                    is_causal=not last,
                    scale=1.0,
                    enable_gqa=shape.heads != shape.kv_heads,
                )
                parts.append(mixed[0].transpose(0, 1).flatten(1))
            if last:
                wide = wide[[*range(stepping), *(end - 1 for end in ends[1:])]]
                x = wide[:, : shape.width]
            x += _times(torch.cat(parts), layer.out, layer.out_bias)
            gate, up = _times(self._normed(wide, x), layer.gate_up, layer.gate_up_bias).chunk(2, -1)
            x += _times(torch.nn.functional.silu(gate) * up, layer.down, layer.down_bias)
        return wide

    def _attended(
        self, queries: torch.Tensor, seen: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """What queries (B, H, head) find among keys and values (2, B · H_kv, S, head), (B, H · head)."""
        keys, values = seen
        queries = queries.reshape(len(keys), -1, self._folded.shape.head)
        scores = torch.bmm(queries, keys.transpose(-1, -2))
        if mask is not None:
            scores.view(len(mask), -1, mask.shape[-1]).add_(mask)
        return torch.bmm(torch.softmax(scores, -1), values).view(
            len(keys) // self._folded.shape.kv_heads, -1
        )

    def _gaps(self, starts: torch.Tensor) -> torch.Tensor:
        """-inf where a row has no token, (B, 1, S)."""
        gaps = torch.arange(self._cache.shape[4])[None] < starts[:, None]
        return torch.zeros(gaps.shape).masked_fill_(gaps, -torch.inf)[:, None]

    def keep(self, rows: Sequence[int]) -> None:
        moved = [(to, row) for to, row in enumerate(rows) if to != row]
        if len(rows) > self._cache.shape[2]:
            have = self._cache.shape
            more = torch.zeros(*have[:2], len(rows) - have[2], *have[3:])
            self._cache = torch.cat([self._cache, more], dim=2)
        if moved:
            columns = slice(self._low, self._at)
            to, source = (torch.tensor(some) for some in zip(*moved, strict=True))
            self._cache[:, :, to, :, columns] = self._cache[:, :, source, :, columns]
        self._starts = [self._starts[row] for row in rows]
        self._settle()

    def _settle(self) -> None:
        self._low = min(self._starts, default=self._at)
        self._ragged = max(self._starts, default=self._at) > self._low
        self._stale = True

    # -- reading many tokens ----------------------------------------------------------------------

    def extend(self, tokens: torch.Tensor) -> torch.Tensor:
        self._reach(tokens.shape[1])
        hidden = self._read(tokens)
        self._at += tokens.shape[1]
        self._stale = True
        return self._logits(hidden)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        """Hidden states (B, T, D + padding) of tokens (B, T) that go to the next columns, and the keys
        and values of which go into the cache."""
        shape, folded = self._folded.shape, self._folded
        count, length = ids.shape
        column, low = self._at, self._low
        end = column + length
        begun = torch.tensor(self._starts)[:, None]
        places = torch.arange(column, end)[None] - begun  # (B, T)
        folded.reach(end - low)
        turn = folded.rotations[places][:, :, None]  # (B, T, 1, head / 2)
        columns = torch.arange(low, end)
        seen = (columns[None, None] >= begun[..., None]) & (
            columns[None, None] <= torch.arange(column, end)[None, :, None]
        )
        mask = torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf)  # (B, T, S)
        groups = shape.heads // shape.kv_heads
        wide = self._rows_of(ids.reshape(-1))
        x = wide[:, : shape.width]
        cut = (shape.heads, shape.kv_heads, shape.kv_heads)
        for layer, cache in zip(folded.layers, self._cache[:, :, :count], strict=True):
            qkv = _times(self._normed(wide, x), layer.qkv, layer.qkv_bias)
            q, k, v = qkv.view(count, length, sum(cut), shape.head).split(cut, dim=2)
            cache[0, :, :, column:end] = _turned(k, turn).transpose(1, 2)
            cache[1, :, :, column:end] = v.transpose(1, 2)
            queries = _turned(q, turn).view(count, length, shape.kv_heads, groups, shape.head)
            queries = queries.permute(0, 2, 3, 1, 4)  # (B, H_kv, G, T, head)
            keys, values = cache[:, :, :, None, low:end]
            scores = queries @ keys.transpose(-1, -2) + mask[:, None, None]
            mixed = scores.softmax(-1) @ values  # (B, H_kv, G, T, head)
            mixed = mixed.permute(0, 3, 1, 2, 4).reshape(count * length, -1)
            x += _times(mixed, layer.out, layer.out_bias)
            gate, up = _times(self._normed(wide, x), layer.gate_up, layer.gate_up_bias).chunk(2, -1)
            x += _times(torch.nn.functional.silu(gate) * up, layer.down, layer.down_bias)
        return wide.view(count, length, -1)

    def _rows_of(self, ids: torch.Tensor) -> torch.Tensor:
        """The residual stream of tokens, with the norms' constant beside it."""
        width = self._folded.shape.width
        wide = torch.zeros(len(ids), -(-(width + 1) // ALIGNED) * ALIGNED)
        wide[:, :width] = self._folded.embedding[ids]
        wide[:, width] = self._folded.floor
        return wide

    @staticmethod
    def _normed(wide: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        length: torch.Tensor = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        return x / length

    def _logits(self, wide: torch.Tensor) -> torch.Tensor:
        x = wide[..., : self._folded.shape.width]
        logits: torch.Tensor = self._normed(wide, x) @ self._folded.head
        return logits

    # -- reading one token ------------------------------------------------------------------------

    def _reach(self, length: int) -> None:
        """Makes `length` more columns free: first those that nobody looks at, then new ones."""
        have = self._cache.shape
        if self._at + length <= have[4]:
            return
        there = len(self._starts)
        live = self._cache[:, :, :there, :, self._low : self._at].clone()
        used = self._at - self._low
        if used + length > have[4] - ROOM // 2:
            self._cache = torch.zeros(*have[:4], used + length + max(ROOM, used), have[5])
        self._cache[:, :, :there, :, :used] = live
        self._starts = [start - self._low for start in self._starts]
        self._at = used
        self._settle()

    def _prepare(self) -> None:
        """Everything of a step that stays as it is while the same rows go on."""
        shape, count = self._folded.shape, len(self._starts)
        cut = shape.heads + 2 * shape.kv_heads
        starts = torch.tensor(self._starts)
        self._places = self._at - starts
        if self._ragged:
            self._mask = self._gaps(starts)
        self._qkv = torch.empty(count, cut * shape.head)
        pairs = torch.view_as_complex(self._qkv.view(count, cut, shape.head // 2, 2))
        self._q, self._k, _ = pairs.split((shape.heads, shape.kv_heads, shape.kv_heads), dim=1)
        self._v = self._qkv.view(count, cut, shape.head)[:, -shape.kv_heads :]
        self._turned = torch.empty(self._q.shape, dtype=torch.complex64)
        self._queries = torch.view_as_real(self._turned).view(
            count * shape.kv_heads, shape.heads // shape.kv_heads, shape.head
        )
        self._wide = self._rows_of(torch.zeros(count, dtype=torch.long))
        self._x = self._wide[:, : shape.width]
        self._norm = torch.empty(count, 1)
        self._unit = torch.empty(count, shape.width)
        self._gates = torch.empty(count, 2 * shape.hidden)
        self._gate, self._up = self._gates.chunk(2, -1)
        self._hidden = torch.empty(count, shape.hidden)
        self._whole = torch.view_as_complex(
            self._cache.view(*self._cache.shape[:-1], shape.head // 2, 2)
        )[:, 0, :count]
        self._stale = False

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        self._reach(1)
        if self._stale:
            self._prepare()
        folded, shape = self._folded, self._folded.shape
        count, at = len(self._starts), self._at
        self._x.copy_(folded.embedding.index_select(0, tokens))
        folded.reach(at + 1 - self._low)
        turn = folded.rotations.index_select(0, self._places)[:, None]
        spans = self._cache[:, :, :count, :, self._low : at + 1]
        new_k = self._whole[:, :, :, at].unbind()
        new_v = self._cache[:, 1, :count, :, at].unbind()
        spans = spans.flatten(2, 3)
        keys, values = spans[:, 0].transpose(-1, -2).unbind(), spans[:, 1].unbind()
        mask = self._mask[..., self._low : at + 1] if self._ragged else None
        for index, layer in enumerate(folded.layers):
            self._into(self._qkv, layer.qkv, layer.qkv_bias)
            torch.mul(self._q, turn, out=self._turned)
            torch.mul(self._k, turn, out=new_k[index])
            new_v[index].copy_(self._v)
            scores = torch.bmm(self._queries, keys[index])
            if mask is not None:
                scores.view(count, shape.heads, -1).add_(mask)
            mixed = torch.bmm(torch.softmax(scores, -1), values[index]).view(count, -1)
            self._x.addmm_(mixed, layer.out)
            if layer.out_bias is not None:
                self._x.add_(layer.out_bias)
            self._into(self._gates, layer.gate_up, layer.gate_up_bias)
            torch.mul(torch.nn.functional.silu(self._gate), self._up, out=self._hidden)
            self._x.addmm_(self._hidden, layer.down)
            if layer.down_bias is not None:
                self._x.add_(layer.down_bias)
        self._at += 1
        self._places += 1
        self._unitize()
        return torch.mm(self._unit, folded.head)

    def _into(self, out: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._unitize()
        if bias is None:
            torch.mm(self._unit, weight, out=out)
        else:
            torch.addmm(bias, self._unit, weight, out=out)

    def _unitize(self) -> None:
        torch.linalg.vector_norm(self._wide, dim=-1, keepdim=True, out=self._norm)
        torch.div(self._x, self._norm, out=self._unit)


def _times(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return x @ weight if bias is None else torch.addmm(bias, x, weight)


def _turned(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Rotates (N, T, H, head) by the complex numbers (N, T, 1, head / 2)."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turn).flatten(-2)
