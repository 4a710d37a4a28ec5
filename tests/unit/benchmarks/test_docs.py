"""The guide to adding a benchmark quotes the code as it is."""

import re
from pathlib import Path

import pytest
import yaml

from syntune.settings.benchmarks import BenchmarkSettings, NlvrSettings
from syntune.settings.reading import read_settings

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs/how-to/add-a-benchmark.md").read_text(encoding="utf-8")
QUOTES = re.findall(r"```python\n# (\S+)\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize(("path", "quote"), QUOTES)
def test_quotes_are_current(path, quote):
    assert quote in (ROOT / path).read_text(encoding="utf-8")


def test_every_block_of_code_is_a_quote():
    assert len(QUOTES) == GUIDE.count("```python") == 5


def test_the_entry_is_a_benchmark():
    entry = yaml.safe_load(re.search(r"```yaml\n(.*?)```", GUIDE, re.DOTALL).group(1))
    assert isinstance(read_settings(entry["benchmarks"]["nlvr"], BenchmarkSettings, "guide"), NlvrSettings)


@pytest.mark.parametrize("page", ["docs/reference/benchmarks.md", "docs/how-to/your-own-data.md"])
def test_every_benchmark_of_the_docs_is_one(page):
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    found = [yaml.safe_load(block) for block in blocks if "protocol:" in block]
    benchmarks = [one for block in found for one in block.get("benchmarks", block).values()]
    assert [read_settings(one, BenchmarkSettings, page) for one in benchmarks]
