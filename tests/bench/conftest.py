"""Fixtures that the tests of the benchmark share with the tests against the original."""

from tests.interop.conftest import npm_packages

__all__ = ["npm_packages"]
