"""The command line: reads options, calls the service, says what happened.

Modules that take long to import are imported by the commands that need them, so that help and
errors come at once.
"""

from __future__ import annotations

# Importing a module adds its commands, in the order in which help lists them.
# isort: off
from annotator.cli.program import app
from annotator.cli import filling, working, files, categories, completing  # noqa: F401
# isort: on

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line of this process."""
    app()
