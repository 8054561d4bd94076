"""The optimiser Muon: what its steps are, whom it leaves to Adam, and that networks of a stack do not meet in it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from restore.fitting.muon import OTHERS, Muon, orthogonalised


def gradient(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 12, 40), (2, 40, 12), (1, 16, 16)])
def test_directions_stay_and_singular_values_become_alike(shape: tuple[int, int, int]) -> None:
    matrices = gradient(*shape).double()
    found = orthogonalised(matrices)
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    kept = u.mT @ found @ vh.mT
    values = torch.diagonal(kept, dim1=1, dim2=2)
    torch.testing.assert_close(kept, torch.diag_embed(values), rtol=0, atol=1e-9)
    learned = values[s > 0.02 * torch.linalg.vector_norm(s, dim=1, keepdim=True)]
    assert ((learned > 0.5) & (learned < 1.3)).all()


def test_a_first_step_is_the_polar_factor_of_the_gradient() -> None:
    kernel = nn.Parameter(torch.zeros(16, 4, 3, 3))
    kernel.grad = gradient(16, 4, 3, 3)
    Muon([kernel], lr=0.1).step()
    u, _, vh = torch.linalg.svd(kernel.grad.flatten(1), full_matrices=False)
    step = -kernel.detach().flatten(1) / 0.1
    # Nearly: singular values between 0.7 and 1.2 in place of 1.
    assert torch.linalg.matrix_norm(step - u @ vh, 2) < 0.4
    tall = nn.Parameter(torch.zeros(64, 4, 1, 1))
    tall.grad = gradient(64, 4, 1, 1)
    plain = nn.Parameter(torch.zeros(8, 32, 1, 1))
    plain.grad = gradient(8, 32, 1, 1)
    assert "momentum" not in Muon([tall], lr=0.1).state[tall]  # four columns: Adam's
    Muon([plain], lr=0.1).step()
    assert 0.05 < torch.linalg.matrix_norm(plain.detach().flatten(1), 2) < 0.13


def test_what_is_no_kernel_goes_by_adam() -> None:
    parameters = [nn.Parameter(gradient(*shape)) for shape in ((5,), (3, 32, 1, 1), (16, 20))]
    twins = copy.deepcopy(parameters)
    ours = Muon(parameters, lr=0.2, beta2=0.9)
    theirs = torch.optim.Adam(twins, lr=OTHERS * 0.2, betas=(0.9, 0.9))
    for step in range(4):
        for one, other in zip(parameters, twins, strict=True):
            one.grad = gradient(*one.shape, seed=step)
            other.grad = one.grad.clone()
        ours.step()
        theirs.step()
    for one, other in zip(parameters, twins, strict=True):
        torch.testing.assert_close(one, other)


def test_networks_of_a_stack_do_not_meet() -> None:
    together = nn.Parameter(gradient(3, 16, 8, 3, 3))
    alone = [nn.Parameter(part.clone()) for part in together.detach()]
    one, others = Muon([together], lr=0.05), Muon(alone, lr=0.05)
    for step in range(3):
        together.grad = gradient(3, 16, 8, 3, 3, seed=step)
        for part, own in zip(together.grad, alone, strict=True):
            own.grad = part.clone()
        one.step()
        others.step()
    torch.testing.assert_close(together.detach(), torch.stack([part.detach() for part in alone]))


def test_its_state_can_be_taken_out_and_put_back() -> None:
    def make() -> tuple[list[nn.Parameter], Muon]:
        parameters = [nn.Parameter(gradient(16, 8, 3, 3)), nn.Parameter(gradient(7))]
        return parameters, Muon([{"params": parameters, "lr": 0.1}], lr=0.5)

    def go(parameters: list[nn.Parameter], optimizer: Muon, steps: range) -> None:
        for step in steps:
            for parameter in parameters:
                parameter.grad = gradient(*parameter.shape, seed=step)
            optimizer.step()

    whole, first = make()
    go(whole, first, range(6))
    halves, second = make()
    go(halves, second, range(3))
    _, third = make()
    third = Muon([{"params": halves, "lr": 0.1}], lr=0.5)
    third.load_state_dict(copy.deepcopy(second.state_dict()))
    go(halves, third, range(3, 6))
    for one, other in zip(whole, halves, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert [group["lr"] for group in third.param_groups] == [0.1, OTHERS * 0.1]


def test_the_size_of_a_gradient_does_not_matter() -> None:
    kernels = [nn.Parameter(torch.zeros(16, 8, 3, 3)) for _ in range(2)]
    for kernel, size in zip(kernels, (1e-6, 1e3), strict=True):
        kernel.grad = size * gradient(16, 8, 3, 3)
        Muon([kernel], lr=0.1).step()
    torch.testing.assert_close(kernels[0], kernels[1], rtol=1e-3, atol=1e-6)
