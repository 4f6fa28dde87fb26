"""What a run leaves to be looked at: its record, charts, a report; and why it does not learn.

The parts are imported when they are first used, so that training stays quick to begin.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Each public name and the module it is in.
_NAMES = {
    "Eigenvalues": "curvature",
    "Explanation": "explanation",
    "GradientCheck": "gradient_check",
    "LossLine": "landscape",
    "LossPlane": "landscape",
    "check_gradients": "gradient_check",
    "explain": "explanation",
    "hessian_eigenvalues": "curvature",
    "hessian_vector_product": "curvature",
    "loss_along_line": "landscape",
    "loss_plane": "landscape",
    "KINDS": "finding",
    "Diagnosis": "diagnosis",
    "Finding": "finding",
    "diagnose": "diagnosis",
    "RunRecord": "record",
    "find_runs": "record",
    "send": "control",
    "serve": "dashboard",
    "write_report": "report",
}

__all__ = [*_NAMES]

if TYPE_CHECKING:
    from chainrule.insight.control import send as send
    from chainrule.insight.curvature import Eigenvalues as Eigenvalues
    from chainrule.insight.curvature import hessian_eigenvalues as hessian_eigenvalues
    from chainrule.insight.curvature import hessian_vector_product as hessian_vector_product
    from chainrule.insight.dashboard import serve as serve
    from chainrule.insight.diagnosis import Diagnosis as Diagnosis
    from chainrule.insight.diagnosis import diagnose as diagnose
    from chainrule.insight.explanation import Explanation as Explanation
    from chainrule.insight.explanation import explain as explain
    from chainrule.insight.finding import KINDS as KINDS
    from chainrule.insight.finding import Finding as Finding
    from chainrule.insight.gradient_check import GradientCheck as GradientCheck
    from chainrule.insight.gradient_check import check_gradients as check_gradients
    from chainrule.insight.landscape import LossLine as LossLine
    from chainrule.insight.landscape import LossPlane as LossPlane
    from chainrule.insight.landscape import loss_along_line as loss_along_line
    from chainrule.insight.landscape import loss_plane as loss_plane
    from chainrule.insight.record import RunRecord as RunRecord
    from chainrule.insight.record import find_runs as find_runs
    from chainrule.insight.report import write_report as write_report


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"chainrule.insight.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'chainrule.insight' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
