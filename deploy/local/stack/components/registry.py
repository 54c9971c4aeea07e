"""Apicurio Registry through its Confluent-compatible API, state in an H2 file."""

from __future__ import annotations

from ..layout import HOST
from ..process import Launch
from .base import Component, http

_HTTP, _MANAGEMENT = 81, 82


class Registry(Component):
    name = "registry"

    @property
    def address(self) -> str:
        return self.stack.url(_HTTP, "/apis/ccompat/v7")

    @property
    def ports(self) -> list[int]:
        return [self.stack.port(_HTTP), self.stack.port(_MANAGEMENT)]

    def launch(self) -> Launch:
        properties = {
            "quarkus.http.host": HOST,
            "quarkus.http.port": self.stack.port(_HTTP),
            "quarkus.management.host": HOST,
            "quarkus.management.port": self.stack.port(_MANAGEMENT),
            "apicurio.storage.kind": "sql",
            "apicurio.storage.sql.kind": "h2",
            "apicurio.storage.snapshot.location": self.data,
            "apicurio.datasource.url": f"jdbc:h2:file:{self.data}/registry",
            "apicurio.datasource.jdbc.initial-size": 2,
            "apicurio.datasource.jdbc.min-size": 2,
            "apicurio.datasource.jdbc.max-size": 10,
        }
        # A registry is asked rarely: a quick start is worth more than the best compiled code.
        command = ["java", "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [f"-D{key}={value}" for key, value in properties.items()]
        (jar,) = self.lib.glob("apicurio-registry-app-*-runner.jar")
        return Launch([*command, "-jar", str(jar)], self.data)

    def ask(self, timeout: float) -> None:
        http("GET", f"{self.address}/subjects", timeout=timeout)

    def settle(self) -> None:
        # It starts as NONE, which would let any change of a schema through.
        http("PUT", f"{self.address}/config", {"compatibility": "FULL_TRANSITIVE"}, timeout=10)

    def settings(self) -> dict[str, str]:
        return {"SCHEMA_REGISTRY_URL": self.address}
