"""Pictures, drawn by matplotlib (extra `plot`), in the manner of scikit-learn's displays.

Each is made from arrays, or by one of its functions `from_...`; `plot(ax=)` draws it into those axes, or into a
new figure of pyplot's, and keeps them as `ax_` and `figure_`. Estimators are `fastnn.MLP` and what is alike: they have
`predict`, `predict_proba`, and `weights` or `coefs_`.
"""

from .confusion import ConfusionMatrixDisplay
from .curves import CurvesDisplay
from .mistakes import MistakesDisplay
from .samples import SamplesDisplay
from .tuning import TuningDisplay
from .weights import WeightsDisplay

__all__ = [
    "ConfusionMatrixDisplay",
    "CurvesDisplay",
    "MistakesDisplay",
    "SamplesDisplay",
    "TuningDisplay",
    "WeightsDisplay",
]
