"""The circuit that strings short patterns together."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from restore.cells.rflo import RFLO
from restore.cells.rflo_learning import RFLONetwork
from restore.cells.rflo_sequence import SequenceCircuit
from restore.errors import UsageError


def _patterns() -> Tensor:
    time = 2 * math.pi * torch.arange(30) / 30
    return torch.stack(
        [torch.sin(time), torch.sin(2 * time), 0.5 * torch.cos(time) - 0.5 * torch.cos(3 * time)]
    ).unsqueeze(-1)


def _circuit(size: int = 100, inputs: int = 3, rule: str = "rflo", seed: int = 2) -> SequenceCircuit:
    generator = torch.Generator().manual_seed(seed)
    cell = RFLO(size, tau=3.0, learning_rule=rule, generator=generator)
    return SequenceCircuit(RFLONetwork(cell, inputs, 1, generator=generator), _patterns())


@pytest.fixture(scope="module")
def practised() -> SequenceCircuit:
    circuit = _circuit()
    errors = circuit.practise(600, 2e-3, torch.Generator().manual_seed(0))
    assert sum(errors[-20:]) < 0.15 * sum(errors[:20])
    return circuit


def _error(circuit: SequenceCircuit, outputs: Tensor, played: list[int]) -> float:
    return (outputs - circuit.patterns[played]).square().mean().item()


def test_sequences_in_any_order(practised: SequenceCircuit) -> None:
    """The order changes with P alone, and a sequence is nearly as true as a single pattern."""
    before = {name: tensor.clone() for name, tensor in practised.network.state_dict().items()}
    alone = sum(_error(practised, practised.play(first)[0], [first]) for first in range(3)) / 3
    for successors, expected in (([1, 2, 0], [0, 1, 2] * 3), ([2, 0, 1], [0, 2, 1] * 3), ([1, 0, 0], [2] + [0, 1] * 4)):
        practised.learn_order(successors)
        outputs, played = practised.play(expected[0], 9)
        assert played == expected
        assert _error(practised, outputs, played) <= 2 * alone
    for name, tensor in practised.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_the_state_is_carried_over(practised: SequenceCircuit) -> None:
    practised.learn_order([1, 2, 0])
    (_, second), _ = practised.play(0, 2)
    (alone,), _ = practised.play(1)
    assert (second - alone).abs().max() > 1e-4


def test_without_practice_the_patterns_are_not_there() -> None:
    circuit = _circuit()
    outputs, played = circuit.play(0)
    assert _error(circuit, outputs, played) > 0.3


def test_only_the_trained_weights_change() -> None:
    circuit = _circuit(size=10)
    before = {name: tensor.clone() for name, tensor in circuit.state_dict().items()}
    circuit.practise(3, 1e-2, torch.Generator().manual_seed(0))
    changed = {name for name, tensor in circuit.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"network.cell.W", "network.readout.weight"}


def test_bad_use() -> None:
    with pytest.raises(UsageError, match=r"network with \(3, 1\) inputs and outputs, got \(2, 1\)"):
        _circuit(size=10, inputs=2)
    with pytest.raises(UsageError, match="learns by the local rule"):
        _circuit(size=10, rule="backpropagation")
    circuit = _circuit(size=10)
    for successors in ([1, 2], [0, 2, 1], [1, 2, 3]):
        with pytest.raises(UsageError, match=r"names another pattern for each of 3 patterns, got"):
            circuit.learn_order(successors)
    with pytest.raises(UsageError, match="at least 2 patterns to choose from, got 1"):
        SequenceCircuit(RFLONetwork(RFLO(4, learning_rule="rflo"), 1, 1), torch.zeros(1, 5, 1))
