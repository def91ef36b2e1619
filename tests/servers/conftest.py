"""Throw-away database servers: PostgreSQL and MariaDB as Debian packs them, on loopback, gone when the tests end.

They run as a user without rights, since neither starts as root. Where a server is not installed its tests skip.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "canary-of-a-password"
USER = "equity_reader"


@dataclass
class Server:
    """A running server. url: with a login that may do anything in its one database, so that only we keep it to reading.

    connect: an owner's DB-API connection in autocommit, for preparing tables. crash: signal that ends it at once.
    """

    kind: str
    command: Sequence[str]
    port: int
    url: str
    connect: Callable[[], Any]
    crash: signal.Signals
    log: Path
    user: str | None
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                user=self.user,
                cwd="/",
                preexec_fn=_dies_with_us,  # noqa: PLW1509 (one system call)
            )
        for _ in range(300):
            with contextlib.suppress(Exception):
                self.connect().close()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"{self.kind} did not start: {self.log.read_text(errors='replace')[-2000:]}")

    def stop(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
            self.process.kill()
            self.process.wait()

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the owner: the rows of the last, if it gives any."""
        with contextlib.closing(self.connect()) as con, contextlib.closing(con.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def _dies_with_us() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: also when the tests are killed


def _find(*names: str) -> str | None:
    """A server's program: on the path, or where Debian keeps PostgreSQL's."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for name in names:
        for folder in folders:
            if (folder / name).exists():
                return str(folder / name)
        if found := shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"):
            return found
    return None


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _unprivileged() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder with a short path (sockets need one) that the server's user owns."""
    folder = Path(tempfile.mkdtemp(prefix="equity-server-"))
    user = _unprivileged()
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, user=_unprivileged(), cwd="/", timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    program, initdb = _find("postgres"), _find("initdb")
    if program is None or initdb is None:
        pytest.skip("PostgreSQL's server is not installed")
    from adbc_driver_postgresql import dbapi

    with _folder() as folder:
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        how = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={password}", "--encoding=UTF8", "--no-sync"]
        _prepare([initdb, "-D", str(folder / "data"), "--locale=C.UTF-8", *how])
        port = _free_port()
        url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off"}
        command = [program, "-D", str(folder / "data"), *(f"--{key}={value}" for key, value in options.items())]
        server = Server(
            kind="postgresql",
            command=command,
            port=port,
            url=url,
            connect=lambda: dbapi.connect(url, autocommit=True),
            crash=signal.SIGQUIT,
            log=folder / "log",
            user=_unprivileged(),
        )
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGINT)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    program, install = _find("mariadbd", "mysqld"), _find("mariadb-install-db")
    if program is None or install is None:
        pytest.skip("MariaDB's server is not installed")
    import pymysql

    with _folder() as folder:
        data = f"--datadir={folder / 'data'}"
        _prepare([install, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db"])
        port, path = _free_port(), str(folder / "socket")
        command = [program, "--no-defaults", data, f"--socket={path}", f"--port={port}", "--bind-address=127.0.0.1"]
        server = Server(
            kind="mariadb",
            command=[*command, "--skip-log-bin"],
            port=port,
            url=f"mariadb://{USER}:{PASSWORD}@127.0.0.1:{port}/sis",
            connect=lambda: pymysql.connect(unix_socket=path, user="root", autocommit=True),
            crash=signal.SIGKILL,
            log=folder / "log",
            user=_unprivileged(),
        )
        try:
            server.start()
            server.run(
                "CREATE DATABASE sis",
                f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'",
                f"GRANT ALL ON sis.* TO {USER}@'%'",
            )
            server.connect = lambda: pymysql.connect(unix_socket=path, user="root", autocommit=True, database="sis")
            yield server
        finally:
            server.stop(signal.SIGTERM)


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each server in turn: what one keeps, the other keeps."""
    found: Server = request.getfixturevalue(request.param)
    return found
