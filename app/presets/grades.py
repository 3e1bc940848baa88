"""Load the models that may be recommended, with their grades."""

from functools import cache
from importlib.resources import files

from app.core.model_choice import GRADES, Grade
from app.presets.loader import load_yaml


@cache
def shipped_grades() -> dict[str, Grade]:
    """By model, `provider/model`."""
    text = files("app.presets").joinpath("cost.yaml").read_text(encoding="utf-8")
    graded = load_yaml(text)["models"]
    return {model: next(one for one in GRADES if one == graded[model]) for model in graded}
