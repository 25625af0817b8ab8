"""Fixtures of the web tests."""

from web_site import site

__all__ = ["site"]
