"""The whole config as one tree, and its references checked against each other."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from syntune.settings.benchmarks import BenchmarkSettings
from syntune.settings.contamination import ContaminationSettings
from syntune.settings.datasets import DatasetSettings
from syntune.settings.methods import METHODS
from syntune.settings.models import HELPERS, AdapterModelSettings, EndpointSettings, ModelSettings, TinyModelSettings
from syntune.settings.planning import PlanSettings
from syntune.settings.prediction import PredictionSettings
from syntune.settings.runs import BaseRunSettings, RunSettings
from syntune.settings.seeds import SeedSettings
from syntune.settings.strict import LONGEST_NAME, Name, Strict

T = TypeVar("T")

Named = Annotated[dict[Name, T], BeforeValidator(lambda section: {} if section is None else section)]
"""A section of entries by name; one whose entries are all commented out has none."""

Described = Annotated[str, Field(max_length=2000)]


class Settings(Strict):
    """A whole run of the workflow, as ``config.yaml`` holds it."""

    title: Described = Field(default="Syntune", description="heading of the report")
    description: Described = Field(default="", description="a sentence or two for the top of the report")
    results: str | None = Field(
        default=None,
        description="folder of all results, which may lie on another disk; null takes results/NAME for a config "
        "NAME.yaml, and results for config.yaml. Caches of images, answers and scores stay in results/cache",
    )
    seeds: Named[SeedSettings] = Field(default={}, description="real image-text data, by name")
    datasets: Named[DatasetSettings] = Field(
        default={}, description="training datasets, by name; alone with seeds, only data is made"
    )
    models: Named[ModelSettings] = Field(default={}, description="base models, and models that recipes use, by name")
    runs: Named[RunSettings] = Field(default={}, description="what is trained and evaluated, by name")
    benchmarks: Named[BenchmarkSettings] = Field(
        default={}, description="what the runs are scored on, by name; without any, runs are only trained"
    )
    contamination: ContaminationSettings = Field(
        default_factory=ContaminationSettings,
        description="the search for the benchmarks' questions in the training data, and how much of them is too much",
    )
    prediction: PredictionSettings = Field(default_factory=PredictionSettings, description="how answers are made")
    plan: PlanSettings = Field(default_factory=PlanSettings, description="what runs may need, and what a GPU costs")
    tracker: Literal["wandb"] | None = Field(
        default=None,
        description="where the metrics of trainings go beside metrics.jsonl: wandb writes a run of W&B's into the "
        "folder wandb of the results and sends nothing; its package must be added to the training environment",
    )
    compare: Name | None = Field(
        default=None, description="the run that the others are compared with; null takes the first run"
    )
    comparisons: list[tuple[Name, Name]] | None = Field(
        default=None,
        description="further pairs of runs to compare, such as [synthetic, raw]: the first one's difference to the "
        "second. null: every two trained runs with the same start and method and different datasets",
    )

    @model_validator(mode="after")
    def _something_to_make(self) -> "Settings":
        """There are datasets to make or runs to train and ask."""
        if not self.datasets and not self.runs:
            raise ValueError("there is nothing to make; name datasets of seeds, or runs of models")
        return self

    @model_validator(mode="after")
    def _references_exist(self) -> "Settings":
        """Every name that a section mentions is defined, and nothing starts from itself."""
        for name, dataset in self.datasets.items():
            _known(f"datasets.{name}.seed", dataset.seed, self.seeds, "seeds")
            for other in dataset.mix:
                _known(f"datasets.{name}.mix", other, self.datasets, "datasets")
                if other == name:
                    raise ValueError(f"datasets.{name}.mix: a dataset cannot be mixed into itself")
        for name, model in self.models.items():
            if isinstance(model, TinyModelSettings):
                _known(f"models.{name}.tokenizer_dataset", model.tokenizer_dataset, self.datasets, "datasets")
            if isinstance(model, AdapterModelSettings):
                _known(f"models.{name}.base", model.base, self.models, "models")
                self._trainable(f"models.{name}.base", model.base)
                self.bases(name)
        for name, benchmark in self.benchmarks.items():
            if held_out := getattr(benchmark, "holdout", None):
                _known(f"benchmarks.{name}.holdout", held_out, self.datasets, "datasets")
                if held_out not in self.held_out:
                    raise ValueError(f"benchmarks.{name}.holdout: nothing is held out; set datasets.{held_out}.holdout")
        both = set(self.models) & set(self.runs)
        if both:
            raise ValueError(f"runs.{sorted(both)[0]}: a model has this name too; rename one of them")
        for name, run in self.runs.items():
            _known(f"runs.{name}.start", run.start, {**self.models, **self.runs}, "models and runs")
            self._trainable(f"runs.{name}.start", run.start)
            if not isinstance(run, BaseRunSettings):
                _known(f"runs.{name}.dataset", run.dataset, self.datasets, "datasets")
                if run.eval_steps and run.dataset not in self.held_out:
                    raise ValueError(f"runs.{name}.eval_steps: nothing is held out; set datasets.{run.dataset}.holdout")
            self._sees_as_its_start(name)
            self.ancestry(name)
            self._replicates_fit(name)
        if self.compare is not None:
            _known("compare", self.compare, self.runs, "runs")
        for run, beside in self.comparisons or []:
            for name in (run, beside):
                _known("comparisons", name, self.runs, "runs")
            if run == beside:
                raise ValueError(f"comparisons: '{run}' cannot be compared with itself; name two runs")
        return self

    @model_validator(mode="after")
    def _answer_alike(self) -> "Settings":
        """All runs answer in one arithmetic, without which their scores would not be compared once they are trained."""
        first, *others = [*self.runs] or [None]
        for name in others if self.benchmarks else []:
            if bool(self.runs[name].gpus) != bool(self.runs[first].gpus):
                raise ValueError(
                    f"runs.{name}.gpus: answers on a GPU (bfloat16) and on the CPU (float32) don't compare, and run "
                    f"'{first}' has gpus: {self.runs[first].gpus}; give all runs a GPU, or none"
                )
        return self

    @property
    def checkpoints(self) -> list[str]:
        """The models that have weights here: all but endpoints."""
        return [name for name, model in self.models.items() if not isinstance(model, EndpointSettings)]

    @property
    def held_out(self) -> list[str]:
        """The datasets that hold rows out: every dataset is made without these rows."""
        return [name for name, dataset in self.datasets.items() if dataset.holdout is not None]

    def _trainable(self, key: str, name: str) -> None:
        """Refuse a scorer or an endpoint where a base model is wanted."""
        if isinstance(model := self.models.get(name), HELPERS):
            raise ValueError(f"{key}: '{name}' is a model for recipes (source: {model.source}), not a base model")

    def _sees_as_its_start(self, name: str) -> None:
        """Refuse a run that would see images otherwise than the run that it starts from."""
        run = self.runs[name]
        if run.start not in self.runs:
            return
        own, starts = run.pixels().model_dump(), self.runs[run.start].pixels().model_dump()
        for key in own:
            if own[key] != starts[key]:
                raise ValueError(f"runs.{name}.{key}: its start, run '{run.start}', has another; set both alike")

    def _replicates_fit(self, run: str) -> None:
        """Refuse trainings whose names are taken, or that would share a start by threes and twos."""
        for name in self.trainings(run)[1:]:
            if name in self.runs or name in self.models:
                section = "run" if name in self.runs else "model"
                raise ValueError(f"runs.{run}.replicates: training '{name}' has the name of a {section}; rename that")
            if len(name) > LONGEST_NAME:
                raise ValueError(f"runs.{run}.replicates: '{name}' is above {LONGEST_NAME} characters; rename the run")
        own, start = len(self.trainings(run)), self.runs[run].start
        of_start = len(self.trainings(start)) if start in self.runs else 1
        if 1 < of_start < own:
            raise ValueError(
                f"runs.{run}.replicates: {own} trainings cannot start from the {of_start} of '{start}'; "
                f"set runs.{start}.replicates to 1, for one start of all, or to {own} or more, for one each"
            )

    def trainings(self, run: str) -> list[str]:
        """The names of a run's trainings, its own first: ``raw``, ``raw-2``, ``raw-3``."""
        number = getattr(self.runs[run], "replicates", 1)
        return [run, *(f"{run}-{replicate}" for replicate in range(2, number + 1))]

    def bases(self, model: str) -> list[str]:
        """The models that ``model`` is merged from, the first one first and ``model`` last."""
        chain = [model]
        while isinstance(adapter := self.models.get(chain[0]), AdapterModelSettings):
            if adapter.base in chain:
                raise ValueError(f"models.{model}.base: models are based on each other in a circle: {adapter.base}")
            chain.insert(0, adapter.base)
        return chain

    def ancestry(self, run: str) -> list[str]:
        """The model and the runs that ``run`` builds on, the model first and ``run`` last."""
        chain = [run]
        while chain[0] in self.runs:
            start = self.runs[chain[0]].start
            if start in chain:
                raise ValueError(f"runs.{run}.start: runs start from each other in a circle: {start}")
            chain.insert(0, start)
        return chain

    def made_from(self, run: str) -> tuple[list[str], list[str], list[str]]:
        """The models, datasets and seeds that ``run`` and its base are made from, those of runs before it left out."""
        models = self.bases(self.ancestry(run)[0])
        tokenizers = [getattr(self.models[name], "tokenizer_dataset", None) for name in models]
        named = [name for name in (getattr(self.runs[run], "dataset", None), *tokenizers) if name]
        datasets = {other for name in named for other in (name, *self.datasets[name].mix)}
        datasets = sorted(datasets | set(self.held_out if datasets else []))
        return models, datasets, sorted({self.datasets[name].seed for name in datasets})

    def answering(self, names: list[str]) -> list[str]:
        """Those of ``names``, a model and the runs on it in order, whose checkpoints answer together.

        The last that stands alone comes first, then what was trained on it; runs that do not train add nothing.
        """
        chain: list[str] = []
        for name in names:
            method = None if name in self.models else METHODS[self.runs[name].method]
            if method is None or method.stands_alone:
                chain = [name]
            elif method.is_trained:
                chain.append(name)
        return chain


def _known(key: str, name: str, among: dict[str, Any], section: str) -> None:
    """Refuse a reference to something that is not defined."""
    if name not in among:
        raise ValueError(f"{key}: '{name}' is not one of the {section} ({', '.join(sorted(among)) or 'none'})")


def json_schema() -> dict[str, Any]:
    """The JSON schema of ``config.yaml``, for editors."""
    schema = Settings.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def as_params(settings: BaseModel) -> str:
    """A section as the JSON text that a rule passes to its command: equal settings give equal text."""
    return settings.model_dump_json()
