"""Device and arithmetic: settled from what the machine is."""

from __future__ import annotations

import pytest
import torch

from restore.errors import DeviceError
from restore.fitting.precision import arithmetic, resolve_device, resolve_precision

CPU = torch.device("cpu")


def test_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == CPU


def test_auto_is_the_best_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: there)
        assert resolve_device("auto") == torch.device(expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [("gpu", "'gpu' is no device"), ("", "is no device"), ("cuda", "none"), ("mps", "none"), ("meta", "none")],
)
def test_what_is_not_there_is_refused(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=message):
        resolve_device(name)


def test_an_index_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="only 2"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", None])
def test_auto_precision_follows_the_processor(flag: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"avx2": True, "avx512_bf16": False, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags | ({flag: True} if flag else {}))
    assert resolve_precision("auto", CPU) == ("bfloat16" if flag else "float32")


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_auto_precision_follows_the_gpu(
    capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_precision("auto", torch.device("cuda")) == expected


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_what_the_user_says_holds(name: str) -> None:
    assert resolve_precision(name, CPU) == name


@pytest.mark.parametrize(("name", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_convolutions_run_in_it(name: str, dtype: torch.dtype) -> None:
    layer = torch.nn.Conv2d(1, 1, 3)
    with arithmetic(name, CPU):
        assert layer(torch.zeros(1, 1, 4, 4)).dtype == dtype
    assert layer(torch.zeros(1, 1, 4, 4)).dtype == torch.float32
    assert layer.weight.dtype == torch.float32
