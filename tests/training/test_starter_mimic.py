import pytest

pytest.importorskip("torch", reason="training needs the packages of training/requirements.txt")

import torch
from training.starter import mimic
from training.starter.model import Llama, Shape

SHAPE = Shape(vocabulary=600, width=128, layers=2, heads=4, kv_heads=4, rotated=8, hidden=64, context=256)


def repeats(model: Llama) -> float:
    """How often the model goes on rightly in the second half of a random text that is said twice."""
    once = torch.randint(0, SHAPE.vocabulary, (8, 100), generator=torch.Generator().manual_seed(1))
    twice = torch.cat((once, once), 1)
    with torch.no_grad():
        said = model(twice).argmax(-1)
    return float((said[:, 101:-1] == twice[:, 102:]).float().mean())


def test_installed_heads_repeat_what_followed_the_same_words_before() -> None:
    torch.manual_seed(0)
    model = Llama(SHAPE)
    assert repeats(model) < 0.05
    mimic.install(model, torch.randint(0, 600, (4, 64)))
    assert repeats(model) > 0.9


def test_installed_heads_can_still_be_trained() -> None:
    torch.manual_seed(0)
    model = Llama(SHAPE)
    mimic.install(model, torch.randint(0, 600, (4, 64)))
    rows = torch.randint(0, 600, (4, 65))
    model.loss(rows[:, :-1], rows[:, 1:]).backward()
    for block in model.model.layers:
        assert block.self_attn.q_proj.weight.grad.abs().sum() > 0


def test_a_shape_without_room_for_the_heads_is_refused() -> None:
    with pytest.raises(ValueError, match="copying heads"):
        mimic.install(
            Llama(Shape(vocabulary=50, width=64, layers=1, heads=2, kv_heads=2)), torch.zeros(1, 8).long()
        )


def test_kept_heads_survive_what_other_weights_learn() -> None:
    torch.manual_seed(0)
    model = Llama(SHAPE)
    mimic.install(model, torch.randint(0, 600, (4, 64)))
    kept, before = mimic.Kept(model), repeats(model)
    optimiser = torch.optim.Muon(
        [value for value in model.parameters() if value.dim() == 2], lr=0.05, adjust_lr_fn="original"
    )
    rows = torch.randint(0, 600, (8, 65), generator=torch.Generator().manual_seed(2))
    for _ in range(3):
        model.loss(rows[:, :-1], rows[:, 1:]).backward()
        optimiser.step()
        optimiser.zero_grad()
        kept.restore()
    queries = model.model.layers[1].self_attn.q_proj.weight
    assert (queries[-64:, :96] == 0).all()
    assert (queries[:-64, :96] != 0).all()
    assert repeats(model) > before / 2


def test_how_loudly_copies_speak_is_learnt_in_proportion_to_what_it_is() -> None:
    torch.manual_seed(0)
    model = Llama(SHAPE)
    mimic.install(model, torch.randint(0, 600, (4, 64)))
    kept, gains = mimic.Kept(model), model.model.norm.weight
    own = slice(SHAPE.width - 2 * mimic.CODE, SHAPE.width - mimic.CODE)
    others = [at for at in range(SHAPE.width) if not own.start <= at < own.stop]
    before, others_before = gains[own].detach().clone(), gains[others].detach().clone()
    assert (before > 5).all()
    with torch.no_grad():
        gains -= 0.01
    kept.restore()
    assert torch.allclose(gains[own], before * 0.99)
    assert torch.allclose(gains[others], others_before - 0.01)
