"""Every template with every ci value, as the API server itself reads it."""

import pytest

from tests.cluster.kubernetes import CHART_NAMES, CHARTS

CASES = [
    (chart, values)
    for chart in CHART_NAMES
    for values in ("", *(path.name for path in sorted((CHARTS / chart / "ci").glob("*.yaml"))))
]


@pytest.mark.parametrize(("chart", "values"), CASES)
def test_template_is_accepted_by_the_api_without_a_warning(cluster, chart, values):
    """Strict fields, defaults, PodSecurity `restricted`: the server refuses and warns of nothing."""
    path = CHARTS / chart
    chosen = ["-f", str(path / "ci" / values)] if values else []
    rendered = cluster.helm("template", "steam", str(path), *chosen)

    said = cluster.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "-f", "-", given=rendered
    )

    assert "would violate PodSecurity" not in said
    assert "arning: unknown" not in said
