from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from starter_samples import MODULE

pytest.importorskip("tokenizers", reason="training needs the packages of training/requirements.txt")

from training.starter import layout, prepare, repository, rows, tokenizer
from training.starter.prepare import Mixer, Text

HARD = [
    'x = "\\ud55c\\uad6d\\uc5b4"  # \ud55c\uad6d\uc5b4 \U0001f600\n',
    "\tif a:\r\n\t\treturn 0x1F\n\n\n",
    "  \n" * 5,
]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory):
    return tokenizer.train([MODULE] * 20, tmp_path_factory.mktemp("tokenizer") / "tokenizer.json", 400)


def packages_of(texts: list[Text]) -> list[repository.Package]:
    return repository.packages((text.package, text.path, text.text, text.language) for text in texts)


def test_the_tokenizer_gives_back_every_text(trained, module: str) -> None:
    for text in [module, *HARD]:
        assert trained.decode(trained.encode(text).ids, skip_special_tokens=False) == text


def test_special_tokens_are_one_id_each_and_come_first(trained) -> None:
    assert [trained.encode(token).ids for token in layout.SPECIAL] == [
        [at] for at in range(len(layout.SPECIAL))
    ]


def test_the_mixer_keeps_to_its_limit_and_its_shares(trained, module: str) -> None:
    texts = [
        Text(
            "tools",
            f"tools/{number}.py",
            module.replace("values", f"values{number}").replace("mean", f"mean{number % 2}"),
        )
        for number in range(6)
    ]
    mixer = Mixer(texts, packages_of(texts), lambda text: trained.encode(text).ids, length=256)
    samples = list(islice(mixer, 300))
    assert max(map(len, samples)) <= 257
    total = sum(mixer.counts.values())
    for kind, share in prepare.SHARES.items():
        assert mixer.counts["python", kind] / total == pytest.approx(share, abs=0.03)


def test_the_mixer_keeps_to_the_shares_of_the_languages_that_there_are(trained, module: str) -> None:
    texts = [
        Text("tools", "tools/core.py", module),
        Text("things", "things/core.go", module.replace("def", "func"), "go"),
    ]
    mixer = Mixer(texts, [], lambda text: trained.encode(text).ids, length=256)
    for _ in islice(mixer, 300):
        pass
    spoken = dict.fromkeys(prepare.LANGUAGES, 0)
    for (language, _), count in mixer.counts.items():
        spoken[language] += count
    # Neither has holes that need other files, for want of packages large enough.
    python = prepare.LANGUAGES["python"] * (1 - prepare.SHARES["repository"])
    go = prepare.LANGUAGES["go"] * (1 - prepare.SHARES_ELSEWHERE["repository"])
    assert spoken["go"] / spoken["python"] == pytest.approx(go / python, rel=0.15)
    assert spoken["rust"] == 0


def test_infill_samples_have_something_to_fill_in(trained, module: str) -> None:
    texts = [Text("tools", "tools/core.py", module)]
    mixer = Mixer(texts, packages_of(texts), lambda text: trained.encode(text).ids, length=256)
    prefix, end = trained.token_to_id(layout.PREFIX), trained.token_to_id(layout.END)
    samples = [each for each in islice(mixer, 300) if prefix in each]
    assert len(samples) > 50
    for sample in samples:
        assert sample[-1] == end
        assert sample.count(trained.token_to_id(layout.MIDDLE)) == 1


def test_packing_loses_no_sample_and_tears_none(tmp_path: Path) -> None:
    samples = [[number] * (20 + number % 60) for number in range(1, 200)]
    packed = rows.pack(iter(samples), length=128, total=10**9, pad=0)
    assert packed.dtype == np.uint16
    assert packed.shape[1] == 129
    for sample in samples:
        row = next(row for row in packed if sample[0] in row)
        assert (row == sample[0]).sum() == len(sample)
    assert (packed != 0).mean() > 0.85


def test_rows_survive_being_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PIECE_BYTES", 1000)
    packed = np.arange(50 * 33, dtype=np.uint16).reshape(50, 33)
    rows.write_rows(packed, tmp_path, 32)
    assert len(list(tmp_path.glob("rows-32.*.npy"))) > 1
    assert (rows.read_rows(tmp_path, 32) == packed).all()


def test_rows_that_were_never_made_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="prepare"):
        rows.read_rows(tmp_path, 64)


def test_special_tokens_and_broken_code_are_not_learnt(module: str) -> None:
    from training.corpus import SourceFile

    def source(path: str, text: str, language: str = "python") -> SourceFile:
        return SourceFile("tools", "pypi", "1.0", "MIT", path, language, text)

    sources = [
        source("good.py", module),
        source("bad.py", "def (:\n"),
        source("sly.py", 'x = "<|im_end|>"\n'),
        source("good.go", "func f() int {\n\treturn 1\n}\n", "go"),
    ]
    chosen = {text.path: text.language for text in prepare.select(iter(sources), 10**6, None)}
    assert chosen == {"good.py": "python", "good.go": "go"}
    assert [text.path for text in prepare.select(iter(sources), 0, None)] == ["good.go"]
    assert list(prepare.select(iter(sources), 0, None, 0)) == []
