"""The docs hang together: every page is listed, every relative link and anchor leads somewhere, lines are short."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
GENERATED = DOCS / "reference/config.md"
FOLDERS = ("config", "perf", "profiles", "rules", "scripts", "tests", "tools")
SOURCES = ("Snakefile", "Makefile", "*.yaml", *(f"{folder}/**/*" for folder in FOLDERS))
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures that lie in this repository."""
    targets = [link or image for link, image in LINK.findall(prose(page))]
    return [target for target in targets if not target.startswith(("https://", "http://"))]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_listed_once_in_the_index():
    index = DOCS / "index.md"
    listed = [(DOCS / target).resolve() for target in links(index)]
    assert sorted(listed) == sorted(page for page in DOCS.rglob("*.md") if page != index)
    entries = [line for line in prose(index).splitlines() if line.startswith("- ")]
    assert len(entries) == len(listed)
    assert all(re.fullmatch(r"- \[[^]]+\]\([^)]+\): .+\.", entry) for entry in entries)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for target in links(page):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists() and found.is_relative_to(ROOT), f"{name(page)}: {target}"
        assert not anchor or anchor in anchors(found), f"{name(page)}: {target}"


@pytest.mark.parametrize("page", [page for page in PAGES if page != GENERATED], ids=name)
def test_lines_are_short(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert not [number for number, line in enumerate(lines, 1) if len(line) > 120]


def test_every_picture_is_shown():
    shown = {(page.parent / target).resolve() for page in PAGES for target in links(page)}
    assert {*(DOCS / "pictures").iterdir()} <= shown


def test_pages_named_in_the_code_exist():
    files = {file for pattern in SOURCES for file in ROOT.glob(pattern) if file.is_file() and file.suffix != ".pyc"}
    named = {
        (name(file), page)
        for file in files
        for page in re.findall(r"\bdocs/[\w/-]+\.md", file.read_text(encoding="utf-8", errors="ignore"))
    }
    assert len(named) > 10
    assert not [(file, page) for file, page in sorted(named) if not (ROOT / page).is_file()]
