"""Mail as bytes -> what it says. Total: no input makes any of these raise, and every input is bounded work."""

from shared.mime.forwards import original_sender
from shared.mime.message import attachment_bytes, parse, safe_html
from shared.mime.replies import new_text

__all__ = ["attachment_bytes", "new_text", "original_sender", "parse", "safe_html"]
