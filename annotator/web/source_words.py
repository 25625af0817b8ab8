"""What people call the places where labels are decided."""

from __future__ import annotations

SOURCES = {
    "focus": "Focus",
    "sweep": "Sweep",
    "browse": "Browse",
    "import": "Import",
    "contract": "Automatic, under a contract",
    "audit": "Audit",
    "look-again": "Look again",
    "categories": "Merged or deleted categories",
    "similar": "Similar pictures",
    "cli": "Command line",
}
"""Source of an event -> its name; others are shown as they are."""
