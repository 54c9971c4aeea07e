"""SeaweedFS as S3, all of it in one process."""

from __future__ import annotations

import os
from string import Template

from ..layout import CONFIG, HOME, HOST
from ..process import Launch
from .base import Component

_BUCKET, _REGION = "lake", "us-east-1"
_S3, _S3_GRPC = 33, 34
_MASTER, _MASTER_GRPC = 35, 36
_VOLUME, _VOLUME_GRPC = 37, 38
_FILER, _FILER_GRPC = 39, 40
_ICEBERG = 41
_ADMIN = 42
# The admin part's gRPC port is its HTTP port plus this; its worker dials nothing else.
_GRPC_DISTANCE = 10000


class ObjectStore(Component):
    name = "s3"

    @property
    def address(self) -> str:
        return self.stack.url(_S3)

    @property
    def ports(self) -> list[int]:
        offsets = range(_S3, _ICEBERG + 1)
        return [*map(self.stack.port, offsets), self._admin_port, self._admin_port + _GRPC_DISTANCE]

    @property
    def _admin_port(self) -> int:
        # Stacks may lie 10000 apart (demo and test do), where one's gRPC port would be the other's admin port:
        # odd and even ten-thousands therefore take neighbouring offsets.
        parity = self.stack.port_base // _GRPC_DISTANCE % 2
        return self.stack.port(_ADMIN + parity)

    @property
    def _identities(self):
        return self.data / "identities.json"

    def prepare(self) -> None:
        super().prepare()
        (self.data / "files").mkdir(exist_ok=True)
        text = Template((CONFIG / "s3.json").read_text()).substitute(
            S3_ADMIN_SECRET=self.secrets["s3_admin"],
            S3_WRITER_SECRET=self.secrets["s3_writer"],
            S3_READER_SECRET=self.secrets["s3_reader"],
        )
        with open(os.open(self._identities, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)

    def launch(self) -> Launch:
        port = self.stack.port
        options = {
            "dir": self.data / "files",
            "ip": HOST,
            "ip.bind": HOST,
            "master.port": port(_MASTER),
            "master.port.grpc": port(_MASTER_GRPC),
            "master.telemetry": "false",
            "volume.port": port(_VOLUME),
            "volume.port.grpc": port(_VOLUME_GRPC),
            "filer.port": port(_FILER),
            "filer.port.grpc": port(_FILER_GRPC),
            "s3.port": port(_S3),
            "s3.port.grpc": port(_S3_GRPC),
            "s3.port.iceberg": port(_ICEBERG),
            "s3.port.lance": 0,
            "s3.config": self._identities,
            "s3.iam": "false",
            # Relative to the process's folder; the default lies in the machine's /tmp and stays there.
            "s3.localSocket": "s3.sock",
            "filer.localSocket": "filer.sock",
            "bucket": _BUCKET,
            "webdav": "false",
            "admin.ui": "false",
            "admin.port": self._admin_port,
        }
        weed = str(HOME / "venv" / "bin" / "weed")
        return Launch([weed, "mini", *(f"-{key}={value}" for key, value in options.items())], self.data)

    def ask(self, timeout: float) -> None:
        # An open port says little here: right after a restart the volumes may still be missing.
        client, key = self._client(timeout), ".stack-probe"
        client.put_object(Bucket=_BUCKET, Key=key, Body=b"ready")
        if client.get_object(Bucket=_BUCKET, Key=key)["Body"].read() != b"ready":
            raise OSError("S3 returned other bytes than were stored")
        client.delete_object(Bucket=_BUCKET, Key=key)

    def _client(self, timeout: float):
        from .aws import client

        keys = ("meterwaywriter", self.secrets["s3_writer"])
        return client("s3", self.address, _REGION, keys, timeout)

    def settings(self) -> dict[str, str]:
        return {
            "S3_ENDPOINT": self.address,
            "S3_BUCKET": _BUCKET,
            "S3_REGION": _REGION,
            "S3_ACCESS_KEY": "meterwaywriter",
            "S3_SECRET_KEY": self.secrets["s3_writer"],
            "S3_READER_ACCESS_KEY": "meterwayreader",
            "S3_READER_SECRET_KEY": self.secrets["s3_reader"],
            "S3_ADMIN_ACCESS_KEY": "meterwayadmin",
            "S3_ADMIN_SECRET_KEY": self.secrets["s3_admin"],
        }
