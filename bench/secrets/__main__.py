"""How many secrets are found, how often code is mistaken for one, and how fast: ours beside other scanners.

    python -m bench.secrets --rules gitleaks.toml --code FOLDER --scanners codeweft,kingfisher,detect-secrets

Samples are strings made from the expressions of a gitleaks rule file, three for each rule, in a line of code (needs
`rstr`; rules whose expression it cannot turn around are listed). A sample counts as found when anything in its line
is. Alarms are counted over all text files below FOLDER, which should hold no real secrets. Peers must be installed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from codeweft.retrieval.redact import Redactor
from codeweft.retrieval.secret_rules import entropy
from codeweft.retrieval.secrets import by_shape

Scanner = Callable[[str, str], int]
SAMPLES = 3
TRIES = 200
LARGEST = 1_000_000
_NAME = r"""(?:[ \t\w.-]{0,20})[\s'"]{0,3}"""
_IS = r"""(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"""
_END = r"""(?:[\x60'"\s;]|\\[nr]|$)"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rules", type=Path, required=True)
    parser.add_argument("--code", type=Path, required=True)
    parser.add_argument("--scanners", default="codeweft,own-rules,kingfisher")
    options = parser.parse_args()
    samples, skipped = sampled(options.rules)
    files = list(texts(options.code))
    size = sum(len(text) for _, text in files) / 1e6
    print(
        f"{len(samples)} samples of {len({rule for rule, _ in samples})} rules; left out: {', '.join(skipped)}"
    )
    print(f"{len(files)} files, {size:.1f} MB")
    for name in options.scanners.split(","):
        scan = SCANNERS[name]()
        found = [bool(scan(line, "sample.py")) for _, line in samples]
        began = time.process_time()
        alarms = [scan(text, str(path)) for path, text in files]
        speed = size / (time.process_time() - began)
        hit = sum(map(bool, alarms)) / len(files) * 1000
        print(
            f"{name:16} recall {sum(found) / len(found):.3f}  alarms per 1,000 files {sum(alarms) / len(files) * 1000:.1f}"
            f" (in {hit:.1f} files)  {speed:.1f} MB/s of one core"
        )


def sampled(rules: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Rule and line of code for each sample, and the rules without any."""
    import rstr

    made = rstr.Rstr(random.Random(7))
    samples: list[tuple[str, str]] = []
    skipped = []
    for rule in tomllib.loads(rules.read_text())["rules"]:
        before = len(samples)
        pattern = _simple(rule.get("regex", ""))
        for _ in range(TRIES if pattern else 0):
            try:
                text = made.xeger(pattern)
            except (ValueError, re.error):
                break
            value = text.rpartition('= "')[2]
            odd = not text.isprintable() and "private" not in rule["id"]
            if odd or len(text) > 3000 or entropy(value) < max(rule.get("entropy") or 0, 2.0):
                continue
            samples.append((rule["id"], f'{text}"' if '= "' in text else f'value = "{text}"'))
            if len(samples) - before == SAMPLES:
                break
        if len(samples) == before:
            skipped.append(rule["id"])
    return samples, skipped


def _simple(pattern: str) -> str:
    """The expression as a generator can turn it around: no borders, an assignment in one form."""
    for old, new in (
        ("[[:alnum:]]", "[A-Za-z0-9]"), (r"\z", "$"), (_END, ""), (r"[\w.-]{0,50}?", ""), (_NAME, "_key"),
        (_IS, ' = "'), (r"\b", ""), ("(?i)", ""), ("(?-i:", "(?:"), ("(?i:", "(?:"),
    ):  # fmt: skip
        pattern = pattern.replace(old, new)
    return pattern


def texts(root: Path) -> Iterator[tuple[Path, str]]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        for name in sorted(names):
            path = Path(folder, name)
            if (
                path.is_file()
                and path.stat().st_size < LARGEST
                and b"\0" not in (data := path.read_bytes())[:8000]
            ):
                yield path, data.decode("utf-8", "replace")


def _codeweft() -> Scanner:
    redactor = Redactor()
    redactor.redact("ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a")
    return lambda text, path: len(redactor.redact(text, path).found)


def _own_rules() -> Scanner:
    return lambda text, path: sum(1 for _ in by_shape(text, path))


def _kingfisher() -> Scanner:
    from kingfisher_sdk import Rules
    from kingfisher_sdk import Scanner as Kingfisher

    scanner = Kingfisher(Rules(), base64=False)
    return lambda text, _: sum(finding.visible for finding in scanner.scan(text.encode("utf-8", "replace")))


def _detect_secrets() -> Scanner:
    from detect_secrets.core import scan
    from detect_secrets.settings import default_settings

    folder = Path(tempfile.mkdtemp())

    def count(text: str, path: str) -> int:
        copy = folder / Path(path).name
        copy.write_text(text, encoding="utf-8", errors="replace")
        with default_settings():
            return sum(1 for _ in scan.scan_file(str(copy)))

    return count


def _betterleaks() -> Scanner:
    import betterleaks

    return lambda text, _: len(betterleaks.scan_string(text))


SCANNERS: dict[str, Callable[[], Any]] = {
    "codeweft": _codeweft,
    "own-rules": _own_rules,
    "kingfisher": _kingfisher,
    "detect-secrets": _detect_secrets,
    "betterleaks": _betterleaks,
}

if __name__ == "__main__":
    main()
