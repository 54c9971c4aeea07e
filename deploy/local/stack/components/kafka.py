"""Apache Kafka in KRaft mode: one node, or one of three."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from ..errors import StackError
from ..layout import CONFIG, HOME, HOST, Stack
from ..process import Launch
from .base import Component

_BROKER, _CONTROLLER = 92, 93
_SYNC_LIMIT_S = 60
# 16 bytes in base64, fixed: a broker never meets another stack's.
_CLUSTER_ID = "bWV0ZXJ3YXktbG9jYWwtMQ"


class Kafka(Component):
    """A broker that is a controller too. One alone is called `kafka`, three are `kafka-1` to `kafka-3`."""

    def __init__(self, stack: Stack, node: int) -> None:
        self.node = node
        self.name = "kafka" if stack.brokers == 1 else f"kafka-{node}"
        super().__init__(stack)

    @property
    def lib(self) -> Path:
        return HOME / "lib" / "kafka"

    @property
    def address(self) -> str:
        return self._at(self.node, _BROKER)

    @property
    def ports(self) -> list[int]:
        return [self._port(self.node, _BROKER), self._port(self.node, _CONTROLLER)]

    def _port(self, node: int, role: int) -> int:
        return self.stack.port(role + 2 * (node - 1))

    def _at(self, node: int, role: int) -> str:
        return f"{HOST}:{self._port(node, role)}"

    @property
    def _nodes(self) -> range:
        return range(1, self.stack.brokers + 1)

    @property
    def _properties(self):
        return self.data / "server.properties"

    def prepare(self) -> None:
        super().prepare()
        text = (CONFIG / "kafka.properties").read_text()
        for name, value in self._values().items():
            text = text.replace(f"{{{name}}}", str(value))
        self._properties.write_text(text)
        if not (self.data / "log" / "meta.properties").exists():
            self._format()

    def _values(self) -> dict[str, object]:
        return {
            "node": self.node,
            "voters": ",".join(f"{node}@{self._at(node, _CONTROLLER)}" for node in self._nodes),
            "broker": self.address,
            "controller": self._at(self.node, _CONTROLLER),
            "data": self.data / "log",
            "copies": self.stack.brokers,
            # Of three copies one may be away.
            "in_sync": max(1, self.stack.brokers - 1),
        }

    def _format(self) -> None:
        command = self._java("-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format")
        command += ["--cluster-id", _CLUSTER_ID, "--config", str(self._properties)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise StackError(f"Kafka could not format its folder {self.data}:\n{done.stdout}{done.stderr}")

    def launch(self) -> Launch:
        heap = ("-Xms256m", "-Xmx512m") if self.stack.brokers == 1 else ("-Xms128m", "-Xmx384m")
        options = (*heap, "-XX:+UseG1GC")
        return Launch(self._java(*options, "kafka.Kafka", str(self._properties)), self.data)

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={CONFIG / 'log4j2.properties'}"
        return ["java", "-cp", f"{self.lib}/*", logging, *arguments]

    def ask(self, timeout: float) -> None:
        if self.node not in self._metadata(timeout).brokers:
            raise OSError(f"the cluster does not know broker {self.node} yet")

    def _metadata(self, timeout: float):
        from confluent_kafka.admin import AdminClient

        # The client would print every refused connection of the first seconds.
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0, "reconnect.backoff.max.ms": 100})
        return client.list_topics(timeout=timeout)

    def settle(self) -> None:
        # Who restarts one broker after the other must not go on while this one still lags behind.
        deadline = time.monotonic() + _SYNC_LIMIT_S
        while behind := self._behind():
            if time.monotonic() > deadline:
                raise StackError(f"answers, but does not catch up with {', '.join(behind[:5])} ({len(behind)} partitions)")
            time.sleep(0.2)

    def _behind(self) -> list[str]:
        """Partitions that have a leader and of which this broker's copy is not in step."""
        topics = self._metadata(10).topics.values()
        partitions = [(topic.topic, part) for topic in topics for part in topic.partitions.values()]
        return [
            f"{topic}-{part.id}"
            for topic, part in partitions
            if part.leader >= 0 and self.node in part.replicas and self.node not in part.isrs
        ]

    def settings(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP": ",".join(self._at(node, _BROKER) for node in self._nodes)}
