"""The temporary folder of the tests of the embedded server."""

import pytest


@pytest.fixture(autouse=True)
def _temporary_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a folder that pytest removes: when its owner is killed, a server's folder is left behind."""
    folder = str(tmp_path_factory.mktemp("t"))
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr("tempfile.tempdir", folder)
