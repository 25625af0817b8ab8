"""What people call the places where labels are decided."""

from __future__ import annotations

SOURCES = {
    "focus": "Focus",
    "sweep": "Sweep",
    "browse": "Browse",
    "import": "Import",
    "contract": "Automatic, under a contract",
    "audit": "Blind questions",
    "look-again": "Look again",
    "categories": "Merged and deleted categories",
    "similar": "Similar pictures",
    "cli": "Command line",
    "simulated": "Simulated answers",
}
"""Source of an event -> its name; others are shown as they are."""
