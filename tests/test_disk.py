"""The hash of files, whatever their size and number."""

import hashlib
from pathlib import Path

from vlbias.disk import sha256_of_file


def test_hash_of_several_files_is_that_of_their_bytes_in_a_row(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(bytes(range(256)) * 5000)  # more than one block
    second.write_bytes(b"end")
    both = first.read_bytes() + second.read_bytes()
    assert sha256_of_file(first, second) == hashlib.sha256(both).hexdigest()
    assert sha256_of_file(second, first) != sha256_of_file(first, second)
