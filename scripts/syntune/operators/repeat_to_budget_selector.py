"""Rows repeated until there are as many as training is to see."""

from typing import Any

from data_juicer.ops.base_op import OPERATORS, Selector

from syntune.operators.ranking import best_first


@OPERATORS.register_module("repeat_to_budget_selector")
class RepeatToBudgetSelector(Selector):
    """Repeats rows up to a number of rows, the best ones first; Syntune gives repeats ids of their own.

    All rows stand once before one stands twice, and twice before one stands three times. Where there are more rows
    than the budget, the best ones are kept.
    """

    def __init__(
        self,
        rows: int,
        max_repeats: float = 3.76,
        field_key: str | None = None,
        random_seed: int = 0,
        *args: Any,
        **kwargs: Any,
    ):
        """Take the recipe's parameters.

        Args:
            rows: the budget.
            max_repeats: the most rows, repeats among them, for each row that comes in; 3.76 is the highest that was
                seen to help (docs/how-to/recipes.md).
            field_key: whose highest values are repeated first, such as ``__dj__stats__.image_text_similarity``; None
                decides by a hash of the id.
            random_seed: another one repeats other rows where ``field_key`` leaves it open.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.
        """
        super().__init__(*args, **kwargs)
        if rows < 1:
            raise ValueError(f"rows: {rows} is not 1 or more")
        if max_repeats < 1:
            raise ValueError(f"max_repeats: {max_repeats} is not 1 or more")
        self.rows, self.max_repeats = rows, max_repeats
        self.field_key, self.random_seed = field_key, random_seed

    def process(self, dataset: Any) -> Any:
        """Select the rows, in their order, repeats beside each other."""
        number = min(self.rows, int(self.max_repeats * len(dataset)))
        ranked = best_first(dataset, self.field_key, self.random_seed)
        return dataset.select(sorted(ranked[index % len(ranked)] for index in range(number)))
