"""No network and no installing while a recipe runs: what an operator needs is there before, or the recipe stops.

Data-Juicer's operators install missing packages, clone repositories and fetch models and word lists as they start. The
settings of pip and of the hub stop some of that; here it ends at the level that nothing gets around within the process.
"""

import os
import socket
from typing import Any, NoReturn

from syntune.errors import UserError

_LOCAL_NAMES = ("", "localhost", "0.0.0.0", "::", "::1")

_ADVICE = "recipes run without network: put what it asks for into a local folder and name that in its parameters"


def stay_offline() -> None:
    """Refuse connections to other machines and installs of packages, for the rest of this process.

    Connections within this machine stay: executors use them. The refusal is a :class:`UserError`, which no library
    takes for a network that may come back.
    """
    os.environ.update(
        UV_OFFLINE="1",
        UV_NO_CACHE="1",
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS="",
        GIT_ALLOW_PROTOCOL="file",
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
    )
    resolve = socket.getaddrinfo
    own = {socket.gethostname(), *_LOCAL_NAMES}

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        """Resolve the names of this machine."""
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and name not in own and not _is_local(name):
            _refuse(name)
        return resolve(host, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo
    for method in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, method, _guarded(getattr(socket.socket, method)))


def no_installs(loader: Any) -> None:
    """Let Data-Juicer's ``LazyLoader`` name a missing package where it would install it."""

    def install(package: str, *args: Any, **kwargs: Any) -> NoReturn:
        """Say what is missing."""
        raise UserError(f"needs the package {package}, which envs/data.yaml does not hold; add it there, or remove it")

    loader._install_package = staticmethod(install)


def _guarded(method: Any) -> Any:
    """A method of sockets that takes an address, for local addresses only."""

    def guarded(self: socket.socket, *args: Any) -> Any:
        """Check the address, which is the last argument."""
        address = args[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(str(address[0])):
            _refuse(f"{address[0]}:{address[1]}")
        return method(self, *args)

    return guarded


def _is_local(host: str) -> bool:
    """Whether an address is one of this machine's: one can only listen there."""
    if host in _LOCAL_NAMES or host.startswith("127."):
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
        return True
    except (OSError, UserError):
        return False


def _refuse(where: str) -> NoReturn:
    """Stop, whatever handles network errors."""
    raise UserError(f"wants to reach {where}; {_ADVICE}")
