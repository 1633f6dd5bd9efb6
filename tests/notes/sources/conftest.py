import io
import zipfile

import pytest


def as_bytes(content):
    return content if isinstance(content, bytes) else content.encode()


def packed(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, as_bytes(content))
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"


@pytest.fixture
def laid_out(tmp_path):
    """A vault on the disk: a folder, or a zip where its name ends so."""

    def lay_out(files, name="vault"):
        root = tmp_path / name
        if name.endswith(".zip"):
            root.write_bytes(packed(files))
            return root
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(as_bytes(content))
        return root

    return lay_out
