"""Settings: one file, checked field by field."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeweft.config import Settings, environment_key, home, load
from codeweft.errors import InvalidRequest


def written(folder: Path, text: str) -> Path:
    path = folder / "codeweft.yaml"
    path.write_text(text)
    return path


def test_nothing_set_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path / "new" / "home"))
    assert load(None) == Settings()
    assert home() == tmp_path / "new" / "home"
    assert (home().stat().st_mode & 0o777) == 0o700


def test_three_lines_use_an_endpoint(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "base_url: https://api.example.com/v1\napi_key: k\nmodel: big-coder\n"))
    entry = settings.all_models()["big-coder"]
    assert (entry.base_url, entry.api_key, entry.model) == ("https://api.example.com/v1", "k", "big-coder")


def test_the_state_folder_file_is_read_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path))
    written(tmp_path, "server: {port: 9123}\n")
    assert load(None).server.port == 9123


def test_options_win_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "server: {port: 9123, host: 0.0.0.0}\n")
    server = load(path, {"server": {"port": 1}}).server
    assert (server.port, server.host) == (1, "0.0.0.0")


def test_licensed_models_are_fetched_with_the_token_of_the_hubs_own_tools_unless_one_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert Settings().hub.token is None
    monkeypatch.setenv("HF_TOKEN", "hf_theirs")
    assert load(written(tmp_path, "model: starter\n")).hub.token == "hf_theirs"
    assert load(written(tmp_path, "hub:\n  token: hf_ours\n")).hub.token == "hf_ours"


def test_keys_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_KEY", "s3cret")
    text = "models:\n  a: {base_url: 'http://x/v1', api_key: '${TEAM_KEY}', model: '${TEAM_MODEL:-m}'}\n"
    entry = load(written(tmp_path, text)).all_models()["a"]
    assert (entry.api_key, entry.model) == ("s3cret", "m")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "mapping"),
        ("a: [", "not YAML"),
        ("colour: red", "colour"),
        ("server: {port: 99999}", "server.port"),
        ("models: {a: {}}", "models.a"),
        ("models: {a: {path: x.gguf, base_url: 'http://x'}}", "give one of"),
        ("models: {a: {base_url: 'ftp://x'}}", "http"),
        ("models: {'a b': {path: x.gguf}}", "models"),
        ("base_url: http://x/v1", "needs `model`"),
        ("api_key: x", "needs `base_url`"),
        ("model: ${NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE"),
    ],
)
def test_a_wrong_file_is_refused_with_the_field_at_fault(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load(written(tmp_path, text))
    assert said in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"nothing\.yaml"):
        load(tmp_path / "nothing.yaml")


def test_a_key_in_the_environment_must_be_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEWEFT_API_KEY", "short")
    with pytest.raises(InvalidRequest, match="at least 8"):
        environment_key()
    monkeypatch.setenv("CODEWEFT_API_KEY", "long enough")
    assert environment_key() == "long enough"
    monkeypatch.delenv("CODEWEFT_API_KEY")
    assert environment_key() is None


def test_the_name_of_a_model_alone_turns_a_stage_of_searching_on(tmp_path: Path) -> None:
    text = "index: {encoder: vectors, reranker: {model: coder, kind: llm}, translate: coder}\n"
    index = load(written(tmp_path, text)).index
    assert index.encoder is not None and index.encoder.model == "vectors"
    assert index.reranker is not None and (index.reranker.model, index.reranker.kind) == ("coder", "llm")
    assert index.translate is not None and not index.translate.instead
    assert Settings().index.encoder is None


def test_prices_and_summaries_are_checked(tmp_path: Path) -> None:
    for text in ("prices: {coder: {input: -1, output: 0}}\n", "summaries: {when: sometimes}\n"):
        with pytest.raises(InvalidRequest):
            load(written(tmp_path, text))
