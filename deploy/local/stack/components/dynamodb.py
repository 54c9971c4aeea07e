"""DynamoDB Local, kept on one address by a wrapper of ours."""

from __future__ import annotations

from ..layout import HOST
from ..process import Launch
from .base import Component

_HTTP = 80
_REGION = "us-east-1"
_ACCESS_KEY = "meterwaylocal"


class DynamoDb(Component):
    name = "dynamodb"

    @property
    def address(self) -> str:
        return self.stack.url(_HTTP)

    @property
    def ports(self) -> list[int]:
        return [self.stack.port(_HTTP)]

    def launch(self) -> Launch:
        command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [f"-Djava.library.path={self.lib}", f"-Dhost={HOST}"]
        command += ["-cp", f"{self.lib}/classes:{self.lib}/*", "LoopbackDynamoDb"]
        command += ["-port", str(self.stack.port(_HTTP)), "-sharedDb", "-disableTelemetry", "-dbPath", str(self.data)]
        return Launch(command, self.data)

    def ask(self, timeout: float) -> None:
        from .aws import client

        client("dynamodb", self.address, _REGION, (_ACCESS_KEY, self.secrets["aws"]), timeout).list_tables(Limit=1)

    def settings(self) -> dict[str, str]:
        return {
            "DYNAMODB_ENDPOINT": self.address,
            "AWS_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": self.secrets["aws"],
        }
