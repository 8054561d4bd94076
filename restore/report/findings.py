"""What happened in a run, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["findings"]

STOPPED = {
    "heldout": "the error on the held-out pixels had not improved since step {best}",
    "variance": "the picture had stopped changing since step {best}",
    "discrepancy": "the picture was as far from the measurement as the noise is",
    "iterations": "these were all the steps it was given",
    "time": "the time was up",
    "interrupted": "it was interrupted",
    "diverged": "it diverged for good",
}


def findings(report: Mapping[str, Any]) -> list[str]:
    """Return sentences on how a run ended, how good it is, and how its gradients and its baseline fared."""
    best, last = report["iteration_best"], report["iterations"]
    reason = STOPPED.get(report["stop_reason"], report["stop_reason"]).format(best=best)
    written = "" if best == last else f" The picture of step {best} was written."
    found = [f"The fit ended at step {last}: {reason}.{written}"]
    found += _quality(report)
    health, baseline = report.get("gradient_health"), report.get("baseline")
    if health is not None and health["verdict"]:
        found.append(f"Its gradients were {health['verdict']}: {'; '.join(health['reasons'])}.")
        if health["recurrence"] is not None:
            found.append(f"On its way back through the recurrence the gradient was {health['recurrence']['verdict']}.")
    if baseline is not None:
        found += _against(baseline)
    return [*found, *(f"Warning: {warning}" for warning in report["warnings"])]


def _quality(report: Mapping[str, Any]) -> list[str]:
    if report["psnr"] is None:
        if report["psnr_estimate"] is None:
            return []
        error = report["psnr_estimate_error"]
        return [f"Without a reference its PSNR is estimated at {report['psnr_estimate']:.1f} +- {error:.1f} dB."]
    before = "" if report["psnr_input"] is None else f", from {report['psnr_input']:.2f} dB of the damaged picture"
    sentence = f"The written picture has a PSNR of {report['psnr']:.2f} dB{before}"
    if report["psnr_peak"] is not None and report["psnr_final"] is not None:
        sentence += (
            f"; the peak of the fit was {report['psnr_peak']:.2f} dB, its last step {report['psnr_final']:.2f} dB"
        )
    return [f"{sentence}."]


def _against(baseline: Mapping[str, Any]) -> list[str]:
    own = baseline["normalized"]
    found = []
    for side in (baseline, *baseline["beside"]):
        name, last = side["change"], side["iterations"]
        if side["speedup"] is None:
            sentence = f"The twin '{name}' never reached 90 % of the fall in the loss in {last} steps"
        else:
            sentence = (
                f"The twin '{name}' took {side['speedup']:.2f} times as many steps to 90 % of the fall in the loss"
            )
        if side["psnr"] is not None and own["psnr"] is not None:
            sentence += f", and ended at {side['psnr']:.2f} dB where normalisation ended at {own['psnr']:.2f} dB"
        found.append(f"{sentence}; its gradients: {side['gradient_health']['verdict'] or 'unknown'}.")
    return found
