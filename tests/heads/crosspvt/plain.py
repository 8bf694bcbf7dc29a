"""The network's blocks once more, from the specification alone: numpy, one photo, loops and explicit indices."""

import math

import numpy as np


class Weights:
    """A module's parameters by name, as float64."""

    def __init__(self, module):
        self.values = {name: value.detach().double().numpy() for name, value in module.state_dict().items()}

    def __getitem__(self, name):
        return self.values[name]

    def below(self, prefix):
        inner = Weights.__new__(Weights)
        inner.values = {n.removeprefix(prefix + "."): v for n, v in self.values.items() if n.startswith(prefix + ".")}
        return inner


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def layer_norm(w, name, x):
    out = np.empty_like(x)
    for i, token in enumerate(x):
        out[i] = (token - token.mean()) / math.sqrt(token.var() + 1e-5)
    return out * w[f"{name}.weight"] + w[f"{name}.bias"]


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def feed_forward(w, name, x):
    return linear(w, f"{name}.3", gelu(linear(w, f"{name}.0", x)))


def attend(query, key, value, heads):
    """Scaled dot products, a head and a query at a time."""
    size = query.shape[1] // heads
    out = np.empty_like(query)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(len(query)):
            dots = np.array([query[i, part] @ key[j, part] for j in range(len(key))]) / math.sqrt(size)
            share = np.exp(dots - dots.max())
            out[i, part] = sum(s * value[j, part] for j, s in enumerate(share / share.sum()))
    return out


def attention(w, name, queries, tokens, heads):
    width = queries.shape[1]
    projections = [
        (
            w[f"{name}.in_proj_weight"][n * width : (n + 1) * width],
            w[f"{name}.in_proj_bias"][n * width : (n + 1) * width],
        )
        for n in range(3)
    ]
    query, key, value = (x @ p.T + b for x, (p, b) in zip((queries, tokens, tokens), projections, strict=True))
    return linear(w, f"{name}.out_proj", attend(query, key, value, heads))


def attention_block(w, x, heads):
    normed = layer_norm(w, "norm1", x)
    x = x + attention(w, "attention", normed, normed, heads)
    return x + feed_forward(w, "feed_forward", layer_norm(w, "norm2", x))


def gated_convolution_block(w, x, kernel):
    y = layer_norm(w, "norm", x)
    y = y * sigmoid(linear(w, "gate", y))
    heard = np.tile(w["along.bias"], (len(x), 1))
    for i in range(len(x)):
        for tap in range(kernel):
            j = i + tap - kernel // 2
            if 0 <= j < len(x):
                heard[i] += w["along.weight"][:, 0, tap] * y[j]
    return x + linear(w, "out", heard)


def spatial_reduction_block(w, grid, heads, step):
    rows, columns, width = grid.shape
    flat = grid.reshape(-1, width)
    normed = layer_norm(w, "norm1", flat)
    on_grid = normed.reshape(rows, columns, width)
    reduced = []
    for r in range(rows // step):
        for c in range(columns // step):
            total = w["reduce.bias"].copy()
            for i in range(step):
                for j in range(step):
                    total += w["reduce.weight"][:, :, i, j] @ on_grid[r * step + i, c * step + j]
            reduced.append(total)
    key_value = linear(w, "key_value", layer_norm(w, "norm_reduced", np.array(reduced)))
    taken = attend(linear(w, "query", normed), key_value[:, :width], key_value[:, width:], heads)
    flat = flat + linear(w, "out", taken)
    return (flat + feed_forward(w, "feed_forward", layer_norm(w, "norm2", flat))).reshape(grid.shape)


def retokenize(w, tiles):
    for block in range(2):
        tiles = attention_block(w.below(f"blocks.{block}"), tiles, 6)
    quarters = [[(2 * r + i) * 4 + 2 * c + j for i in range(2) for j in range(2)] for r in range(2) for c in range(2)]
    return np.stack([tiles[quarter].mean(0) for quarter in quarters])


def fuse(w, small, big):
    zero = np.zeros((1, small.shape[1]))
    small, big = np.concatenate([zero, small]), np.concatenate([zero, big])
    for number in range(2):
        layer = w.below(f"layers.{number}")
        small = attention_block(layer.below("small_block"), small, 6)
        big = attention_block(layer.below("big_block"), big, 6)
        q_small, q_big = layer_norm(w, "norm_small", small[:1]), layer_norm(w, "norm_big", big[:1])
        update_small = attention(layer, "small_asks", q_small, np.concatenate([big, q_big]), 6)
        update_big = attention(layer, "big_asks", q_big, np.concatenate([small, q_small]), 6)
        small, big = small.copy(), big.copy()
        small[0] += update_small[0]
        big[0] += update_big[0]
    return np.stack([small[0], big[0], *small[1:], *big[1:]])


def resize(grid, rows, columns):
    """Bilinear, pixel centres at halves, edges held."""

    def taps(old, new):
        for i in range(new):
            at = max((i + 0.5) * old / new - 0.5, 0)
            low = min(int(at), old - 1)
            yield low, min(low + 1, old - 1), at - low

    out = np.empty((rows, columns, grid.shape[2]))
    for r, (top, bottom, down) in enumerate(taps(grid.shape[0], rows)):
        for c, (left, right, across) in enumerate(taps(grid.shape[1], columns)):
            upper = grid[top, left] * (1 - across) + grid[top, right] * across
            lower = grid[bottom, left] * (1 - across) + grid[bottom, right] * across
            out[r, c] = upper * (1 - down) + lower * down
    return out


def mobile_vit(w, grid):
    rows, columns, _ = grid.shape
    near = np.empty_like(grid)
    for r in range(rows):
        for c in range(columns):
            total = w["near.0.bias"].copy()
            for i in range(-1, 2):
                for j in range(-1, 2):
                    if 0 <= r + i < rows and 0 <= c + j < columns:
                        total += w["near.0.weight"][:, 0, i + 1, j + 1] * grid[r + i, c + j]
            near[r, c] = gelu(w["near.1.weight"][:, :, 0, 0] @ total + w["near.1.bias"])
    whole = resize(near, 4, 4)
    places = [(2 * r + i, 2 * c + j) for r in range(2) for c in range(2) for i in range(2) for j in range(2)]
    sequence = np.stack([whole[place] for place in places])
    for block in range(2):
        sequence = attention_block(w.below(f"far.{block}"), sequence, 4)
    for place, token in zip(places, sequence, strict=True):
        whole[place] = token
    both = np.concatenate([grid, resize(whole, rows, columns)], axis=2)
    return both @ w["join.weight"][:, :, 0, 0].T + w["join.bias"]


def mix(w, tokens, keep_padding):
    entered = linear(w, "enter1", tokens)
    grid = np.concatenate([entered, np.zeros((2, entered.shape[1]))]).reshape(3, 4, -1)
    first = mobile_vit(w.below("local"), grid).reshape(12, -1)[:10]
    wide = linear(w, "enter2", first)
    few = np.stack([wide[i] + (wide[2 * i] + wide[2 * i + 1]) / 2 for i in range(5)])
    grid = np.concatenate([few, np.zeros((1, few.shape[1]))]).reshape(2, 3, -1)
    second = spatial_reduction_block(w.below("reduce"), grid, 8, 2).reshape(6, -1)
    second = gated_convolution_block(w.below("along2"), second if keep_padding else second[:5], 5)
    third = linear(w, "enter3", second)
    pair = np.stack([third.mean(0), third.max(0)])
    for block in range(3):
        pair = gated_convolution_block(w.below(f"along3.{block}"), pair, 5)
    return attention_block(w.below("last"), pair, 8).mean(0), second


def softplus(x):
    return np.log1p(np.exp(x))


def whole(w, tiles, keep_padding):
    """Components (clover, dead, green as the heads stand), auxiliary and rank of one photo's 40 tiles."""
    vectors, middles = [], []
    for start in (0, 20):
        small = retokenize(w.below("retokenizer"), tiles[start : start + 16])
        vector, middle = mix(
            w.below("mixer"), fuse(w.below("fusion"), small, tiles[start + 16 : start + 20]), keep_padding
        )
        vectors.append(vector)
        middles.append(middle)
    left, right = vectors
    merged = np.concatenate(
        [left * sigmoid(linear(w, "gate_left", right)), right * sigmoid(linear(w, "gate_right", left))]
    )
    components = [softplus(linear(w, f"heads.{h}.3", gelu(linear(w, f"heads.{h}.0", merged))))[0] for h in range(3)]
    middle = np.concatenate(middles).mean(0, keepdims=True)
    auxiliary = softplus(linear(w, "auxiliary.1", layer_norm(w, "auxiliary.0", middle)))[0]
    rank = linear(w, "rank.1", layer_norm(w, "rank.0", merged[None]))[0, 0]
    return np.array(components), auxiliary, rank
