"""Ancestral sampling of all paths of a request at once (arXiv:1704.04110, section 3).

What the paths of a series share is computed once per series: the context, and what the inputs
that do not depend on drawn values (older lags, calendar, statics) give the first layer and the
short cut, for all steps ahead in one product. A path then costs, per step, one product per layer
and one for the output. Lags that fall into the forecast are read from the paths drawn so far,
which are their own ring buffer; history is never rebuilt.

Arrays here are feature-first: gates of N paths are 4H rows of N, so each gate is one contiguous
block and element-wise steps run at memory speed.

Shape letters in this file: Q = steps ahead, B = series, N = paths (series * samples), H = cells,
G = 4 * H gates in torch's order (input, forget, cell, output), I = inputs, L = lags that reach
into the forecast, P = raw numbers of the likelihood.
"""

import bisect
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from sm_dl.algorithms.deepar.network import DeepARNetwork
from sm_dl.algorithms.deepar.windows import Windows

PATHS_AT_ONCE = {"cpu": 4096}
"""Paths of one sweep: on a CPU their gates should stay in the second-level cache."""
PATHS_AT_ONCE_ELSEWHERE = 1 << 18


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
    start = _start(network, windows, num_context)
    paths_at_once = PATHS_AT_ONCE.get(start.scale_B.device.type, PATHS_AT_ONCE_ELSEWHERE)
    series_at_once = max(1, paths_at_once // num_samples)
    parts = [
        _sweep(network, start.of(slice(first, first + series_at_once)), num_samples, generator)
        for first in range(0, len(start.scale_B), series_at_once)
    ]
    return torch.cat(parts) if parts else start.scale_B.new_zeros(0, num_samples, start.num_ahead)


@dataclass(frozen=True)
class _Start:
    """What the paths of a series share: the state after the context, and parts of the steps ahead."""

    scale_B: Tensor
    states: list[tuple[Tensor, Tensor]]
    """h and c of each layer, both of shape (H, B)."""
    gates_QGB: Tensor
    """What known inputs and biases give the first layer's gates."""
    raw_QPB: Tensor
    """What known inputs and biases give the output."""

    @property
    def num_ahead(self) -> int:
        """Return Q."""
        return len(self.gates_QGB)

    def of(self, part: slice) -> "_Start":
        """Return the same for some of the series."""
        return _Start(
            self.scale_B[part],
            [(h[:, part], c[:, part]) for h, c in self.states],
            self.gates_QGB[:, :, part],
            self.raw_QPB[:, :, part],
        )


def _start(network: DeepARNetwork, windows: Windows, num_context: int) -> _Start:
    scale_B = network.scale(windows, num_context)
    inputs_TBI = network.inputs(_without_future(windows, num_context), scale_B)
    states = []
    hidden = inputs_TBI[:num_context]
    for index, layer in enumerate(network.recurrent_layers()):
        output, (h, c) = layer.with_state(hidden)
        states.append((h.T, c.T))
        hidden = output + hidden if index else output
    first, ahead_QBI = network.recurrent_layers()[0], inputs_TBI[num_context:]
    gates_QBG = linear(ahead_QBI, first.input_weight(), first.bias_ih_l0 + first.bias_hh_l0)
    raw_QBP = network.shortcut(ahead_QBI) + network.output.bias
    return _Start(scale_B, states, gates_QBG.transpose(1, 2), raw_QBP.transpose(1, 2))


def _without_future(windows: Windows, num_context: int) -> Windows:
    """Return the windows as sampling sees them: values ahead are 0, to be added path by path."""
    ahead = len(windows.target_SB) - windows.num_steps + num_context
    target_SB, gap_SB = windows.target_SB.clone(), windows.gap_SB.clone()
    target_SB[ahead:] = 0.0
    gap_SB[ahead:] = 0.0
    return windows._replace(target_SB=target_SB, gap_SB=gap_SB)


def _sweep(
    network: DeepARNetwork, start: _Start, num_samples: int, generator: torch.Generator | None
) -> Tensor:
    """Return paths, shape (B, num_samples, Q), of as many series as fit into one sweep."""
    layers, lags = network.recurrent_layers(), network.shape.lags
    scale_N = start.scale_B.repeat_interleave(num_samples)
    paths_QN = scale_N.new_empty(start.num_ahead, len(scale_N))
    drawn_QN = torch.empty_like(paths_QN)  # the same, scaled: what the network reads
    hs = [h.repeat_interleave(num_samples, dim=1) for h, _ in start.states]
    cs = [c.repeat_interleave(num_samples, dim=1) for _, c in start.states]

    for step in range(start.num_ahead):
        inside = bisect.bisect_right(lags, step)  # the first so many lags reach into the forecast
        drawn_LN = drawn_QN[[step - lag for lag in lags[:inside]]]
        gates_GN = start.gates_QGB[step].repeat_interleave(num_samples, dim=1)
        gates_GN.addmm_(
            torch.cat([layers[0].weight_hh_l0, layers[0].weight_ih_l0[:, :inside]], dim=1),
            torch.cat([hs[0], drawn_LN]),
        )
        hidden_HN = _cell(gates_GN, hs, cs, 0)
        for index, layer in enumerate(layers[1:], start=1):
            gates_GN = torch.addmm(
                (layer.bias_ih_l0 + layer.bias_hh_l0).unsqueeze(1),
                torch.cat([layer.input_weight(), layer.weight_hh_l0], dim=1),
                torch.cat([hidden_HN, hs[index]]),
            )
            hidden_HN = _cell(gates_GN, hs, cs, index) + hidden_HN
        raw_PN = start.raw_QPB[step].repeat_interleave(num_samples, dim=1)
        raw_PN.addmm_(
            torch.cat([network.output.weight, network.shortcut.weight[:, :inside]], dim=1),
            torch.cat([hidden_HN, drawn_LN]),
        )
        paths_QN[step] = network.likelihood.sample(raw_PN.T, scale_N, generator)
        drawn_QN[step] = paths_QN[step] / scale_N
    return paths_QN.T.reshape(len(start.scale_B), num_samples, start.num_ahead)


def _cell(gates_GN: Tensor, hs: list[Tensor], cs: list[Tensor], index: int) -> Tensor:
    """Advance one layer's state and return its hidden state, shape (H, N)."""
    i, f, g, o = gates_GN.chunk(4)
    cs[index] = f.sigmoid_().mul_(cs[index]).addcmul_(i.sigmoid_(), g.tanh_())
    hs[index] = o.sigmoid_() * torch.tanh(cs[index])
    return hs[index]
