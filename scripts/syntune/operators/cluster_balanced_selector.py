"""A smaller dataset about the same things, or about all things evenly."""

from typing import Any, Literal

import numpy as np
from data_juicer.ops.base_op import OPERATORS, Selector
from threadpoolctl import threadpool_limits

from syntune.data.conversations import JUICER_END_MARK, JUICER_IMAGE_MARK
from syntune.operators.ranking import best_first

_CAPTION = "__dj__caption"

_BATCH = 10_000
_LEARNT_FROM = 100_000
"""Rows that the clusters are learnt from, the first ones; the others are only told which is theirs."""
_DIMENSIONS = 64
_BUCKETS = 2**17
"""Words and pairs of words are hashed into so many."""


@OPERATORS.register_module("cluster_balanced_selector")
class ClusterBalancedSelector(Selector):
    """Keeps the best rows of each cluster of texts.

    Texts are embedded by TF-IDF and latent semantic analysis (Deerwester et al., 1990) and clustered by k-means in
    mini-batches (Sculley, 2010). Memory grows with the rows by some bytes each, not by their texts.
    """

    def __init__(
        self,
        rows: int | None = None,
        share: float | None = None,
        balance: Literal["kept", "uniform"] = "kept",
        clusters: int = 400,
        field_key: str | None = None,
        random_seed: int = 0,
        *args: Any,
        **kwargs: Any,
    ):
        """Take the recipe's parameters.

        Args:
            rows: rows to keep; all where there are fewer.
            share: or the share of the rows to keep.
            balance: ``kept``: each cluster's share of the rows stays as it is. ``uniform``: every cluster gives as many
                rows, those that are smaller give all.
            clusters: number of clusters, if there are as many rows.
            field_key: whose highest values are kept within a cluster, such as ``__dj__stats__.image_text_similarity``;
                None decides by a hash of the id.
            random_seed: another one finds other clusters.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.
        """
        super().__init__(*args, **kwargs)
        if (rows is None) == (share is None):
            raise ValueError("say either rows or share")
        if rows is not None and rows < 1:
            raise ValueError(f"rows: {rows} is not 1 or more")
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"share: {share} is not above 0 and at most 1")
        if balance not in ("kept", "uniform"):
            raise ValueError(f"balance: {balance!r} is not one of kept, uniform")
        if clusters < 1:
            raise ValueError(f"clusters: {clusters} is not 1 or more")
        self.rows, self.share, self.balance, self.clusters = rows, share, balance, clusters
        self.field_key, self.random_seed = field_key, random_seed

    def compute_hash(self, sample: dict[str, Any], context: bool = False) -> dict[str, Any]:
        """Add the text without marks: what ``process`` needs of a row beside its statistics."""
        text = sample[self.text_key].replace(JUICER_IMAGE_MARK, " ").replace(JUICER_END_MARK, " ")
        return {**sample, _CAPTION: " ".join(text.split())}

    def process(self, dataset: Any) -> Any:
        """Select the rows, in their order."""
        number = self.rows if self.rows is not None else max(1, round(self.share * len(dataset)))
        if number >= len(dataset):
            return dataset
        cluster_of = self._clusters(dataset)
        sizes = np.bincount(cluster_of)
        left = kept_share(sizes, number) if self.balance == "kept" else uniform_share(sizes, number)
        kept = []
        for index in best_first(dataset, self.field_key, self.random_seed):
            if left[cluster_of[index]] > 0:
                left[cluster_of[index]] -= 1
                kept.append(index)
        return dataset.select(sorted(kept))

    def _clusters(self, dataset: Any) -> np.ndarray:
        """The cluster of each row."""
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import Normalizer

        clusters = min(self.clusters, len(dataset))
        # sums depend on the number of threads
        with threadpool_limits(limits=1), np.errstate(invalid="ignore", divide="ignore"):
            words = HashingVectorizer(
                n_features=_BUCKETS, ngram_range=(1, 2), stop_words="english", alternate_sign=False, norm=None
            )
            learnt_from = words.transform(dataset[:_LEARNT_FROM][_CAPTION])
            dimensions = max(1, min(_DIMENSIONS, learnt_from.shape[0] - 1))
            embed = make_pipeline(
                TfidfTransformer(sublinear_tf=True),
                TruncatedSVD(dimensions, random_state=self.random_seed),
                Normalizer(copy=False),
            )
            means = MiniBatchKMeans(clusters, random_state=self.random_seed, batch_size=4096, n_init=3)
            means.fit(embed.fit_transform(learnt_from))
            batches = [
                means.predict(embed.transform(words.transform(dataset[start : start + _BATCH][_CAPTION])))
                for start in range(0, len(dataset), _BATCH)
            ]
        return np.concatenate(batches)


def kept_share(sizes: np.ndarray, number: int) -> np.ndarray:
    """How many rows each cluster gives so that shares stay: rounded down, the rest to the largest remainders."""
    exact = sizes * number / sizes.sum()
    given = np.floor(exact).astype(int)
    rest = np.argsort(given - exact, kind="stable")[: number - given.sum()]
    given[rest] += 1
    return given


def uniform_share(sizes: np.ndarray, number: int) -> np.ndarray:
    """How many rows each cluster gives so that all give as many, as far as they have them."""
    given = np.zeros_like(sizes)
    smallest_first = np.argsort(sizes, kind="stable")
    for position, cluster in enumerate(smallest_first):
        given[cluster] = min(sizes[cluster], (number - given.sum()) // (len(sizes) - position))
    return given
