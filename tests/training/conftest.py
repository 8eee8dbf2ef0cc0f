import os
import sys
from pathlib import Path

import pytest
from starter_samples import MODULE

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


@pytest.fixture
def shared_data() -> Path:
    folder = Path(os.environ.get("CODEWEFT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.exists():
        pytest.skip(f"no third-party benchmark data at {folder}; set CODEWEFT_SHARED_DATA")
    return folder


@pytest.fixture
def module() -> str:
    return MODULE
