"""Ancestral sampling of all paths of some requests at once (arXiv:1704.04110, section 3).

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
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from sm_dl.algorithms.deepar.draws import (
    MIN_COLUMNS,
    Draw,
    Portion,
    noises_of,
    paths_at_once,
    runs_of,
    spread,
    sweeps,
)
from sm_dl.algorithms.deepar.network import DeepARNetwork
from sm_dl.algorithms.deepar.windows import Windows


def sample_paths(
    network: DeepARNetwork,
    windows: Windows,
    num_context: int,
    num_samples: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return sample paths, shape (B, num_samples, Q), in the data's units; see `sample_draws`."""
    draw = Draw(windows.cat_BC.shape[0], num_samples, generator)
    return sample_draws(network, windows, num_context, [draw])[0]


@torch.no_grad()
def sample_draws(
    network: DeepARNetwork, windows: Windows, num_context: int, draws: Sequence[Draw]
) -> list[Tensor]:
    """Return the sample paths of each draw, shape (series, samples, Q), in the data's units.

    A draw gets the same paths alone and beside others: its noise comes from its own generator in
    the same portions, and no number of one column depends on its neighbours.

    Args:
        network: In evaluation mode.
        windows: Context and Q steps ahead; targets of those steps are never read.
        num_context: Steps before the forecast.
        draws: Of the windows' series, in order.
    """
    start = _start(network, windows, num_context, draws)
    parts: list[list[Tensor]] = [[] for _ in draws]
    for sweep in sweeps(draws, paths_at_once(start.scale_B.device)):
        for portion, paths in zip(sweep, _sweep(network, start, sweep), strict=True):
            parts[portion.draw_index].append(paths)
    return [
        torch.cat(some) if some else start.scale_B.new_zeros(0, draw.num_samples, start.num_ahead)
        for some, draw in zip(parts, draws, strict=True)
    ]


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


def _start(
    network: DeepARNetwork, windows: Windows, num_context: int, draws: Sequence[Draw]
) -> _Start:
    scale_B = _scale(network, windows, num_context, draws)
    if 0 < len(scale_B) < MIN_COLUMNS:
        repeated_B = torch.arange(MIN_COLUMNS, device=scale_B.device) % len(scale_B)
        windows, scale_B = _picked(windows, repeated_B), scale_B[repeated_B]
    inputs_TBI = network.inputs(_without_future(windows, num_context), scale_B)
    states = []
    hidden = inputs_TBI[:num_context]
    for index, layer in enumerate(network.recurrent_layers()):
        output, (h, c) = layer.with_state(hidden)
        states.append((h.T, c.T))
        hidden = output + hidden if index else output
    first, ahead_QBI = network.recurrent_layers()[0], inputs_TBI[num_context:]
    gates_QBG = linear(ahead_QBI, first.input_weight(), first.bias_ih_l0 + first.bias_hh_l0)
    raw_QBP = linear(ahead_QBI, _two_rows(network.shortcut.weight), _two_rows(network.output.bias))
    return _Start(scale_B, states, gates_QBG.transpose(1, 2), raw_QBP.transpose(1, 2))


def _scale(
    network: DeepARNetwork, windows: Windows, num_context: int, draws: Sequence[Draw]
) -> Tensor:
    """Return the scale of each series, for each draw as if it were alone.

    A series without a history takes the mean of its draw. A sum over steps is added up in an order
    that depends on how many columns there are: the last digits would differ, too.
    """
    scales = []
    first = 0
    for draw in draws:
        part = slice(first, first + draw.num_series)
        target_SB = windows.target_SB[:, part].contiguous()
        observed_SB = windows.observed_SB[:, part].contiguous()
        own = windows._replace(target_SB=target_SB, observed_SB=observed_SB)
        scales.append(network.scale(own, num_context))
        first = part.stop
    return torch.cat(scales)


def _picked(windows: Windows, series_B: Tensor) -> Windows:
    columns = {
        name: values[:, series_B] for name, values in windows._asdict().items() if name != "cat_BC"
    }
    return Windows(**columns, cat_BC=windows.cat_BC[series_B])


def _without_future(windows: Windows, num_context: int) -> Windows:
    """Return the windows as sampling sees them: values ahead are 0, to be added path by path."""
    ahead = len(windows.target_SB) - windows.num_steps + num_context
    target_SB, gap_SB = windows.target_SB.clone(), windows.gap_SB.clone()
    target_SB[ahead:] = 0.0
    gap_SB[ahead:] = 0.0
    return windows._replace(target_SB=target_SB, gap_SB=gap_SB)


def _sweep(network: DeepARNetwork, start: _Start, sweep: Sequence[Portion]) -> list[Tensor]:
    """Return the paths of each portion, shape (series, samples, Q)."""
    layers, lags = network.recurrent_layers(), network.shape.lags
    num_paths, noises = sum(one.num_paths for one in sweep), noises_of(sweep)
    runs = runs_of(sweep, network.shape.num_cells)
    scale_N = spread(start.scale_B.unsqueeze(0), runs)[0]
    paths_QN = scale_N.new_zeros(start.num_ahead, len(scale_N))
    drawn_QN = torch.empty_like(paths_QN)  # the same, scaled: what the network reads
    hs = [spread(h_HB, runs) for h_HB, _ in start.states]
    cs = [spread(c_HB, runs) for _, c_HB in start.states]

    for step in range(start.num_ahead):
        inside = bisect.bisect_right(lags, step)  # the first so many lags reach into the forecast
        drawn_LN = drawn_QN[[step - lag for lag in lags[:inside]]]
        gates_GN = spread(start.gates_QGB[step], runs)
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
        raw_PN = spread(start.raw_QPB[step], runs)
        raw_PN.addmm_(
            _two_rows(
                torch.cat([network.output.weight, network.shortcut.weight[:, :inside]], dim=1)
            ),
            torch.cat([hidden_HN, drawn_LN]),
        )
        for generator, part in noises:
            paths_QN[step, part] = network.likelihood.sample(
                raw_PN[:, part].T, scale_N[part], generator
            )
        drawn_QN[step] = paths_QN[step] / scale_N
    sizes = [one.num_paths for one in sweep]
    return [
        paths_NQ.reshape(len(one.series), one.draw.num_samples, start.num_ahead)
        for one, paths_NQ in zip(sweep, torch.split(paths_QN.T[:num_paths], sizes), strict=True)
    ]


def _two_rows(weight_PI: Tensor) -> Tensor:
    """Return the weights, the only row twice: a product of one row takes a kernel of its own."""
    return weight_PI if len(weight_PI) > 1 else torch.cat([weight_PI, weight_PI])


def _cell(gates_GN: Tensor, hs: list[Tensor], cs: list[Tensor], index: int) -> Tensor:
    """Advance one layer's state and return its hidden state, shape (H, N)."""
    i, f, g, o = gates_GN.chunk(4)
    cs[index] = f.sigmoid_().mul_(cs[index]).addcmul_(i.sigmoid_(), g.tanh_())
    hs[index] = o.sigmoid_() * torch.tanh(cs[index])
    return hs[index]
