"""How Chromium is started, by tests and benchmarks alike."""

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Quiet, and able to run in a container; nothing here changes how a page is drawn."""
