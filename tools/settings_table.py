"""Write the table of app settings into docs/deploying.md from the code: python -m tools.settings_table"""

from pathlib import Path

from shared.settings import NAMES

PAGE = Path(__file__).parents[1] / "docs" / "deploying.md"
_BEGIN, _END = "<!-- settings: made by python -m tools.settings_table -->\n", "<!-- /settings -->\n"


def with_table(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    rows = "".join(f"| `{name}` | {purpose} |\n" for name, purpose in NAMES.items())
    return f"{before}{_BEGIN}| setting | for |\n|---|---|\n{rows}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
