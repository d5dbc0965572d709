"""The files of an embedded server.

In the folder that was asked for::

    .vectordb/            mode 0700
    ├── .gitignore        keeps all of this out of the project's repository
    ├── vectordb.json     the marker: version of this layout, and the home if it is elsewhere
    ├── lock              held while a process starts or stops the server
    └── (the home)

and in the server's home, which is the same folder unless root's server cannot reach that one::

    ├── alive             held by the server itself, see `liveness`
    ├── data/             PostgreSQL's own
    ├── password          mode 0600
    ├── server.conf       rewritten at each start
    ├── socket/           mode 0700; elsewhere if its path would be too long
    ├── start.log         what PostgreSQL said before it had opened its log
    └── log/

Removing the first folder does not remove a home that is elsewhere: the same path finds its data again.

As root we write only files that lie directly in these folders, and never through a link: the server's account owns the
folders, and must not be able to make root write elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vectordb.errors import ServerError
from vectordb.server import account as accounts
from vectordb.server.account import Account
from vectordb.server.configuration import PORT

LAYOUT_VERSION = 1

_MARKER = "vectordb.json"
_LOCK = "lock"
_NEW = ".new"
# What a first start that was interrupted, or that another process is busy with, may leave before there is a marker.
_BEFORE_MARKER = {_LOCK, _MARKER + _NEW}
_DIGEST = r"[0-9a-f]{16}"
# The longest address of a socket: 108 bytes with the closing NUL on Linux, 104 on macOS.
_LONGEST_SOCKET = 103


@dataclass(frozen=True)
class Layout:
    """Where the files of one server are.

    Attributes:
        path: The folder that was asked for, without symbolic links.
        home: The folder with the data.
    """

    path: Path
    home: Path

    @property
    def alive(self) -> Path:
        """The lock that the server holds."""
        return self.home / "alive"

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.home / "data"

    @property
    def unfinished_data(self) -> Path:
        """What becomes the data directory when it is complete."""
        return self.home / "data.new"

    @property
    def password(self) -> Path:
        """The password of the role `vectordb`."""
        return self.home / "password"

    @property
    def configuration(self) -> Path:
        """The settings."""
        return self.home / "server.conf"

    @property
    def socket(self) -> Path:
        """Where the socket is, unless that path is too long."""
        return self.home / "socket"

    @property
    def start_log(self) -> Path:
        """What PostgreSQL said before it opened its log."""
        return self.home / "start.log"

    def logs(self) -> list[Path]:
        """Return PostgreSQL's logs, the newest last."""
        return sorted((self.home / "log").glob("server-*.log"))


def find_layout(path: Path) -> Layout | None:
    """Read the marker in `path`; None if there is none."""
    path = path.resolve()
    try:
        marker = json.loads((path / _MARKER).read_bytes())
        version, home = marker["layout"], Path(marker.get("home", path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ServerError(f"{path / _MARKER} is damaged. Restore it, or choose another path.") from error
    if version != LAYOUT_VERSION:
        raise ServerError(f"{path} was written by another version of vectordb (layout {version}): upgrade vectordb.")
    # Root changes the owner of the home, so it must not believe just any file.
    if home != path and (home.parent != accounts.STATE or not re.fullmatch(_DIGEST, home.name)):
        raise ServerError(f"{path / _MARKER} names a folder that vectordb did not make: {home}")
    return Layout(path, home)


def lock_file(path: Path) -> Path:
    """Return the file to lock while starting or stopping the server of `path`."""
    return path.resolve() / _LOCK


def make_folder(path: Path, account: Account) -> None:
    """Create the folder `path`, or check that an existing one is empty or ours."""
    path = path.resolve()
    if "\n" in str(path):
        raise ServerError(f"PostgreSQL cannot work in a folder with a line break in its path: {str(path)!r}")
    if path.exists() and not path.is_dir():
        raise ServerError(f"{path} is a file; the embedded server needs a folder for its data.")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = path.stat().st_uid
    if owner not in {os.geteuid(), account.uid}:
        raise ServerError(f"{path} belongs to {_user_name(owner)}: run as that user, or choose another path.")
    names = _names(path)
    if _MARKER not in names and not names <= _BEFORE_MARKER:
        raise ServerError(f"{path} holds files that are not vectordb's; choose an empty or a new folder.")


def claim_layout(path: Path, account: Account) -> Layout:
    """Make a folder from `make_folder` the server's, or mend one that is; the caller holds the lock."""
    path = path.resolve()
    layout = find_layout(path)
    if layout is None:
        layout = Layout(path, path if _can_reach(path, account) else accounts.state_folder() / _digest(path))
        home = {} if layout.home == path else {"home": str(layout.home)}
        write_file(path / _MARKER, json.dumps({"layout": LAYOUT_VERSION} | home), account)
    elif layout.home == path and not _can_reach(path, account):
        raise ServerError(f"The account {account.name}, which PostgreSQL runs as, can no longer reach {path}.")
    make_private(layout.home, account)
    if not (path / ".gitignore").exists():
        write_file(path / ".gitignore", "*\n", account)
    return layout


def make_private(folder: Path, account: Account) -> None:
    """Create `folder` with mode 0700, or give that mode to an existing one; refuse one of another user.

    Root gives the folder to the account, but of its own folders only one in which nobody else has put anything.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), account.uid}:
        raise ServerError(f"{folder} belongs to {_user_name(found.st_uid)}, or is no folder: remove it.")
    if found.st_uid != account.uid and not _names(folder) <= _BEFORE_MARKER | {_MARKER}:
        raise ServerError(f"{folder} belongs to {_user_name(found.st_uid)} and is not empty: choose another path.")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        account.own(descriptor)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def make_socket_folder(layout: Layout, account: Account) -> Path:
    """Return the folder for the socket: in the home, or a short one if the address would be too long.

    Who joins the server need not come to the same answer: PostgreSQL writes down where its socket is.
    """
    folder = layout.socket if _suits_a_socket(layout.socket) else _short_folder(layout, account)
    if not _suits_a_socket(folder):
        raise ServerError(f"The path of the socket would be too long ({folder}): set TMPDIR to a short path.")
    make_private(folder, account)
    return folder


def create_password(layout: Layout, account: Account) -> None:
    """Write a new random password."""
    write_file(layout.password, secrets.token_urlsafe(32) + "\n", account)


def read_password(layout: Layout) -> str:
    """Return the password of the role `vectordb`."""
    try:
        descriptor = os.open(layout.password, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise ServerError(f"{layout.password} is missing: restore it; PostgreSQL asks for the password.") from None
    with open(descriptor, encoding="utf-8") as file:
        return file.read().strip()


def write_file(path: Path, text: str, account: Account) -> None:
    """Replace a file, in one step that survives a power cut; only the account can read it."""
    new = path.with_name(path.name + _NEW)
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        account.own(descriptor)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def _can_reach(path: Path, account: Account) -> bool:
    return not account.is_other or account.can("-x", path.parent)


def _suits_a_socket(folder: Path) -> bool:
    address = os.fsencode(folder / f".s.PGSQL.{PORT}")
    # In a URL a comma would end the host, and what is not text could not be written.
    return len(address) <= _LONGEST_SOCKET and "," not in str(folder) and str(folder).isprintable()


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _short_folder(layout: Layout, account: Account) -> Path:
    # Not in $XDG_RUNTIME_DIR: it is removed when the user logs out, and the server stays.
    parent = accounts.state_folder() if account.is_other else Path(tempfile.gettempdir())
    return parent / f"vectordb-{_digest(layout.data)}"


def _user_name(uid: int) -> str:
    import pwd

    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
