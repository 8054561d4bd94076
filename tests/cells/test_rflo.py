"""RFLO: the local rule against its definition, autograd and backpropagation through time, and learning with it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restore.cells import make_cell, unroll
from restore.cells.rflo import RFLO
from restore.cells.rflo_learning import FeedbackLinear, RFLONetwork
from restore.errors import UsageError

tolerances = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
T, BATCH, INPUTS, OUTPUTS = 12, 3, 4, 2


def _network(dtype: torch.dtype = torch.float64, rule: str = "rflo", tau: float = 5.0) -> RFLONetwork:
    generator = torch.Generator().manual_seed(0)
    cell = RFLO(6, tau=tau, learning_rule=rule, generator=generator, dtype=dtype)
    network = RFLONetwork(cell, INPUTS, OUTPUTS, generator=generator)
    with torch.no_grad():
        network.readout.weight.mul_(10)
        network.input.weight.mul_(5)
    return network


def _data(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(T, BATCH, INPUTS, generator=generator, dtype=torch.float64)
    targets = torch.randn(T, BATCH, OUTPUTS, generator=generator, dtype=torch.float64)
    return inputs.to(dtype), targets.to(dtype)


def _gradients(network: RFLONetwork, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Those of the autograd form, loss 1/2 |y* - y|^2 / T."""
    outputs, _ = network(inputs)
    loss = 0.5 * (targets - outputs).square().sum() / T
    names, parameters = zip(*network.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def _online(network: RFLONetwork, inputs: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    network.zero_grad()
    traces, outputs = network.start(inputs[0]), []
    for x, target in zip(inputs, targets, strict=True):
        output, traces = network.learn(x, target, traces, scale=1 / T)
        outputs.append(output)
    found = {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
    return found, torch.stack(outputs)


def _plain_loop(network: RFLONetwork, inputs: Tensor, *, detach: bool) -> Tensor:
    """The loop written once more, with an ordinary readout: the gradient comes back through W_out^T."""
    state = torch.full((BATCH, 6), 0.1, dtype=inputs.dtype)
    outputs = []
    for x in inputs:
        past = state.detach() if detach else state
        u = past @ network.cell.W.T + x @ network.input.weight.T
        state = state + (-state + torch.tanh(u)) / network.cell.tau
        outputs.append(state @ network.readout.weight.T)
    return torch.stack(outputs)


def _plain_gradients(network: RFLONetwork, inputs: Tensor, targets: Tensor, *, detach: bool) -> dict[str, Tensor]:
    loss = 0.5 * (targets - _plain_loop(network, inputs, detach=detach)).square().sum() / T
    names, parameters = zip(*network.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def _assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys() == {"cell.W", "input.weight", "readout.weight"}
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


@tolerances
def test_online_rule_is_the_autograd_form(dtype: torch.dtype, tolerance: float) -> None:
    network, (inputs, targets) = _network(dtype), _data(dtype)
    found, outputs = _online(network, inputs, targets)
    _assert_equal(found, _gradients(network, inputs, targets), tolerance)
    torch.testing.assert_close(outputs, network(inputs)[0].detach(), rtol=0, atol=tolerance)


def test_online_rule_is_the_published_one() -> None:
    """Sums over every index, from the definitions of p, q and the three updates."""
    network, (inputs, targets) = _network(), _data()
    found, _ = _online(network, inputs, targets)
    W, W_in, W_out, B = (
        tensor.detach() for tensor in (network.cell.W, network.input.weight, network.readout.weight, network.readout.B)
    )
    tau, expected = network.cell.tau, {name: torch.zeros_like(tensor) for name, tensor in found.items()}
    for b in range(BATCH):
        h = [0.1] * 6
        p = [[0.0] * 6 for _ in range(6)]
        q = [[0.0] * INPUTS for _ in range(6)]
        for x, target in zip(inputs[:, b].tolist(), targets[:, b].tolist(), strict=True):
            u = [sum(W[a, k].item() * h[k] for k in range(6)) for a in range(6)]
            u = [u[a] + sum(W_in[a, k].item() * x[k] for k in range(INPUTS)) for a in range(6)]
            for a in range(6):
                slope = 1 / math.cosh(u[a]) ** 2
                p[a] = [(1 - 1 / tau) * p[a][k] + slope * h[k] / tau for k in range(6)]
                q[a] = [(1 - 1 / tau) * q[a][k] + slope * x[k] / tau for k in range(INPUTS)]
            h = [h[a] + (-h[a] + math.tanh(u[a])) / tau for a in range(6)]
            error = [target[o] - sum(W_out[o, k].item() * h[k] for k in range(6)) for o in range(OUTPUTS)]
            for a in range(6):
                fed_back = sum(B[a, o].item() * error[o] for o in range(OUTPUTS))
                expected["cell.W"][a] -= torch.tensor([fed_back * value / T for value in p[a]])
                expected["input.weight"][a] -= torch.tensor([fed_back * value / T for value in q[a]])
            for o in range(OUTPUTS):
                expected["readout.weight"][o] -= torch.tensor([error[o] * value / T for value in h])
    _assert_equal(found, expected, 1e-7)


@tolerances
def test_with_exact_feedback_it_is_autograd_of_the_detached_loop(dtype: torch.dtype, tolerance: float) -> None:
    network, (inputs, targets) = _network(dtype), _data(dtype)
    network.readout.B.copy_(network.readout.weight.detach().mT)
    expected = _plain_gradients(network, inputs, targets, detach=True)
    _assert_equal(_online(network, inputs, targets)[0], expected, tolerance)
    _assert_equal(_gradients(network, inputs, targets), expected, tolerance)
    through_time = _plain_gradients(network, inputs, targets, detach=False)
    assert (expected["cell.W"] - through_time["cell.W"]).norm() > 0.05 * through_time["cell.W"].norm()


@tolerances
def test_without_recurrent_weights_it_is_backpropagation_through_time(dtype: torch.dtype, tolerance: float) -> None:
    network, (inputs, targets) = _network(dtype), _data(dtype)
    with torch.no_grad():
        network.cell.W.zero_()
    network.readout.B.copy_(network.readout.weight.detach().mT)
    expected = _plain_gradients(network, inputs, targets, detach=False)
    _assert_equal(_online(network, inputs, targets)[0], expected, tolerance)


def test_readout_gradient_is_exact_and_feedback_is_fixed() -> None:
    readout = FeedbackLinear(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    cotangent = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    plain = nn.functional.linear(state, readout.weight)
    torch.testing.assert_close(readout(state), plain)
    (exact,) = torch.autograd.grad(plain, readout.weight, cotangent)
    to_state, to_weight = torch.autograd.grad(readout(state), (state, readout.weight), cotangent)
    torch.testing.assert_close(to_weight, exact)
    torch.testing.assert_close(to_state, cotangent @ readout.B.mT)
    assert [name for name, _ in readout.named_parameters()] == ["weight"]


def test_both_rules_have_one_forward_pass() -> None:
    cells = [
        make_cell("rflo", 6, learning_rule=rule, generator=torch.Generator().manual_seed(0))
        for rule in ("backpropagation", "rflo")
    ]
    drives = torch.randn(9, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(unroll(cells[0], drives)[-1], unroll(cells[1], drives)[-1])


def test_backpropagation_rule_reaches_through_time() -> None:
    network, (inputs, targets) = _network(rule="backpropagation"), _data()
    network.readout.B.copy_(network.readout.weight.detach().mT)
    expected = _plain_gradients(network, inputs, targets, detach=False)
    _assert_equal(_gradients(network, inputs, targets), expected, 1e-12)


def test_initial_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    network = RFLONetwork(RFLO(200, generator=generator), 50, 4, generator=generator)
    assert network.cell.W.std().item() == pytest.approx(1.5 / 200**0.5, rel=0.02)
    assert 0.0069 < network.readout.weight.abs().max() <= 0.1 / 200**0.5 + 1e-7
    assert 0.099 < network.input.weight.abs().max() <= 0.1
    assert network.readout.B.std().item() == pytest.approx(0.5, rel=0.1)
    assert (network.cell.initial((2,)) == 0.1).all()


def test_sine_target_with_random_feedback() -> None:
    """The published task, 400 of its 10,000 trials: the loss falls tenfold, and W_out turns towards B^T."""
    generator = torch.Generator().manual_seed(0)
    network = RFLONetwork(RFLO(50, learning_rule="rflo", generator=generator), 1, 1, generator=generator)
    time = 2 * math.pi * torch.arange(100) / 100
    target = (torch.sin(time) + 0.5 * torch.sin(2 * time) + 0.25 * torch.sin(4 * time)).unsqueeze(-1)
    inputs = torch.zeros(100, 1)
    optimiser = torch.optim.SGD([network.cell.W, network.readout.weight], lr=0.03)
    assert abs(network.readout.alignment()) < 0.3
    losses = []
    for _ in range(400):
        outputs, _ = network(inputs)
        loss = 0.5 * (target - outputs).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.1 * sum(losses[:10])
    assert network.readout.alignment() > 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau": 0.5}, "time constant tau of at least 1 step, got 0.5"),
        ({"learning_rule": "rtrl"}, "unknown learning rule 'rtrl'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_cell("rflo", 4, **options)


def test_other_cells_have_no_learning_rule() -> None:
    with pytest.raises(UsageError, match="option of cell 'scornn' 'learning_rule'"):
        make_cell("scornn", 4, learning_rule="rflo")


def test_the_feedback_goes_through_under_autocast() -> None:
    readout = FeedbackLinear(5, 3, generator=torch.Generator().manual_seed(0))
    states = [torch.rand(4, 5, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2)]
    gradients = []
    for state, reduced in zip(states, (False, True), strict=True):
        readout.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
            output = readout(state)
        output.float().square().sum().backward()
        assert state.grad is not None and state.grad.dtype == torch.float32
        gradients.append(state.grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0.05, atol=0.02)
