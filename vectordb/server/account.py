"""The account of the operating system that PostgreSQL runs under.

For an ordinary user it is the same account. PostgreSQL refuses to run as root, so for root it is a system account that
owns the data and nothing else.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vectordb.errors import ServerError
from vectordb.server.extras import require

NAME = "vectordb"
STATE = Path("/var/lib/vectordb")

# PostgreSQL outlives us, and the rest of our environment may hold the application's secrets.
_ENVIRONMENT = ("LD_LIBRARY_PATH", "PATH", "TZ")
# Seconds for any program but the server itself; initdb takes about one.
_TIMEOUT = 300
# The shell starts its arguments in the background and ends, which leaves them without a parent that would have to reap.
_IN_BACKGROUND = ("/bin/sh", "-c", 'exec "$@" </dev/null &', "sh")


@dataclass(frozen=True)
class Account:
    """A user and its group."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether this is another account than ours; then we are root."""
        return self.uid != os.geteuid()

    def own(self, descriptor: int) -> None:
        """Make an open file or folder the account's."""
        if self.is_other:
            os.fchown(descriptor, self.uid, self.gid)

    def can(self, test: str, path: Path) -> bool:
        """Tell whether the account may do what a flag of test(1) says: `-x` to enter a folder, `-r` to read a file."""
        return self.run("test", test, path).returncode == 0

    def run(
        self, *command: str | Path, cwd: Path = Path("/"), stdin: str = "", keep: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; what it says on either channel is the result's `stdout`."""
        try:
            return subprocess.run(  # noqa: S603 - programs and paths of our own, and no shell reads them
                [str(part) for part in command],
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_TIMEOUT,
                check=False,
                **self._options(cwd, keep),
            )
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"{command[0]} did not finish within {_TIMEOUT} seconds.") from error

    def detach(self, *command: str | Path, cwd: Path, output: int, keep: Sequence[int]) -> None:
        """Start a program that outlives us: in a session without a terminal, with no file of ours open but `keep`."""
        subprocess.run(  # noqa: S603 - the shell gets a constant; the arguments it only passes on
            [*_IN_BACKGROUND, *(str(part) for part in command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,  # the caller watches the server itself
            **self._options(cwd, keep),
        )

    def _options(self, cwd: Path, keep: Sequence[int]) -> dict[str, Any]:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        identity = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}
        return {"cwd": cwd, "env": environment | {"LC_ALL": "C"}, "pass_fds": keep, **identity}


def server_account() -> Account:
    """Return the account that PostgreSQL runs under; as root, create it when it does not exist."""
    import pwd  # absent on Windows, where this module must still import

    uid = os.geteuid()
    if uid == 0:
        return _find() or _create()
    try:
        return Account(pwd.getpwuid(uid).pw_name, uid, os.getegid())
    except KeyError:  # a container may run under a number that has no name
        return Account(str(uid), uid, os.getegid())


def state_folder() -> Path:
    """Return root's own folder for what the server's account cannot reach elsewhere."""
    try:
        STATE.mkdir(parents=True)
        STATE.chmod(0o755)  # whatever the umask
    except FileExistsError:
        found = STATE.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise ServerError(f"{STATE} must be a folder that root owns and nobody else can write to.") from None
    return STATE


def _find() -> Account | None:
    import pwd

    try:
        found = pwd.getpwnam(NAME)
    except KeyError:
        return None
    if found.pw_uid == 0:
        raise ServerError(
            f"The account {NAME} is root, and PostgreSQL refuses to run as root: give it a uid of its own."
        )
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def _create() -> Account:
    way_out = f"Create the system user `{NAME}`, which PostgreSQL would run as, or run as an ordinary user."
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if useradd is None:
        raise ServerError(f"PostgreSQL refuses to run as root, and there is no useradd here. {way_out}")
    with require("filelock").FileLock(state_folder() / "lock"):
        if (account := _find()) is not None:  # another process was faster
            return account
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
        made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - constants
        if (account := _find()) is None:
            reason = made.stderr.strip() or f"exit status {made.returncode}"
            raise ServerError(f"PostgreSQL refuses to run as root, and useradd failed ({reason}). {way_out}")
        return account
