"""PostgreSQL: one throw-away cluster for metadata, the Iceberg catalog and the warehouse."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from functools import cached_property
from pathlib import Path

from ..errors import StackError
from ..layout import CONFIG, HOST, LOOPBACK
from ..process import Launch, as_account
from .base import Component

_PORT = 32
_ROLES = ("metadata_owner", "metadata_app", "iceberg", "loader", "dbt", "reader", "meterway_dashboard")
_SERVER_OPTIONS = {
    "listen_addresses": HOST,
    # Clients come over TCP; a socket's path would be limited to 107 characters.
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "128MB",
    # Throw-away data: survives the death of a process, not of the machine.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class Postgres(Component):
    name = "postgres"
    # "Fast": open sessions are ended. SIGTERM would wait for every client to leave.
    stop_signal = signal.SIGINT

    @property
    def address(self) -> str:
        return f"{HOST}:{self.stack.port(_PORT)}"

    @property
    def ports(self) -> list[int]:
        return [self.stack.port(_PORT)]

    @cached_property
    def _account(self) -> str | None:
        """PostgreSQL refuses to run as root: root starts it as `postgres`."""
        return "postgres" if os.geteuid() == 0 else None

    @cached_property
    def data(self) -> Path:
        """The stack's folder, or one under /var/tmp where the account cannot reach into the checkout (below /root)."""
        folder = self.stack.folder / self.name
        folder.mkdir(parents=True, exist_ok=True)
        if self._account is None or self._reachable(folder):
            return folder
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        return Path("/var/tmp") / f"meterway-postgres-{digest}"

    def _reachable(self, folder: Path) -> bool:
        return subprocess.run(["test", "-x", folder], **as_account(self._account)).returncode == 0

    def prepare(self) -> None:
        super().prepare()
        if self._account:
            shutil.chown(self.data, self._account, self._account)
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise()

    @property
    def _cluster(self) -> Path:
        return self.data / "cluster"

    def _initialise(self) -> None:
        # Left over from an attempt that was interrupted.
        shutil.rmtree(self._cluster, ignore_errors=True)
        password_file = self.data / "superuser-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.secrets["postgres"])
        if self._account:
            shutil.chown(password_file, self._account)
        command = [_program("initdb"), f"--pgdata={self._cluster}", "--username=postgres", f"--pwfile={password_file}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(command, cwd=self.data, capture_output=True, text=True, **as_account(self._account))
        password_file.unlink()
        if done.returncode:
            raise StackError(f"initdb failed in {self._cluster}:\n{done.stdout}{done.stderr}")
        if HOST != LOOPBACK:
            with (self._cluster / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet scram-sha-256\n")

    def launch(self) -> Launch:
        command = [_program("postgres"), "-D", str(self._cluster), "-p", str(self.stack.port(_PORT))]
        for key, value in _SERVER_OPTIONS.items():
            command += ["-c", f"{key}={value}"]
        return Launch(command, self.data, account=self._account)

    def ask(self, timeout: float) -> None:
        import psycopg2

        connection = psycopg2.connect(self._url("postgres", "postgres"), connect_timeout=max(1, int(timeout)))
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.close()

    def settle(self) -> None:
        marker = self.data / "set-up"
        wanted = hashlib.sha256((CONFIG / "postgres.sql").read_bytes()).hexdigest()
        if marker.exists() and marker.read_text() == wanted:
            return
        command = [_program("psql"), "--no-psqlrc", "--quiet", "--file", str(CONFIG / "postgres.sql")]
        for role in _ROLES:
            command += ["--set", f"{role}={self.secrets[role]}"]
        command.append(self._url("postgres", "postgres"))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise StackError(f"The databases and roles could not be made:\n{done.stderr}")
        marker.write_text(wanted)

    def _url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{self.secrets[role]}@{self.address}/{database}"

    def settings(self) -> dict[str, str]:
        return {
            "METADATA_OWNER_URL": self._url("metadata_owner", "metadata"),
            "METADATA_APP_URL": self._url("metadata_app", "metadata"),
            "ICEBERG_CATALOG_URL": self._url("iceberg", "iceberg"),
            "WAREHOUSE_LOADER_URL": self._url("loader", "warehouse"),
            "WAREHOUSE_DBT_URL": self._url("dbt", "warehouse"),
            "WAREHOUSE_READER_URL": self._url("reader", "warehouse"),
            "WAREHOUSE_DASHBOARD_URL": self._url("meterway_dashboard", "warehouse"),
            "DASHBOARD_STORE_URL": self._url("meterway_dashboard", "dashboard"),
            "POSTGRES_ADMIN_URL": self._url("postgres", "postgres"),
        }


def _program(name: str) -> str:
    """A PostgreSQL program of the newest version on this machine; Debian keeps the server's out of PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for folder in versions:
        if (folder / "postgres").exists():
            return str(folder / name)
    if found := shutil.which(name):
        return found
    raise StackError(f"PostgreSQL's {name} is not on this machine: run deploy/local/setup.sh.")
