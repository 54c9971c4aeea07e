"""Keycloak with the realm `meterway`, for the demo: what people sign in to."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..layout import HOST
from ..process import Launch
from .oidc import REALM_FILES, Oidc

_REALM = "meterway"
# The program's own folders; everything else below its home is one stack's.
_PROGRAM = ("lib", "conf", "themes", "providers")
_MODULES = ("java.util", "java.util.concurrent", "java.security")


class Keycloak(Oidc):
    name = "keycloak"
    choice = "keycloak"
    # The slowest to start, and nobody signs in before there is something to see: `up` does not wait for it.
    awaited = False

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}/realms/{_REALM}"

    @property
    def keys(self) -> str:
        return f"{self.address}/protocol/openid-connect/certs"

    @property
    def archive(self) -> Path:
        """The classes of a start, ready for the JVM; the first start of an installation writes it."""
        return self.lib / "start.jsa"

    @property
    def database(self) -> Path:
        """The database of a Keycloak that has no realm yet, from the same start."""
        return self.lib / "h2"

    def prepare(self) -> None:
        super().prepare()
        self.link_program()
        imports = self.data / "data" / "import"
        shutil.copytree(REALM_FILES, imports, dirs_exist_ok=True)
        if not (self.data / "data" / "h2").exists():
            shutil.copytree(self.database, self.data / "data" / "h2")

    def link_program(self) -> None:
        """Makes the stack's folder a home of Keycloak."""
        for folder in _PROGRAM:
            link = self.data / folder
            if not link.is_symlink():
                link.symlink_to(self.lib / folder)

    def launch(self) -> Launch:
        # The realm's file takes from it where the client may be sent back to.
        environment = {"METERWAY_DASHBOARD_PORT": str(self.dashboard_port)}
        return Launch(self.java(f"-XX:SharedArchiveFile={self.archive}"), self.data, environment)

    def java(self, *options: str) -> list[str]:
        """What `kc.sh` would run, with a quick start preferred to fast code, and after all others when cores are rare."""
        command = ["nice", "-n", "10", "java", "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [*options, *(f"--add-opens=java.base/{module}=ALL-UNNAMED" for module in _MODULES)]
        command += [f"-D{key}={value}" for key, value in self._properties().items()]
        # The archive is good for exactly this path of the program, so not for a stack's link to it.
        command += ["-cp", str(self.lib / "lib" / "quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint"]
        command += ["start", "--optimized", "--http-enabled=true", f"--http-host={HOST}", f"--http-port={self.port}"]
        return [*command, f"--hostname=http://{HOST}:{self.port}", "--cache=local", "--import-realm"]

    def _properties(self) -> dict[str, object]:
        return {
            "kc.home.dir": self.data,
            "jboss.server.config.dir": self.data / "conf",
            "java.util.logging.manager": "org.jboss.logmanager.LogManager",
            "java.util.concurrent.ForkJoinPool.common.threadFactory": (
                "io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory"
            ),
            "picocli.disable.closures": "true",
        }
