"""In which precision steps are computed; what goes in and comes out stays as it is.

Lightning's own plugins round every floating tensor of a batch to the precision's type, and every
result to float32, where several processes train (there a step goes through the wrapped module's
`forward`), and leave them alone where one does: a count of 257 would be 256 in bfloat16, and targets
of a series would lose all but three digits.
"""

from typing import Any

from lightning.fabric.plugins.precision import MixedPrecision, Precision

from sm_dl.engine.strategy import Plan


class _AsGiven:
    def convert_input(self, data: Any) -> Any:  # noqa: ANN401 - a batch of any type
        """Return a batch as it is."""
        return data

    def convert_output(self, data: Any) -> Any:  # noqa: ANN401 - what a step returns
        """Return a result as it is."""
        return data


class _FullPrecision(_AsGiven, Precision):
    pass


class _MixedPrecision(_AsGiven, MixedPrecision):
    pass


def precision_of(plan: Plan) -> Precision:
    """Return how the steps of a plan are computed."""
    if plan.precision == "32-true":
        return _FullPrecision()
    return _MixedPrecision(plan.precision, plan.accelerator)
