"""A circuit that concatenates short learned patterns into longer sequences, by choosing at each end what comes next."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from restore.cells.base import uniform
from restore.cells.rflo_learning import RFLONetwork
from restore.errors import UsageError

__all__ = ["SequenceCircuit"]


class SequenceCircuit(nn.Module):
    """K short patterns in one recurrent network, and a selector that strings them together.

    The network hears which pattern to play as a tonic cue, `strength` times the one-hot s in R^K, and plays it for its
    length. When a pattern ends, the selector units read the state h and the largest one sets the cue of what follows:

        s = onehot(argmax_k (P h)_k)

    The patterns are learned by the local rule of `RFLO`, with random feedback; the transitions by the delta rule

        P <- P + rate (s* - P h) h^T / |h|^2

    h is not reset between patterns, in learning or in playing: the order is in P alone.

    doi:10.7554/eLife.43299 says that an augmented circuit lets its network concatenate short patterns into longer
    sequences. This is a re-creation of that idea; how the paper's own circuit is made up could not be read.

    Args:
        network: with K inputs; its cell built with learning_rule "rflo".
        patterns: what to play, (K, T, outputs), K at least 2.
        strength: of the cue; enough to let the network forget which pattern went before.

    Raises UsageError where the network does not fit the patterns, or its cell would learn by backpropagation.
    """

    patterns: Tensor
    P: Tensor

    def __init__(self, network: RFLONetwork, patterns: Tensor, *, strength: float = 20.0) -> None:
        super().__init__()
        count, self.length, outputs = patterns.shape
        expected, given = (count, outputs), (network.input.in_features, len(network.readout.weight))
        if given != expected:
            raise UsageError(f"these patterns need a network with {expected} inputs and outputs, got {given}.")
        if count < 2:
            raise UsageError(f"a sequence needs at least 2 patterns to choose from, got {count}.")
        if network.cell.learning_rule != "rflo":
            raise UsageError('the circuit learns by the local rule: build its cell with learning_rule="rflo".')
        self.network = network
        self.strength = strength
        self.register_buffer("patterns", patterns.to(network.cell.W.detach()))
        self.register_buffer("P", network.cell.W.detach().new_zeros(count, network.cell.size))

    def practise(self, rounds: int, rate: float, generator: torch.Generator | None = None) -> list[float]:
        """Learn the patterns by RFLO and return the mean squared error of every round.

        A round plays each pattern after the initial state and after every other pattern, from a state in which that one
        ended the round before, drawn at random; all K^2 side by side. Adam takes the local gradients of W and W_out, at
        a rate that falls linearly to 0; W_in stays.

        Raises UsageError where the error is no longer finite.
        """
        count = len(self.patterns)
        optimiser = torch.optim.Adam([self.network.cell.W, self.network.readout.weight], lr=rate)
        # starts[j, i] is where pattern j begins after pattern i; the initial state takes the place of i = j.
        initial = self.network.cell.initial((count, 1))
        diagonal = torch.eye(count, dtype=torch.bool, device=self.P.device).unsqueeze(-1)
        ends = self.network.cell.initial((count,))
        playing = torch.arange(count).unsqueeze(-1).expand(count, count)
        targets = self.patterns.transpose(0, 1).unsqueeze(2)
        errors = []
        for round_ in range(rounds):
            optimiser.param_groups[0]["lr"] = rate * (1 - round_ / rounds)
            starts = torch.where(diagonal, initial, ends)
            outputs, states = self.network(self._cues(playing), starts)
            squared = (targets - outputs).square()
            loss = squared.sum(dim=-1).mean() / 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            drawn = (count * uniform((count,), 0, 1, generator)).long()
            ends = states.detach()[torch.arange(count), drawn]
            errors.append(float(squared.detach().mean()))
            if not errors[-1] < float("inf"):
                raise UsageError(f"the error is no longer finite at a rate of {rate}: choose a lower one.")
        return errors

    @torch.no_grad()
    def learn_order(self, successors: Sequence[int], *, rounds: int = 50, rate: float = 0.5) -> None:
        """Learn by the delta rule that pattern i is followed by pattern `successors[i]`.

        Each round plays every pattern from where its predecessor ended the round before.

        Raises UsageError where `successors` does not name another pattern for each.
        """
        count = len(self.patterns)
        allowed = all(0 <= after < count and after != before for before, after in enumerate(successors))
        if len(successors) != count or not allowed:
            raise UsageError(f"the order names another pattern for each of {count} patterns, got {list(successors)}.")
        wanted = torch.eye(count, dtype=self.P.dtype, device=self.P.device)[torch.as_tensor(successors)]
        predecessor = {after: before for before, after in enumerate(successors)}
        initial = self.network.cell.initial()
        starts = [initial] * count
        for _ in range(rounds):
            _, ends = self.network(self._cues(torch.arange(count)), torch.stack(starts))
            for target, ended in zip(wanted, ends, strict=True):
                self.P += rate * torch.outer(target - self.P @ ended, ended) / ended.square().sum()
            starts = [ends[predecessor[after]] if after in predecessor else initial for after in range(count)]

    @torch.no_grad()
    def play(self, first: int, count: int = 1) -> tuple[Tensor, list[int]]:
        """Play `count` patterns from `first` on; return the outputs (count, T, outputs) and which were played."""
        state = self.network.cell.initial()
        played, outputs = [first], []
        for _ in range(count):
            output, state = self.network(self._cues(torch.tensor(played[-1])), state)
            outputs.append(output)
            played.append(int((self.P @ state).argmax()))
        return torch.stack(outputs), played[:count]

    def _cues(self, playing: Tensor) -> Tensor:
        one_hot = torch.eye(len(self.patterns), dtype=self.P.dtype, device=self.P.device)[playing.to(self.P.device)]
        return self.strength * one_hot.expand(self.length, *one_hot.shape)
