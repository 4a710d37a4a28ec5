"""Where packages come from: uv reads neither pip.conf nor PIP_*, so pip's settings are passed on to it."""

import ast
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conda_uv.messages import CondaUvError, say

# pip's setting: uv's variable and what separates its values
TRANSLATION = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
}
SOURCES = ("index-url", "extra-index-url", "find-links", "no-index")  # the settings that say where packages come from
UV_SOURCES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


@dataclass(frozen=True)
class Indexes:
    """The user's package sources in uv's terms: ``environment`` variables and ``flags`` of ``uv pip install``."""

    environment: dict[str, str]
    flags: tuple[str, ...]
    chosen_by_user: bool


def read_indexes() -> Indexes:
    """Translate pip's settings (files and PIP_* variables) for uv; UV_* variables of the user win."""
    settings = read_pip_settings()
    environment = dict(os.environ)
    for key, (variable, separator) in TRANSLATION.items():
        if values := [value for value in settings.get(key, "").split() if _exists(key, value)]:
            environment.setdefault(variable, separator.join(values))
    environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # as pip: the best version of all indexes
    no_index = settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}
    return Indexes(
        environment,
        flags=("--no-index",) if no_index else (),
        chosen_by_user=any(settings.get(key) for key in SOURCES) or any(os.environ.get(key) for key in UV_SOURCES),
    )


def read_pip_settings() -> dict[str, str]:
    """The settings under which pip installs: sections ``global``, ``install`` and PIP_*, the later ones win."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    if done.returncode != 0:
        raise CondaUvError(f"'{sys.executable} -m pip config list' failed: {' '.join(done.stderr.split())}")
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines():  # such as: global.find-links='/opt/wheels'
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        if section in sections:
            sections[section][key] = ast.literal_eval(value)
    return sections["global"] | sections["install"] | sections[":env:"]


def _exists(key: str, value: str) -> bool:
    """Whether a local folder is there: pip passes over a missing one, uv would stop."""
    path = value.removeprefix("file://")
    missing = path.startswith("/") and key != "proxy" and not Path(path).exists()
    if missing:
        say(f"pip's setting {key}: {value} does not exist and is left out")
    return not missing
