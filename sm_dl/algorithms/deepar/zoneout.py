"""An LSTM layer with zoneout on its cell state that still runs as one fused kernel.

Zoneout (Krueger et al., 2017, arXiv:1606.01305, equation 4) keeps a random part of the cell
state from the previous step:

    c_t = m_t * c_(t-1) + (1 - m_t) * (f_t * c_(t-1) + i_t * g_t)

Fused kernels (oneDNN, cuDNN) know nothing of it and a step-by-step loop is several times
slower. But m_t = 1 is the same as forcing f_t = 1 and i_t = 0, and a gate is forced by a large
number before its sigmoid. So the layer gets m_t as `hidden_size` further inputs, wired by fixed
weights to the forget gate (+FORCE) and the input gate (-FORCE): the kernel computes zoneout
exactly, and its gradient too, since a saturated sigmoid passes none.

Differs from the service: MXNet's ZoneoutCell, on which the service presumably stands, draws a
second mask for the hidden state h. The paper's own ablation (section 4) finds the cell's mask the
one that matters. As in MXNet, nothing is rescaled outside training.

Shape letters in this file: T = steps, B = series of a batch, I = inputs, H = cells, G = 4 * H.
"""

import math

import torch
from torch import Tensor, nn

FORCE = 40.0
"""A sigmoid is 1 to float32's last bit at 17; the rest drowns the gate's own activation."""


class ZoneoutLSTM(nn.LSTM):
    """One recurrent layer; states start at zero."""

    weight_ih_l0: nn.Parameter
    weight_hh_l0: nn.Parameter
    bias_ih_l0: nn.Parameter
    bias_hh_l0: nn.Parameter

    def __init__(self, input_size: int, hidden_size: int, rate: float) -> None:
        """Build the layer.

        Args:
            input_size: I.
            hidden_size: H.
            rate: Chance that a cell keeps its previous state at a step, in [0, 1].
        """
        self.rate = rate
        self.num_inputs = input_size
        super().__init__(input_size + (hidden_size if rate else 0), hidden_size)
        if rate:
            self.weight_ih_l0.register_hook(self._leave_wires)  # type: ignore[no-untyped-call]

    def reset_parameters(self) -> None:
        """Draw weights, open the forget gates, and wire the masks.

        Each gate's input weights are Xavier uniform and its recurrent weights orthogonal (Saxe et
        al., 2014): an epoch of a small data set is ten updates, and torch's own small weights
        lose many of them.
        """
        size = self.hidden_size
        with torch.no_grad():
            for gate in range(4):
                rows = slice(gate * size, (gate + 1) * size)
                nn.init.xavier_uniform_(self.input_weight()[rows])
                nn.init.orthogonal_(self.weight_hh_l0[rows])
            self.bias_hh_l0.zero_()
            self.bias_ih_l0.zero_()
            self.bias_ih_l0[size : 2 * size] = 1.0  # remember at first (Jozefowicz et al., 2015)
            if self.rate:
                wires = torch.eye(size) * FORCE
                self.weight_ih_l0[:, self.num_inputs :] = 0.0
                self.weight_ih_l0[:size, self.num_inputs :] = -wires
                self.weight_ih_l0[size : 2 * size, self.num_inputs :] = wires

    def forward(self, inputs_TBI: Tensor) -> Tensor:  # type: ignore[override]
        """Return the hidden states, shape (T, B, H), of inputs, shape (T, B, I)."""
        return self.with_state(inputs_TBI)[0]

    def with_state(self, inputs_TBI: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the hidden states and the last step's h and c, both of shape (B, H)."""
        if self.rate:
            shape = (*inputs_TBI.shape[:2], self.hidden_size)
            mask_TBH = (
                self._mask(shape, inputs_TBI) if self.training else inputs_TBI.new_zeros(shape)
            )
            inputs_TBI = torch.cat([inputs_TBI, mask_TBH], dim=-1)
        hidden_TBH, (h_1BH, c_1BH) = super().forward(inputs_TBI)
        return hidden_TBH, (h_1BH[0], c_1BH[0])

    def input_weight(self) -> Tensor:
        """Return the weights of the inputs proper, shape (G, I), without the wires."""
        return self.weight_ih_l0[:, : self.num_inputs]

    def _mask(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return random zeros and ones, each 1 with chance `rate` (to 1 / 65536).

        Four draws from each 64-bit random number: `bernoulli_` alone took a tenth of a step.
        """
        threshold = round(self.rate * 65536) - 32768
        if threshold > torch.iinfo(torch.int16).max:  # rate 1 is beyond the range of the draws
            return like.new_ones(shape)
        count = math.prod(shape)
        words = torch.empty((count + 3) // 4, dtype=torch.int64, device=like.device)
        draws = words.random_(torch.iinfo(torch.int64).min, None).view(torch.int16)[:count]
        return torch.lt(draws, threshold, out=like.new_empty(count)).view(shape)

    def _leave_wires(self, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient[:, self.num_inputs :] = 0.0
        return gradient
