"""Mail as bytes -> what it says. Total: no input makes any of these raise, and every input is bounded work."""

from shared.mime.message import attachment_bytes, parse, safe_html

__all__ = ["attachment_bytes", "parse", "safe_html"]
