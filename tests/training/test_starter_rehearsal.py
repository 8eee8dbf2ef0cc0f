"""Rehearses the whole of training in miniature: rows, two slices, parts, join, export, the engine."""

from pathlib import Path

import pytest
from starter_samples import MODULE

pytest.importorskip("torch", reason="training needs the packages of training/requirements.txt")
pytest.importorskip("gguf")
pytest.importorskip("tokenizers")

import json
from dataclasses import asdict, replace

from safetensors.torch import save_file
from training.starter import export, kinds, parity, parts, prepare, tokenizer, train
from training.starter.model import Llama
from training.starter.rows import read_rows


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    texts = [
        {"package": "tools", "path": f"{at}.py", "text": MODULE.replace("values", f"v{at}")}
        for at in range(9)
    ]
    for name in ("texts.jsonl", "heldout.jsonl"):
        (folder / name).write_text("".join(json.dumps(text) + "\n" for text in texts), "utf-8")
    tokenizer.train([text["text"] for text in texts], folder / "tokenizer.json", 512)
    prepare.main(["--work", str(folder), "--rows", "256:20000"])
    return folder


def test_a_run_in_slices_goes_on_where_it_stopped_and_its_parts_become_a_model(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slice_ = [
        "--work",
        str(work),
        "--out",
        str(tmp_path / "run"),
        "--preset",
        "tiny",
        "--no-compile",
        "--parts",
    ]
    train.main([*slice_, "--minutes", "0.06", "--slice-minutes", "0.03"])
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    train.main([*slice_, "--minutes", "0.06", "--slice-minutes", "0.05"])
    said = capsys.readouterr().out
    assert "resumed at step" in said
    assert "finished" in said

    parts.join(tmp_path / "run" / "parts", tmp_path / "weights.safetensors")
    assert (tmp_path / "weights.safetensors").read_bytes() == (
        tmp_path / "run" / "weights.safetensors"
    ).read_bytes()

    for kind in ("F16", "Q8_0"):
        export.export(
            tmp_path / "weights.safetensors", work / "tokenizer.json", tmp_path / f"{kind}.gguf", kind
        )
    found = parity.compare(tmp_path / "weights.safetensors", work, tmp_path / "F16.gguf")
    assert found.files == "9/9"
    same, total = map(int, found.greedy.split("/"))
    assert same == total > 20
    assert found.worst < 0.03


def test_padding_does_not_count_in_the_loss(work: Path) -> None:
    rows = train.Rows(read_rows(work, 256), pad=6, held_out=2)
    inputs, targets = rows.next(8)
    assert inputs.shape == targets.shape == (8, 256)
    assert ((targets == -1) | (targets != 6)).all()
    assert rows.at == 8


def test_the_rate_rises_stays_and_falls() -> None:
    shares = [at / 100 for at in range(101)]
    rates = [train.rate(share) for share in shares]
    assert max(rates) == 1.0
    assert rates[0] < 0.1
    assert rates[-1] == pytest.approx(train.LEAST_RATE)
    assert rates[50] == 1.0


def test_a_model_without_sight_of_what_follows_predicts_the_same() -> None:
    import torch

    model = Llama(train.PRESETS["tiny"].shape).eval()
    ids = torch.randint(0, 4096, (1, 24))
    with torch.no_grad():
        assert torch.allclose(model(ids)[0, :10], model(ids[:, :10])[0], atol=1e-4)


def test_every_kind_of_file_holds_the_weights_it_was_made_of(work: Path, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    shape = replace(train.PRESETS["tiny"].shape, width=256, heads=8, kv_heads=8, hidden=256)
    weights = tmp_path / "weights.safetensors"
    model = Llama(shape)
    save_file(dict(model.state_dict()), weights, metadata={"shape": json.dumps(asdict(shape))})
    for kind, farthest in (("F32", 1e-7), ("BF16", 3e-4), ("Q8_0", 6e-4), ("Q6_K", 4e-3), ("Q4_K", 2e-2)):
        path = tmp_path / f"{kind}.gguf"
        export.export(weights, work / "tokenizer.json", path, kind)
        written = kinds.as_written(weights, path)
        for name, value in model.named_parameters():
            assert (written.get_parameter(name) - value).abs().max() <= farthest, (kind, name)
