"""The rules in a real Prometheus beside a whole installation: all services are seen, nothing fires; then a record that no sink can
take in is put into the topic of alerts, and its alert fires. live.py <prometheus>, with the installation's settings in the environment."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import confluent_kafka
import yaml

HERE = pathlib.Path(__file__).resolve().parent
# Not the decisions: validate watches over those, and ends when somebody else writes there.
TOPIC, ALERT = "meter.alerts.v1", "SinkSetsRecordsAside"
LIMIT = 90


def ask(base: str, query: str) -> list[dict]:
    url = f"{base}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)["data"]["result"]


def wait(what: str, met) -> None:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        try:
            if met():
                return
        except OSError:
            pass  # it has not begun to listen
        time.sleep(0.5)
    sys.exit(f"{what}: not within {LIMIT} s")


def names_on_boards() -> set[str]:
    text = "".join(path.read_text() for path in (HERE.parent / "grafana/dashboards").glob("*.json"))
    return set(re.findall(r"\b(?:ingest|validate|parquet_sink|redshift_loader|alert|metadata|kafka|schema_registry)_[a-z_]+", text))


def main() -> None:
    services = dict(pair.split("=", 1) for pair in os.environ["METERWAY_ADMIN_URLS"].split(","))
    address = f"127.0.0.1:{int(os.environ['METERWAY_PORT_BASE']) + 99}"
    base = f"http://{address}"
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in sorted((HERE / "rules").glob("*.yaml"))],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [url.removeprefix("http://")]}]} for name, url in services.items()
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        settings = pathlib.Path(folder, "prometheus.yml")
        # The rules' own interval of a minute is for installations; here somebody waits.
        for path in config["rule_files"]:
            rules = yaml.safe_load(pathlib.Path(path).read_text())
            for group in rules["groups"]:
                group.pop("interval", None)
            pathlib.Path(folder, pathlib.Path(path).name).write_text(yaml.safe_dump(rules))
        config["rule_files"] = [f"{folder}/{pathlib.Path(path).name}" for path in config["rule_files"]]
        settings.write_text(yaml.safe_dump(config))
        command = [sys.argv[1], f"--config.file={settings}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
        with open(f"{folder}/log", "w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
            try:
                check(base, len(services))
            finally:
                server.terminate()


def check(base: str, services: int) -> None:
    wait("every service is scraped", lambda: len(ask(base, "up == 1")) == services)
    time.sleep(3)  # rules are evaluated once a second
    firing = [result["metric"]["alertname"] for result in ask(base, 'ALERTS{alertstate="firing"}')]
    if firing:
        sys.exit(f"alerts fire in a healthy installation: {sorted(set(firing))}")
    live = {result["metric"]["__name__"] for result in ask(base, 'count by (__name__) ({__name__=~".+"})')}
    names = names_on_boards()
    print(f"{services} services scraped, no alert fires; {len(names & live)} of {len(names)} metrics on the boards have values now")

    producer = confluent_kafka.Producer({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP"]})
    producer.produce(TOPIC, value=b"\x00 no alert", partition=0)
    if producer.flush(30):
        sys.exit("the broker did not take the broken record")
    begun = time.monotonic()
    wait(f"{ALERT} fires", lambda: ask(base, f'ALERTS{{alertname="{ALERT}",alertstate="firing"}}'))
    print(f"{ALERT} fires {time.monotonic() - begun:.1f} s after a record that cannot be taken in")


if __name__ == "__main__":
    main()
