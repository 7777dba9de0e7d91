"""Packs a built binary as Lambda wants it: a zip with one executable called `bootstrap`."""

import io
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from environment import LOCAL


def package(binary):
    """The zip's bytes. Debug symbols are nine tenths of a debug build, so they are left out where `strip` exists."""
    with tempfile.TemporaryDirectory(dir=LOCAL) as folder:
        bootstrap = Path(folder) / "bootstrap"
        strip = shutil.which("strip")
        if strip is None or subprocess.run([strip, "-o", bootstrap, binary], capture_output=True).returncode != 0:
            shutil.copyfile(binary, bootstrap)
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as writer:
            writer.writestr(entry, bootstrap.read_bytes(), zipfile.ZIP_DEFLATED, 1)
        return archive.getvalue()
