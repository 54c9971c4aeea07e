"""Apache Kafka, one node in KRaft mode."""

from __future__ import annotations

import subprocess

from ..errors import StackError
from ..layout import CONFIG, HOST
from ..process import Launch
from .base import Component

_BROKER, _CONTROLLER = 92, 93
# 16 bytes in base64, fixed: a broker never meets another stack's.
_CLUSTER_ID = "bWV0ZXJ3YXktbG9jYWwtMQ"


class Kafka(Component):
    name = "kafka"

    @property
    def address(self) -> str:
        return f"{HOST}:{self.stack.port(_BROKER)}"

    @property
    def ports(self) -> list[int]:
        return [self.stack.port(_BROKER), self.stack.port(_CONTROLLER)]

    @property
    def _properties(self):
        return self.data / "server.properties"

    def prepare(self) -> None:
        super().prepare()
        self._properties.write_text(
            (CONFIG / "kafka.properties")
            .read_text()
            .replace("{host}", HOST)
            .replace("{broker_port}", str(self.stack.port(_BROKER)))
            .replace("{controller_port}", str(self.stack.port(_CONTROLLER)))
            .replace("{data}", str(self.data / "log"))
        )
        if not (self.data / "log" / "meta.properties").exists():
            self._format()

    def _format(self) -> None:
        command = self._java("-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format")
        command += ["--cluster-id", _CLUSTER_ID, "--config", str(self._properties)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise StackError(f"Kafka could not format its folder {self.data}:\n{done.stdout}{done.stderr}")

    def launch(self) -> Launch:
        options = ("-Xms256m", "-Xmx512m", "-XX:+UseG1GC")
        return Launch(self._java(*options, "kafka.Kafka", str(self._properties)), self.data)

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={CONFIG / 'log4j2.properties'}"
        return ["java", "-cp", f"{self.lib}/*", logging, *arguments]

    def ask(self, timeout: float) -> None:
        from confluent_kafka.admin import AdminClient

        # The client would print every refused connection of the first seconds.
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0, "reconnect.backoff.max.ms": 100})
        client.list_topics(timeout=timeout)

    def settings(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP": self.address}
