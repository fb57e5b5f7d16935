"""How Sphinx builds the manual and the man pages; bin/docs runs it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import dockerexec_ws

project = "dockerexec-ws"
version = release = dockerexec_ws.__version__
extensions = ["sphinx.ext.autodoc", "option_tables"]
html_theme = "furo"
html_title = f"dockerexec-ws {version}"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"  # objects that the package makes need no constructor here
# This manual has no entry for the types of other libraries, nor for the server's inner parts.
nitpick_ignore_regex = [
    ("py:.*", r"(?!dockerexec_ws\.).*"),
    ("py:class", r"dockerexec_ws\.(net|engine|access\.targets|access\.request|session\.channel|settings)\..*"),
]
man_pages = [
    ("man/dockerexec-ws", "dockerexec-ws", "serve docker exec over WebSockets", "", 1),
    ("man/dockerexec-ws-client", "dockerexec-ws-client", "run a command through a dockerexec-ws server", "", 1),
]
