#!/usr/bin/env python3
"""Makes an OCI image from a built program, without a container engine:

    image.py OUT.tar REFERENCE PROGRAM [FOLDER=PLACE]

FOLDER's files are put below PLACE in the image, such as web/dist=usr/share/meterway/web.

The image holds the program, the shared libraries that it is linked to, the CA certificates of this machine, and nothing
else: no shell, no package manager. It runs as user 65532. The same input makes the same bytes. `ctr images import`,
`skopeo copy oci-archive:` and `podman load` take it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

USER = "65532"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/:/usr/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/usr/sbin/nologin\n",
    "etc/group": b"root:x:0:\nnonroot:x:65532:\n",
    # Without it glibc would not read /etc/hosts, where a pod finds its own name.
    "etc/nsswitch.conf": b"hosts: files dns\n",
}


class Layer:
    """The one layer of an image: files and the folders that lead to them, without times or owners."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w")
        self._folders: set[str] = set()

    def add(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self.folder(os.path.dirname(name))
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        self._tar.addfile(entry, io.BytesIO(content))

    def folder(self, name: str, mode: int = 0o755) -> None:
        if not name or name in self._folders:
            return
        self.folder(os.path.dirname(name))
        self._folders.add(name)
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(entry)

    def content(self) -> bytes:
        self._tar.close()
        return self._bytes.getvalue()


def libraries(program: Path) -> list[str]:
    """Paths of the shared libraries and the loader that the program is linked to; none when it is static."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    return sorted(set(re.findall(r"(/\S+) \(0x", done.stdout)))


def stripped(program: Path) -> bytes:
    """The program without debugging information, which is most of a debug build."""
    with tempfile.NamedTemporaryFile() as file:
        done = subprocess.run(["strip", "-o", file.name, str(program)], capture_output=True, check=False)
        return Path(file.name).read_bytes() if done.returncode == 0 else program.read_bytes()


def layer(program: Path, folders: dict[Path, str]) -> bytes:
    made = Layer()
    made.folder("tmp", 0o1777)
    for name, content in ACCOUNTS.items():
        made.add(name, content)
    if CERTIFICATES.exists():
        made.add(str(CERTIFICATES).lstrip("/"), CERTIFICATES.read_bytes())
    for library in libraries(program):
        made.add(library.lstrip("/"), Path(library).read_bytes(), 0o755)
    made.add(f"usr/bin/{program.name}", stripped(program), 0o755)
    for folder, place in folders.items():
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            made.add(f"{place}/{file.relative_to(folder)}", file.read_bytes())
    return made.content()


def archive(reference: str, program: Path, folders: dict[Path, str]) -> bytes:
    """The whole image as an OCI archive."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    content = layer(program, folders)
    files = blob(content, "application/vnd.oci.image.layer.v1.tar")
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": {"Entrypoint": [f"/usr/bin/{program.name}"], "User": f"{USER}:{USER}", "Env": ["PATH=/usr/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [files["digest"]]},
        "history": [{"created_by": "image.py"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [files],
    }
    described = blob(json.dumps(manifest).encode(), manifest["mediaType"])
    described["platform"] = {"os": "linux", "architecture": config["architecture"]}
    described["annotations"] = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference.rsplit(":", 1)[-1],
    }
    outer = Layer()
    outer.add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    outer.add("index.json", json.dumps({"schemaVersion": 2, "manifests": [described]}).encode())
    for name, data in blobs.items():
        outer.add(name, data)
    return outer.content()


def main() -> int:
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    out, reference, program = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    if not program.is_file():
        print(f"{program} is not there: build it first (make build).", file=sys.stderr)
        return 1
    folders = {Path(source): place for source, _, place in (given.partition("=") for given in sys.argv[4:])}
    for folder in folders:
        if not folder.is_dir():
            print(f"{folder} is not there: build it first (make web-build).", file=sys.stderr)
            return 1
    data = archive(reference, program, folders)
    # Written beside and renamed: who finds the file finds a whole one.
    partial = out.with_suffix(".partial")
    partial.write_bytes(data)
    partial.rename(out)
    print(f"{reference}: {len(data) / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
