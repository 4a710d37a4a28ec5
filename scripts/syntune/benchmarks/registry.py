"""Which class is which protocol."""

from syntune.benchmarks.caption import Caption
from syntune.benchmarks.choice import Choice
from syntune.benchmarks.mmbench import MmBench
from syntune.benchmarks.nlvr import Nlvr
from syntune.benchmarks.protocol import Protocol
from syntune.benchmarks.textvqa import TextVqa
from syntune.benchmarks.vqa import Vqa
from syntune.benchmarks.yes_no import YesNo
from syntune.settings.benchmarks import BenchmarkSettings

PROTOCOLS: dict[str, type[Protocol]] = {
    "textvqa": TextVqa,
    "mmbench": MmBench,
    "nlvr": Nlvr,
    "vqa": Vqa,
    "choice": Choice,
    "yes_no": YesNo,
    "caption": Caption,
}


def load_benchmark(settings: BenchmarkSettings, name: str) -> Protocol:
    """The protocol that ``settings`` configure for the benchmark ``name``."""
    return PROTOCOLS[settings.protocol](settings, name)
