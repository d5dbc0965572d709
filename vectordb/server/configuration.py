"""The configuration file of the server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PORT = 5432

_HEADER = """\
# Written by vectordb each time it starts the server. Change a setting with ALTER SYSTEM SET; it overrides this file.
include 'data/postgresql.conf'
"""

_CONNECTIONS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
}
_DURABILITY = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
_LOG = {
    "logging_collector": "on",
    "log_directory": "../log",
    "log_filename": "server-%Y-%m-%d_%H%M%S.log",
    "log_file_mode": "0600",
    "log_rotation_age": "0",
    "log_rotation_size": "10MB",
    "log_line_prefix": "%m [%p] %e ",
    # An error goes to the client that caused it. In the log its message, its detail and its statement could show the
    # content of rows, so the log has only what concerns the server as a whole.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_OTHERS = {
    # In the title of every process, for those who look at a list of them.
    "cluster_name": "vectordb",
    # A search with a filter goes on until it has enough rows.
    "hnsw.iterative_scan": "relaxed_order",
    # The role is called as our schema is, and PostgreSQL would put the application's tables there.
    "search_path": "public",
}


def settings(socket_folder: Path) -> dict[str, str]:
    """Return the settings that do not depend on the machine."""
    # A list of quoted names, with one element.
    quoted = '"' + str(socket_folder).replace('"', '""') + '"'
    return _CONNECTIONS | {"unix_socket_directories": quoted} | _DURABILITY | _LOG | _OTHERS


def render(chosen: Mapping[str, str]) -> str:
    """Write settings as a configuration file that includes the one which initdb made."""
    return _HEADER + "".join(f"{name} = {_quote(value)}\n" for name, value in chosen.items())


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
