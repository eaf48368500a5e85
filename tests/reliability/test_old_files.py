"""Files of an older fastmlp load for ever, and go on to the same bits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from old_files import MODELS, facts, table_facts

# Lines are added, with what `PYTHONPATH=tests python tests/reliability/old_files.py` prints, and never changed.
KEPT = {
    "0.1.0/expected.json": "2290de7e7caf6993628bf4c868bcac2ece75e3ed75860ab361db6f81bceab5b9",
    "0.1.0/table.safetensors": "2877fc57d146ec737eb88c1946b63b56f9e6b78411a32fb567a791bc3cdfe45d",
    "0.1.0/within_an_epoch.safetensors": "7f792672011430fdcebd37dd9cb33d291edd1dc2c2fa41cb1fd39727df6810e9",
    "0.1.0/without_optimizer.safetensors": "55950a0c9e31348eb67ec6a1c87be3aef170554a0adc39e8579f8938c42ad14f",
}


def test_the_old_files_are_those_that_were_written() -> None:
    found = {path.relative_to(MODELS).as_posix(): path for path in MODELS.glob("*/*")}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()} == KEPT


@pytest.mark.parametrize("name", [name for name in KEPT if name.endswith(".safetensors")])
def test_an_old_file_predicts_and_trains_on_to_the_bits_it_did(name: str, tmp_path: Path, tried) -> None:
    path = MODELS / name
    expected = json.loads((path.parent / "expected.json").read_text())[path.name]
    of_table = expected.pop("table", None)
    assert facts(path) == expected
    if of_table:
        assert table_facts(path, tmp_path) == of_table
    tried("a file of an older fastmlp loaded, its predictions and one more epoch compared bit by bit", 1)
