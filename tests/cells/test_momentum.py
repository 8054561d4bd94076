"""The momentum family against its equations, torch's optimisers and torch's LSTM."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restore.cells import CELLS, Cell, make_cell, unroll
from restore.cells.jacobian import singular_values
from restore.cells.momentum_filter import RULES, InputFilter
from restore.errors import UsageError

tolerances = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
VARIANTS = ("rnn", "lstm", "orth")


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _cell(name: str, size: int = 5, **options: Any) -> Cell:
    return make_cell(name, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64, **options)


def _signals(rule: str, drives: Tensor, **settings: Any) -> Tensor:
    input_filter = InputFilter(rule, **settings)
    memory = input_filter.start(torch.zeros_like(drives[0]))
    signals = []
    for drive in drives:
        memory = input_filter.advance(drive, memory)
        signals.append(input_filter.signal(memory))
    return torch.stack(signals)


def test_all_fifteen_exist_and_want_a_varying_drive() -> None:
    for rule in RULES:
        for variant in VARIANTS:
            assert _cell(f"{rule}-{variant}").needs_varying_drive
    assert sum(name.endswith(VARIANTS) and "-" in name for name in CELLS) == 15


@tolerances
def test_lstm_without_momentum_is_torch_lstm(dtype: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    cell = make_cell("momentum-lstm", 7, momentum=0.0, step_size=1.0, dtype=dtype)
    layer = nn.Linear(4, 28, dtype=dtype)
    theirs = nn.LSTMCell(4, 7, dtype=dtype)
    with torch.no_grad():
        for parameter in (*cell.parameters(), *layer.parameters()):
            parameter.copy_(torch.rand(parameter.shape, generator=generator) - 0.5)
    theirs.load_state_dict(
        {"weight_ih": layer.weight, "bias_ih": layer.bias, "weight_hh": cell.U, "bias_hh": cell.bias}
    )
    state, their_state = cell.initial((3,)), None
    for _ in range(5):
        inputs = torch.randn(3, 4, generator=generator).to(dtype)
        state, their_state = cell(layer(inputs), state), theirs(inputs, their_state)
        torch.testing.assert_close(state.hidden, their_state[0], rtol=0, atol=tolerance)
        torch.testing.assert_close(state.memory, their_state[1], rtol=0, atol=tolerance)


def test_rnn_without_momentum_is_the_vanilla_cell() -> None:
    cell, vanilla = _cell("momentum-rnn", momentum=0.0, step_size=1.0), _cell("rnn")
    with torch.no_grad():
        cell.U.copy_(vanilla.weight_hh)
        cell.bias.copy_(vanilla.bias_hh)
    drives = _randn(6, 5)
    torch.testing.assert_close(unroll(cell, drives)[-1].hidden, unroll(vanilla, drives)[-1], rtol=0, atol=1e-14)


def test_orthogonal_without_momentum_is_scornn() -> None:
    cell, scornn = _cell("momentum-orth", momentum=0.0, step_size=1.0), _cell("scornn")
    with torch.no_grad():
        scornn.modrelu.bias.copy_(cell.modrelu.bias)
    torch.testing.assert_close(cell.B.weight, scornn.W.weight)
    drives = _randn(6, 5)
    torch.testing.assert_close(unroll(cell, drives)[-1].hidden, unroll(scornn, drives)[-1], rtol=0, atol=1e-14)


def test_momentum_is_the_weighted_sum_of_all_drives() -> None:
    drives = _randn(9, 3)
    lags = torch.arange(9).unsqueeze(1) - torch.arange(9)
    powers = torch.where(lags >= 0, 0.7 ** lags.double(), 0.0)
    found = _signals("momentum", drives, momentum=0.7, step_size=0.2)
    torch.testing.assert_close(found, 0.2 * powers @ drives, rtol=0, atol=1e-14)


def test_momentum_rnn_in_two_step_form() -> None:
    # h_t = tanh(U (h_{t-1} - mu h_{t-2}) + mu atanh(h_{t-1}) + s g_t), for b = 0
    cell = _cell("momentum-rnn", momentum=0.6, step_size=0.3)
    with torch.no_grad():
        cell.U.copy_(0.5 * _randn(5, 5, seed=3))
    drives = _randn(8, 5)
    states = torch.stack([state.hidden for state in unroll(cell, drives)])
    for t in range(2, 8):
        inside = cell.U @ (states[t - 1] - 0.6 * states[t - 2]) + 0.6 * torch.atanh(states[t - 1]) + 0.3 * drives[t]
        torch.testing.assert_close(states[t], torch.tanh(inside), rtol=0, atol=1e-10)


@pytest.mark.parametrize("rule", ["adam", "rmsprop"])
def test_normalised_rules_against_torch_rmsprop(rule: str) -> None:
    """With g as an optimiser's gradient, v / sqrt(m) is minus RMSprop's step; adam adds heavy-ball to v alone."""
    drives = _randn(10, 4)
    found = _signals(rule, drives, decay=0.8, step_size=0.1)
    numerator = _signals("momentum", drives, momentum=0.6 if rule == "adam" else 0.0, step_size=0.1)
    parameter = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.RMSprop([parameter], lr=0.1, alpha=0.8, eps=0)
    for drive, signal, velocity in zip(drives, found, numerator, strict=True):
        before = parameter.detach().clone()
        parameter.grad = drive.clone()
        optimiser.step()
        step = (before - parameter.detach()) / (0.1 * drive) * velocity
        torch.testing.assert_close(signal, step, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rule", ["adam", "rmsprop"])
def test_normalised_rules_drop_the_scale(rule: str) -> None:
    drives = _randn(10, 4)
    torch.testing.assert_close(_signals(rule, drives), _signals(rule, 37.0 * drives), rtol=1e-10, atol=1e-10)
    assert (_signals(rule, drives) + _signals(rule, -3.0 * drives)).abs().max() < 1e-10


@pytest.mark.parametrize("rule", ["adam", "rmsprop"])
def test_first_step_of_normalised_rules_is_a_sign(rule: str) -> None:
    drives = _randn(1, 4)
    expected = 0.3 * drives.sign() / (1 - 0.4) ** 0.5
    torch.testing.assert_close(_signals(rule, drives, decay=0.4, step_size=0.3), expected, rtol=1e-8, atol=0)


def test_schedules() -> None:
    restart = InputFilter("restart", period=40)
    assert [restart.coefficient(t) for t in range(1, 6)] == pytest.approx([0, 0.25, 0.4, 0.5, 4 / 7])
    nesterov = InputFilter("nesterov")
    assert [nesterov.coefficient(t) for t in range(1, 41)] == [restart.coefficient(t) for t in range(1, 41)]
    assert [restart.coefficient(t + 40) for t in range(1, 41)] == [restart.coefficient(t) for t in range(1, 41)]


def test_restarting_every_step_leaves_no_memory() -> None:
    drives = _randn(7, 3)
    torch.testing.assert_close(_signals("restart", drives, period=1, step_size=0.9), 0.9 * drives)


def test_a_constant_drive_only_ramps_the_gain() -> None:
    drive = _randn(4)
    constant = drive.expand(200, 4)
    torch.testing.assert_close(_signals("momentum", constant)[-1], 1.5 * drive, rtol=0, atol=1e-12)
    torch.testing.assert_close(_signals("adam", constant)[-1], 1.5 * drive.sign(), rtol=0, atol=1e-6)
    torch.testing.assert_close(_signals("rmsprop", constant)[-1], 0.6 * drive.sign(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_signals_never_see_the_state(rule: str) -> None:
    """The state's Jacobian is that of the plain cell: momentum does not keep its gradient alive."""
    cell = _cell(f"{rule}-rnn")
    drives = _randn(6, 5)
    states = unroll(cell, drives)
    start = states[2]

    def last(hidden: Tensor) -> Tensor:
        return unroll(cell, drives[3:], start._replace(hidden=hidden))[-1].hidden

    found = torch.autograd.functional.jacobian(last, start.hidden)
    expected = torch.eye(5, dtype=torch.float64)
    for state in states[3:]:
        expected = (1 - state.hidden.square()).diag() @ cell.U @ expected
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-12)


def test_orthogonal_variant_cannot_explode() -> None:
    cell = _cell("momentum-orth", size=12)
    velocity_and_state = singular_values(cell, _randn(300, 12))
    # [[S B, mu S], [0, mu I]] feeds velocity into the state, s / (1 - mu) of it at most.
    assert velocity_and_state[0] <= 1 + 0.6 / 0.4
    state_alone = singular_values(_cell("restart-orth", size=12, period=1), _randn(300, 12))
    assert state_alone[0] <= 1 + 1e-10


def test_initial_weights() -> None:
    rnn, lstm, orth = (_cell(f"nesterov-{variant}", size=6) for variant in VARIANTS)
    assert torch.equal(rnn.U, torch.eye(6, dtype=torch.float64))
    assert all(torch.equal(matrix, rnn.U) for matrix in lstm.matrices().values())
    layer = nn.Linear(4, 24)
    lstm.reset_input_(layer, torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer.weight.mT @ layer.weight, torch.eye(4), rtol=0, atol=1e-6)
    assert layer.bias.tolist() == lstm.bias.tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12
    assert not orth.input_bias
    wide = nn.Linear(1000, 6, bias=False)
    orth.reset_input_(wide, torch.Generator().manual_seed(0))
    assert wide.weight.std().item() == pytest.approx((2 / 1000) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rmsprop-rnn", {"momentum": 0.5}, "the rule 'rmsprop' has no momentum; its settings are step_size, decay"),
        ("momentum-lstm", {"period": 3}, "the rule 'momentum' has no period"),
        ("momentum-orth", {"momentum": 1.0}, "momentum of at least 0 and below 1, got 1.0"),
        ("adam-rnn", {"decay": -0.1}, "decay of at least 0 and below 1, got -0.1"),
        ("restart-rnn", {"period": 0}, "period of at least 1 step, got 0"),
        ("nesterov-rnn", {"step_size": 0.0}, "step_size above 0, got 0.0"),
    ],
)
def test_bad_settings(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_cell(name, 4, **options)
