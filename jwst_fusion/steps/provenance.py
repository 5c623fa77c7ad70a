"""Record of a run in its product: warnings, and parameters of the steps."""

import re
import textwrap

from jwst.stpipe import Step

import jwst_fusion
from jwst_fusion.exceptions import one_line

__all__ = ["record_parameters", "record_warnings"]

#: A warning of this package among the records of a run.
WARNING = re.compile(r".* - jwst_fusion[\w.]* - WARNING - (?P<message>.*)")
#: Parameters that change nothing of the fused cube.
OUTPUTS = ("save_report", "save_figures")
#: Characters in a HISTORY card.
HISTORY_WIDTH = 72


def record_warnings(model, records):
    """Add the warnings in the log of a run to those of the product's sources."""
    told = [text for text in (model.meta.fusion.warnings or "").split(" | ") if text]
    for text in (WARNING.fullmatch(one_line(record)) for record in records):
        if text and text["message"] not in told:
            told.append(text["message"])
    model.set_fusion(n_warnings=len(told), warnings=" | ".join(told) or None)


def record_parameters(model, step):
    """Write a step's parameters into its product, and what a FITS header can hold of them as HISTORY."""
    generic = Step().get_pars()
    parameters = {
        name: "None" if value is None else _plain(value)
        for name, value in step.get_pars().items()
        if name not in generic
    }
    recorded = dict(model.meta.fusion.instance.get("parameters", {}))
    usual = type(step)().get_pars()
    before = model.meta.fusion.set_by_hand
    by_hand = [before] if before else []
    by_hand += [
        f"{step.class_alias}.{name}={value}"
        for name, value in step.get_pars().items()
        if name in parameters and name not in OUTPUTS and value != usual[name]
    ]
    model.set_fusion(
        parameters={**recorded, step.class_alias: parameters}, set_by_hand=", ".join(by_hand) or None
    )
    listed = ", ".join(f"{name}={value}" for name, value in parameters.items() if value != "None")
    lines = [f"jwst_fusion {jwst_fusion.__version__} {step.class_alias}: {listed or 'defaults'}"]
    if not recorded:
        inputs = model.meta.fusion.instance.get("inputs", [])
        lines[:0] = ["Input " + ", ".join(f"{k} {v}" for k, v in entry.items()) for entry in inputs]
    for line in lines:
        for part in textwrap.wrap(line, HISTORY_WIDTH):
            model.add_history(part)


def _plain(value):
    """Make plain strings of those of a parameter, which remember where it was given."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, str) else value
