"""Writes both references into docs/: `nox -s docs`."""

from __future__ import annotations

from pathlib import Path

from tests.reference import commands, lab_toml
from tests.reference.page import with_reference

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {"commands.md": commands.reference, "own-clusters.md": lab_toml.reference}


def main() -> None:
    """Rewrites each page that has a generated part."""
    for name, reference in PAGES.items():
        page = DOCS / name
        page.write_text(with_reference(page.read_text(encoding="utf-8"), reference()), encoding="utf-8")
        print(f"wrote docs/{name}")


if __name__ == "__main__":
    main()
