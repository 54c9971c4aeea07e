"""Checks what operators look at: the rules, their cases, their runbooks, the boards, and that every metric named in them is one
that the code exports. observe.py <promtool>, from anywhere; 0 when all is well."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yaml"))
BOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
TIMES = {"silent": 8, "fires": 25, "recovered": 60}
# Made by Prometheus itself, or by the client library of every service.
FOREIGN = {"up", "ALERTS", "ALERTS_FOR_STATE"}
VARIABLE = re.compile(r"\$(__rate_interval|__range|[a-z]+)")


def promtool(program: str, *arguments: str) -> list[str]:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=600, check=False)
    return [] if done.returncode == 0 else [f"promtool {' '.join(arguments[:2])}: {done.stdout}{done.stderr}".strip()]


def exported() -> set[str]:
    """Names in the sources that look like a metric, with the suffixes that a histogram adds."""
    names: set[str] = set()
    for folder in ("crates", "services", "cli/src"):
        for path in (ROOT / folder).rglob("*.rs"):
            if "tests" not in path.parts:
                names |= set(re.findall(r'"((?:[a-z]+_)+[a-z]+)"', path.read_text()))
    return {f"{name}{suffix}" for name in names for suffix in ("", "_bucket", "_count", "_sum")}


def metrics_of(expression: str) -> set[str]:
    """Names of series in an expression: what stands before a selector or by itself, without functions, labels and words."""
    text = re.sub(r'"[^"]*"', '""', expression)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    text = re.sub(r"\{[^}]*\}", " ", text)
    text = re.sub(r"\[[^\]]*\]", " ", text)
    words = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b", text)
    keep = {"and", "or", "unless", "offset", "bool", "by", "without", "inf", "nan"}
    return {word for word in words if word not in keep and not re.search(rf"\b{re.escape(word)}\s*\(", text) and len(word) > 2}


def rules() -> list[dict]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def cases_file(cases: dict, folder: pathlib.Path) -> pathlib.Path:
    tests = []
    for alert, case in cases.items():
        query = f'sum(ALERTS{{alertname="{alert}",alertstate="firing"}} or vector(0)) > bool 0'
        values = {moment: int(moment == "fires") for moment in TIMES}
        tests.append({
            "name": alert,
            "interval": "1m",
            "input_series": [{"series": name, "values": values_} for name, values_ in case["series"].items()],
            "promql_expr_test": [
                {"expr": query, "eval_time": f"{case.get(moment, TIMES[moment])}m", "exp_samples": [{"labels": "{}", "value": value}]}
                for moment, value in values.items()
            ],
        })
    path = folder / "cases.yaml"
    document = {"rule_files": [str(rule) for rule in RULES], "evaluation_interval": "1m", "tests": tests}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def alert_faults(alerts: list[dict], cases: dict) -> list[str]:
    faults = [f"{name}: a case for an alert that there is not" for name in cases.keys() - {a["alert"] for a in alerts}]
    for alert in alerts:
        name, notes = alert["alert"], alert.get("annotations", {})
        if name not in cases:
            faults.append(f"{name}: no case in cases.yaml shows it silent, firing and recovered")
        if alert.get("labels", {}).get("severity") not in ("page", "ticket"):
            faults.append(f"{name}: severity must be page or ticket")
        faults += [f"{name}: no {key}" for key in ("summary", "description", "runbook_url") if not notes.get(key)]
        page = notes.get("runbook_url", "")
        if not page.startswith("docs/runbooks/") or not (ROOT / page.split("#")[0]).is_file():
            faults.append(f"{name}: its runbook {page!r} is not there")
    return faults


def panels(board: dict) -> list[dict]:
    found = []
    for panel in board.get("panels", []):
        found += [panel, *panel.get("panels", [])]
    return [panel for panel in found if panel.get("type") != "row"]


def board_faults(path: pathlib.Path, uids: set[str]) -> tuple[list[str], list[str]]:
    """What is wrong with a board, and its expressions with the variables of Grafana filled in."""
    board, faults, expressions = json.loads(path.read_text()), [], []
    if board.get("uid") in uids or not board.get("uid"):
        faults.append(f"{path.name}: its uid is missing or taken")
    uids.add(board.get("uid"))
    known = {variable["name"] for variable in board["templating"]["list"]} | {"__rate_interval", "__range"}
    taken: set[tuple[int, int]] = set()
    for panel in panels(board):
        at, title = panel["gridPos"], f"{path.name}: {panel.get('title')!r}"
        if not panel.get("title") or not panel.get("description"):
            faults.append(f"{title}: title and description are wanted")
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        if cells & taken or at["x"] + at["w"] > 24:
            faults.append(f"{title}: lies on another panel or beyond the edge")
        taken |= cells
        for target in panel.get("targets", []):
            expression = target["expr"]
            faults += [f"{title}: ${name} is not a variable" for name in VARIABLE.findall(expression) if name not in known]
            expressions.append(VARIABLE.sub(lambda m: "5m" if m[1].startswith("__") else ".*", expression))
    return faults, expressions


def main() -> int:
    program = sys.argv[1]
    all_rules, cases = rules(), yaml.safe_load((ROOT / "deploy/prometheus/cases.yaml").read_text())
    alerts = [rule for rule in all_rules if "alert" in rule]
    recorded = {rule["record"] for rule in all_rules if "record" in rule}
    names = exported() | recorded | FOREIGN
    faults = promtool(program, "check", "rules", *map(str, RULES)) + alert_faults(alerts, cases)

    expressions = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in all_rules]
    uids: set[str] = set()
    for path in BOARDS:
        wrong, found = board_faults(path, uids)
        faults += wrong
        expressions += [(path.name, expression) for expression in found]
    for where, expression in expressions:
        faults += [f"{where}: no code exports {metric}" for metric in sorted(metrics_of(expression) - names)]

    with tempfile.TemporaryDirectory() as folder:
        # Grafana's expressions as rules: promtool has no other way to parse them.
        boards = [expression for where, expression in expressions if where.endswith(".json")]
        as_rules = {"groups": [{"name": "boards", "rules": [{"record": f"board:panel{n}", "expr": e} for n, e in enumerate(boards)]}]}
        path = pathlib.Path(folder) / "boards.yaml"
        path.write_text(yaml.safe_dump(as_rules))
        faults += promtool(program, "check", "rules", str(path)) + promtool(program, "test", "rules", str(cases_file(cases, path.parent)))
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(alerts)} alerts seen silent, firing and recovered; {len(recorded)} recorded series; {len(boards)} queries on {len(BOARDS)} boards")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
