"""Runs one case from the first message to the verdict."""

from pathlib import Path

from tests.chaos.cases import Case
from tests.chaos.scene import Scene, Servers, Verdict


def run_case(case: Case, folder: Path, servers: Servers) -> Verdict:
    """Bring the scene into full flow, do the fault, and judge."""
    with Scene(folder, servers, case.settings) as scene:
        for _ in range(case.replicas):
            scene.start_processor()
        with scene.traffic:
            scene.steady()
            case.fault(scene)
            recovery_s = scene.recovered(case.recover_s)
            scene.steady()
            return scene.verdict(recovery_s, alarms_exact=case.alarms_exact)
