"""The generated dashboard: complete, without doubles, and every query understood by Prometheus."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from huoyan.deploy.grafana import VARIABLES, grafana
from huoyan.signals import CATALOGUE
from tests.servers import find_program


@pytest.fixture(params=["en", "zh"])
def board(request):
    return json.loads(grafana(language=request.param))


def _panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_ids_are_unique(board):
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in _panels(board):
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))


def test_every_signal_is_drawn_exactly_once(board):
    queries = [target for panel in _panels(board) for target in panel["targets"]]
    assert len(queries) == len(CATALOGUE)
    assert len({query["expr"] for query in queries}) == len(CATALOGUE)


def test_panels_lie_within_the_grid_and_do_not_overlap(board):
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells


def test_every_panel_has_a_title_a_description_a_unit_and_the_chosen_data_source(board):
    for panel in _panels(board):
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]


def test_every_query_is_understood_by_prometheus(board, tmp_path):
    rules: list[dict[str, str]] = []
    for panel in _panels(board):
        for target in panel["targets"]:
            # What Grafana puts in for one, several and all chosen values.
            for chosen in ("orders", "(orders|mail\\\\.send)", ".*"):
                parts = re.split(r"\$\w+", target["expr"])
                rules.append({"record": f"r{len(rules)}", "expr": chosen.join(parts)})
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    program = find_program("promtool", "prometheus")
    result = subprocess.run([str(program), "check", "rules", str(path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{3 * len(CATALOGUE)} rules found" in result.stdout


def test_queries_use_no_variable_that_the_dashboard_does_not_have(board):
    names = {variable["name"] for variable in board["templating"]["list"]}
    assert names == {"datasource", *VARIABLES}
    text = json.dumps([board["panels"], board["templating"]])
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__all"}
    assert used <= names


def test_all_of_a_variable_includes_what_has_no_value(board):
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["includeAll"]
            assert variable["allValue"] == ".*"


def test_percentiles_share_a_panel(board):
    shared = [panel for panel in _panels(board) if len(panel["targets"]) > 1]
    percentiles = [[target["legendFormat"].split()[0] for target in panel["targets"]] for panel in shared]
    assert percentiles == [["P50", "P95", "P99"], ["P50", "P95", "P99"], ["P95", "P99"]]


def test_use_of_resources_and_errors_by_endpoint_are_heat_maps(board):
    heat = [panel for panel in _panels(board) if panel["type"] == "status-history"]
    legends = [panel["targets"][0]["legendFormat"] for panel in heat]
    assert legends == ["{{service}} {{endpoint}}", "{{service}} {{worker}}", "{{service}} {{worker}}"]
    assert {panel["fieldConfig"]["defaults"]["color"]["mode"] for panel in heat} == {"continuous-GrYlRd"}


def test_both_languages_have_the_same_panels_and_queries():
    english, chinese = (json.loads(grafana(language=language)) for language in ("en", "zh"))
    assert english["uid"] != chinese["uid"]
    assert [p["targets"][0]["expr"] for p in _panels(english)] == [p["targets"][0]["expr"] for p in _panels(chinese)]
    titles = [panel["title"] for panel in chinese["panels"]]
    assert "失败率" in titles
    assert "任务" in titles


def test_default_thresholds_are_drawn():
    board = json.loads(grafana())
    (panel,) = [panel for panel in _panels(board) if panel["title"] == "Failure ratio"]
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 0.05, 0.2]
