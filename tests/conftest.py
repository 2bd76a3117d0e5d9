"""What every test may lean on: no network, no hub, a folder of awkward real clips where there is one."""

import os
import shutil
import socket
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
if shutil.which("nvidia-smi") is None:  # read when triton is imported, so it must stand here
    os.environ.setdefault("TRITON_INTERPRET", "1")
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def awkward_data() -> Path:
    """Real files of awkward kinds, kept beside the repository and not in it."""
    folder = Path(os.environ.get("VLBIAS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the folder of awkward real clips is absent (set VLBIAS_TEST_DATA to its place)")
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that opens a connection fails."""

    def refuse(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise AssertionError(f"a test tried to connect to {address}")
        original(self, address)

    original = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)
