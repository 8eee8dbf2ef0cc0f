import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from training import corpus

HAND_WRITTEN = (
    'def greet(name):\n    """Greets somebody by name, politely, in English."""\n    return f"hello {name}"\n'
    * 3
)


def put_wheel(folder: Path, name: str, licence: str, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Name: {name}\nLicense-Expression: {licence}\n")
        for path, text in files.items():
            wheel.writestr(path, text)


def put_npm(folder: Path, name: str, licence: str, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{name}-1.0.tgz", "w:gz") as tar:
        for path, text in {"package/package.json": json.dumps({"license": licence}), **files}.items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))


def listed(*packages: tuple[str, str]) -> list[corpus.Package]:
    return [corpus.Package(ecosystem, name, "1.0", "MIT") for ecosystem, name in packages]


def test_the_package_list_names_no_benchmark_and_only_permissive_licences() -> None:
    packages = corpus.packages()
    assert len(packages) > 1000
    assert all(corpus.is_permissive(package.licence) for package in packages)
    assert len({(package.ecosystem, package.name) for package in packages}) == len(packages)


def test_a_list_with_a_benchmark_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "packages.tsv"
    path.write_text("pypi\tflask\t3.1.3\tBSD-3-Clause\n")
    with pytest.raises(ValueError, match="flask"):
        corpus.packages(path)


@pytest.mark.parametrize(
    "name", ["golang-github-spf13-cobra-dev", "librust-axum-dev", "ruby-rack", "click", "libuv1"]
)
def test_benchmark_packages_are_known_under_the_names_of_their_distribution(name: str) -> None:
    assert corpus.is_benchmark(name)


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True), ("Apache-2.0 OR GPL-2.0", True), ("BSD License and MIT License", True),
        ("Apache-2.0 WITH LLVM-exception", True), ("GPL-3.0-or-later", False), ("MPL-2.0 AND MIT", False),
        ("LGPL-2.1-only", False), ("", False), ("Other/Proprietary License", False), ("SEE LICENSE IN LICENSE", False),
    ],
)  # fmt: skip
def test_licences_are_judged_by_alternative(licence: str, permissive: bool) -> None:
    assert corpus.is_permissive(licence) is permissive


def test_what_is_already_there_is_not_fetched_again_and_copyleft_is_refused(tmp_path: Path) -> None:
    put_wheel(tmp_path / "pypi", "kind", "MIT", {"kind/core.py": HAND_WRITTEN})
    put_wheel(tmp_path / "pypi", "strict", "GPL-3.0-only", {"strict/core.py": HAND_WRITTEN + "# other\n"})
    corpus.fetch(tmp_path, ["pypi"], listed=listed(("pypi", "kind"), ("pypi", "strict")))
    assert [(source.package, source.licence) for source in corpus.files(tmp_path, {"python"})] == [
        ("kind", "MIT")
    ]


def test_files_drops_tests_generated_minified_and_repeated_code(tmp_path: Path) -> None:
    put_wheel(
        tmp_path / "pypi",
        "kind",
        "MIT",
        {
            "kind/core.py": HAND_WRITTEN,
            "kind/copy.py": HAND_WRITTEN,
            "kind/tests/test_core.py": HAND_WRITTEN + "# test\n",
            "kind/_vendor/other.py": HAND_WRITTEN + "# vendored\n",
            "kind/api_pb2.py": HAND_WRITTEN + "# protobuf\n",
            "kind/made.py": "# Automatically generated, do not edit\n" + HAND_WRITTEN,
            "kind/table.py": "ROWS = [\n" + "    (1, 22, 333),\n" * 200 + "]\n",
        },
    )
    put_npm(
        tmp_path / "npm",
        "small",
        "MIT",
        {
            "package/index.js": "export function greet(name) {\n  return `hello ${name}`;\n}\n" * 3,
            "package/index.min.js": "export function g(n){return n}\n" * 9,
            "package/packed.js": "var a=1;" * 400,
            "package/types.d.ts": "export declare function greet(name: string): string;\n" * 5,
        },
    )
    corpus.fetch(tmp_path, ["pypi", "npm"], listed=listed(("pypi", "kind"), ("npm", "small")))
    found = {
        (source.path, source.language)
        for source in corpus.files(tmp_path, {"python", "javascript", "typescript"})
    }
    assert found == {("kind/copy.py", "python"), ("package/index.js", "javascript")}


def test_text_that_is_not_utf8_is_no_source() -> None:
    assert corpus.clean(b"\xff\xfe" + b"def f(): pass\n" * 20) is None
    assert corpus.clean(HAND_WRITTEN.encode()) == HAND_WRITTEN
