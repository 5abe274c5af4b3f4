import pytest
import torch
from torch import nn
from transformers.activations import QuickGELUActivation

from fashionedit.metrics.transformers_encoder import pack_linears, split_activations


@pytest.mark.parametrize("shape", [(1, 1, 8), (3, 257, 4096), (130, 7)])
def test_the_split_activation_gives_the_same_bits(shape: tuple[int, ...]) -> None:
    model = nn.Sequential(QuickGELUActivation())
    rows = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 5
    wanted = model(rows)
    split_activations(model)
    assert type(model[0]) is not QuickGELUActivation
    assert torch.equal(model(rows.clone()), wanted)
    transposed = rows.clone().transpose(0, -1)
    assert torch.equal(model(transposed), wanted.transpose(0, -1))


def test_packed_layers_agree_with_the_plain_ones() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(48, 96), nn.ReLU(), nn.Linear(96, 16, bias=False))
    rows = torch.randn(5, 48)
    wanted = model(rows).detach()
    assert pack_linears(model)
    with torch.inference_mode():
        assert torch.allclose(model(rows), wanted, atol=1e-5)
    assert not any(type(layer) is nn.Linear for layer in model)


def test_a_model_without_linear_layers_is_not_packed() -> None:
    assert not pack_linears(nn.Sequential(nn.ReLU()))
