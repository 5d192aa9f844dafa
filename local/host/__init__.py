"""A small stand-in for the Azure Functions host: runs an unchanged `function_app.py` on this machine."""

from local.host.host import FunctionsHost

__all__ = ["FunctionsHost"]
