"""Configurations for tests, written and loaded as an operator's would be."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from alertbridge.config.load import Configuration, load

MAIN = """
server: {listen: "127.0.0.1:0"}
storage: {url: "sqlite:///alertbridge.db"}
sources:
  prod: {type: alertmanager}
destinations:
  elven: {type: elven, url: "http://127.0.0.1:9/elven/token-of-elven"}
  hivel: {type: hivel, base_url: "http://127.0.0.1:9/hivel", token: token-of-hivel}
services:
  checkout: {repo_url: "https://github.com/acme/checkout", pr_number: 44}
"""

BOTH = """
rules:
  - name: everything
    send: [elven, hivel]
"""


def configure(folder: Path, rules: str = BOTH, main: str = MAIN) -> Configuration:
    """Write `main` and `rules` into `folder` and load them."""
    path = folder / "alertbridge.yaml"
    path.write_text(dedent(main) + dedent(rules), encoding="utf-8")
    return load(path, environ={})
