"""Ancestral sampling of all paths of a request at once (arXiv:1704.04110, section 3).

What the paths of a series share is computed once per series: the context, and the part of the
first layer's input that does not depend on drawn values (older lags, calendar, statics) for all
steps ahead in one product. A path then costs, per step, one product per layer. Lags that fall
into the forecast are read from the paths drawn so far, which are their own ring buffer; history
is never rebuilt.

Arrays here are feature-first: gates of N paths are 4H rows of N, so each gate is one contiguous
block and element-wise steps run at memory speed.

Shape letters in this file: Q = steps ahead, B = series, N = paths (series * samples), H = cells,
G = 4 * H gates in torch's order (input, forget, cell, output), I = inputs, L = lags.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sm_dl.algorithms.deepar.network import DeepARNetwork
from sm_dl.algorithms.deepar.windows import Windows

PATHS_AT_ONCE = {"cpu": 4096}
"""Paths of one sweep: on a CPU their gates should stay in the second-level cache."""
PATHS_AT_ONCE_ELSEWHERE = 1 << 18


@dataclass(frozen=True)
class _Layer:
    """Weights of one layer as the sampler uses them."""

    input_GI: Tensor
    recurrent_GH: Tensor
    bias_G: Tensor


@torch.no_grad()
def sample_paths(
    network: DeepARNetwork,
    windows: Windows,
    num_context: int,
    num_samples: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return sample paths, shape (B, num_samples, Q), in the data's units.

    Args:
        network: In evaluation mode.
        windows: Context and Q steps ahead; targets of those steps are never read.
        num_context: Steps before the forecast.
        num_samples: Paths per series.
        generator: Of the windows' device; the same state gives the same paths.
    """
    scale_B = network.scale(windows, num_context)
    inputs_TBI = network.inputs(_without_future(windows, num_context), scale_B)
    states = _encode(network, inputs_TBI[:num_context])
    layers = [
        _Layer(
            layer.weight_ih_l0[:, : layer.num_inputs],
            layer.weight_hh_l0,
            layer.bias_ih_l0 + layer.bias_hh_l0,
        )
        for layer in network.recurrent_layers()
    ]
    shared_QGB = (inputs_TBI[num_context:] @ layers[0].input_GI.T + layers[0].bias_G).transpose(
        1, 2
    )

    paths_at_once = PATHS_AT_ONCE.get(scale_B.device.type, PATHS_AT_ONCE_ELSEWHERE)
    series_at_once = max(1, paths_at_once // num_samples)
    parts = [
        _sweep(
            network,
            layers,
            shared_QGB[:, :, part],
            [(h[:, part], c[:, part]) for h, c in states],
            scale_B[part],
            num_samples,
            generator,
        )
        for first in range(0, len(scale_B), series_at_once)
        for part in [slice(first, first + series_at_once)]
    ]
    return torch.cat(parts) if parts else scale_B.new_zeros(0, num_samples, len(shared_QGB))


def _without_future(windows: Windows, num_context: int) -> Windows:
    """Return the windows as sampling sees them: values ahead are 0, to be added path by path."""
    ahead = len(windows.target_SB) - windows.num_steps + num_context
    target_SB, gap_SB = windows.target_SB.clone(), windows.gap_SB.clone()
    target_SB[ahead:] = 0.0
    gap_SB[ahead:] = 0.0
    return replace(windows, target_SB=target_SB, gap_SB=gap_SB)


def _encode(network: DeepARNetwork, inputs_TBI: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return each layer's (h, c) after the context, both of shape (H, B)."""
    states = []
    hidden = inputs_TBI
    for index, layer in enumerate(network.recurrent_layers()):
        output, (h, c) = layer.with_state(hidden)
        states.append((h.T, c.T))
        hidden = output + hidden if index else output
    return states


def _sweep(
    network: DeepARNetwork,
    layers: list[_Layer],
    shared_QGB: Tensor,
    states: list[tuple[Tensor, Tensor]],
    scale_B: Tensor,
    num_samples: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Return paths, shape (B, num_samples, Q), of as many series as fit into one sweep."""
    num_ahead, _, batch = shared_QGB.shape
    lags = network.shape.lags
    lag_GL = layers[0].input_GI[:, : len(lags)]
    scale_N = scale_B.repeat_interleave(num_samples)
    drawn_QN = scale_B.new_empty(num_ahead, len(scale_N))
    hs = [h.repeat_interleave(num_samples, dim=1) for h, _ in states]
    cs = [c.repeat_interleave(num_samples, dim=1) for _, c in states]

    for step in range(num_ahead):
        inside = [index for index, lag in enumerate(lags) if lag <= step]  # lags into the forecast
        rows = [drawn_QN[step - lags[index]] for index in inside]
        gates_GN = shared_QGB[step].repeat_interleave(num_samples, dim=1)
        gates_GN.addmm_(
            torch.cat([layers[0].recurrent_GH, lag_GL[:, inside]], dim=1),
            torch.cat([hs[0], torch.stack(rows)]) if rows else hs[0],
        )
        hidden_HN = _cell(gates_GN, hs, cs, 0)
        for index, layer in enumerate(layers[1:], start=1):
            gates_GN = torch.addmm(
                layer.bias_G.unsqueeze(1),
                torch.cat([layer.input_GI, layer.recurrent_GH], dim=1),
                torch.cat([hidden_HN, hs[index]]),
            )
            hidden_HN = _cell(gates_GN, hs, cs, index) + hidden_HN
        raw_NP = torch.addmm(network.output.bias.unsqueeze(1), network.output.weight, hidden_HN).T
        draw_N = network.likelihood.sample(raw_NP, scale_N, generator)
        drawn_QN[step] = draw_N / scale_N
    paths_QN = drawn_QN * scale_N
    return paths_QN.T.reshape(batch, num_samples, num_ahead)


def _cell(gates_GN: Tensor, hs: list[Tensor], cs: list[Tensor], index: int) -> Tensor:
    """Advance one layer's state and return its hidden state, shape (H, N)."""
    i, f, g, o = gates_GN.chunk(4)
    cs[index] = f.sigmoid_().mul_(cs[index]).addcmul_(i.sigmoid_(), g.tanh_())
    hs[index] = o.sigmoid_() * torch.tanh(cs[index])
    return hs[index]
