"""The contracts of topics (AsyncAPI 3) and tables (ODCS), written from what the code itself uses, so that they cannot drift:
Avro schemas, deploy/topics.toml, the lake's table specs and dbt's descriptions. contracts.py writes them, contracts.py --check
tells whether they are what it writes, and whether they keep to the standards' own schemas."""

import json
import pathlib
import re
import sys
import tomllib

import jsonschema
import open_data_contract_standard
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ODCS = json.loads((pathlib.Path(open_data_contract_standard.__file__).parent / "schema.json").read_text())
VERSION = "1.0.0"

TOPICS = {
    "meter.readings.raw.v1": ("gateways and ingest", "Deliveries of readings as they came. At least once; a gateway's counter tells repeats."),
    "meter.readings.validated.v1": ("validate", "One decision per raw message. A message that does not lie at its decision_offset is none; of the others the first in the log about a source offset holds."),
    "meter.readings.rejected.v1": ("validate, parquet-sink", "Dead letters: the bytes as they came, with __dlq.errors.* headers; marks beside them say what was done."),
    "meter.readings.replay.v1": ("meterway replay", "Raw messages on the replay lane. Read by that lane's validate only."),
    "meter.readings.replay.validated.v1": ("validate", "Decisions of the replay lane. Read by parquet-sink only."),
    "meter.events.raw.v1": ("gateways and ingest", "Events of devices: last gasp, tamper, battery, and the like."),
    "meter.devices.v1": ("metadata", "The newest state of each device; compacted, a null value when it was erased."),
    "meter.alerts.v1": ("alert", "Every change of an alert. At least once: (alert_id, revision) identifies a change."),
    "lake.commits.v1": ("parquet-sink", "Hints that a snapshot of a lake table was committed. May be lost: the lake itself is the truth."),
    "warehouse.loads.v1": ("redshift-loader", "Notices that a snapshot was loaded. May come twice."),
}
# Purpose, key of a row, and how late a row may be (docs/slo.md), per table.
LAKE = {
    "readings": ("One row per accepted reading and outcome.", ["tenant_id", "device_id", "channel", "kind", "start", "version", "source_offset", "revision"], "5m"),
    "rejected": ("One row per rejection; its source coordinates point at the row of landing with the bytes.", ["source_topic", "source_partition", "source_offset", "reading_index"], "5m"),
    "landing": ("Every raw message as it was, with its coordinates.", ["topic", "partition", "offset"], "5m"),
    "dead_letters": ("Every record of the dead-letter topic as it was, and the marks beside the letters.", ["topic", "partition", "offset"], "5m"),
    "alerts": ("Every change of an alert. At least once.", ["alert_id", "revision"], "5m"),
}
# Columns that no Avro schema describes.
DESCRIBED = {
    "source_topic": "Topic of the raw message.",
    "source_partition": "Partition of the message it comes of.",
    "source_offset": "Offset of the message it comes of.",
    "kind": "letter, or what a mark beside a letter says was done: claimed, replayed, dropped.",
    "reading_index": "Position of the reading in its message; -1 for the whole message where a rejection concerns all of it.",
    "code": "Reason, from the closed list of RejectCode (crates/meter-model).",
    "topic": "Topic the record stood in.",
    "partition": "Its partition.",
    "offset": "Its offset.",
    "timestamp": "Kafka's timestamp of the record.",
    "key": "Key, bytes unchanged.",
    "payload": "Value, bytes unchanged; null for a tombstone.",
    "payload_bytes": "Length of the value.",
    "headers": 'Headers as JSON, a list of [name, value]; a value that is no UTF-8 stands as {"hex": "…"}.',
    "stage": "Service that set the record aside.",
    "message": "What that service said.",
    "replays": "How often it has gone round.",
    "replay_of": "Letter it is a replay of.",
    "mark_of": "Offset of the letter that a mark is about.",
    "mark_by": "Who set the mark.",
    "mark_reason": "Why.",
}
# Tables whose rows come of a message, and columns that are not what the message's field of that name is.
MESSAGES = {"readings": "meterway.v1.ValidatedBatch", "rejected": "meterway.v1.ValidatedBatch", "alerts": "meterway.v1.Alert"}
REWRITTEN = {
    "readings": {
        "revision": "Null on the live lane, else the number of the replay that judged the reading again.",
        "failed_rules": "Names of the rules that failed, joined by commas.",
        "skipped_rules": "Names of the rules that could not be applied, joined by commas.",
        "flags": "Flags of the meter, joined by commas.",
    }
}
LOGICAL = {"String": "string", "Int": "integer", "Long": "integer", "Date": "date", "Timestamp": "timestamp", "Decimal": "number", "Binary": "string"}
PHYSICAL = {"String": "string", "Int": "int", "Long": "long", "Date": "date", "Timestamp": "timestamptz", "Decimal": "decimal(18, 6)", "Binary": "binary"}
# Who a value is about: a person's identifiers and consumption, or nobody.
PSEUDONYMS = {"device_id", "customer_id", "site_id", "gateway_id"}
CONSUMPTION = {"value", "quantity", "highest_interval", "payload", "start", "hour_start", "local_hour"}


def avro() -> dict[str, dict]:
    schemas = [json.loads(path.read_text()) for path in sorted((ROOT / "schemas/avro").glob("*.avsc"))]
    return {f"{schema['namespace']}.{schema['name']}": {**schema, "file": f"{snake(schema['name'])}.avsc"} for schema in schemas}


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def docs_of(schema, found: dict[str, str]) -> dict[str, str]:
    """Descriptions of all fields of a schema and the records in it, by name."""
    if isinstance(schema, dict):
        if "doc" in schema and "name" in schema and "type" in schema:
            found.setdefault(schema["name"], schema["doc"])
        for value in schema.values():
            docs_of(value, found)
    elif isinstance(schema, list):
        for value in schema:
            docs_of(value, found)
    return found


def asyncapi() -> dict:
    declared, schemas = tomllib.loads((ROOT / "deploy/topics.toml").read_text()), avro()
    channels, operations, messages = {}, {}, {}
    for topic in declared["topic"]:
        name, contract = topic["name"], topic.get("contract")
        producer, tells = TOPICS[name]
        key = name.replace(".", "_")
        message = {"name": contract or "bytes", "title": contract or "Any bytes", "contentType": "avro/binary" if contract else "application/octet-stream"}
        if contract:
            message["summary"] = schemas[contract]["doc"]
            message["payload"] = {
                "schemaFormat": "application/vnd.apache.avro;version=1.9.0",
                "schema": {"$ref": f"../../schemas/avro/{schemas[contract]['file']}"},
            }
        messages[key] = message
        settings = {"cleanup.policy": [topic.get("cleanup", declared["defaults"]["cleanup"])]}
        channels[key] = {
            "address": name,
            "description": f"{tells} Written by {producer}.",
            "messages": {"message": {"$ref": f"#/components/messages/{key}"}},
            "bindings": {"kafka": {"topic": name, "topicConfiguration": settings, "bindingVersion": "0.5.0"}},
            "x-retention": topic.get("retention", "for as long as the key exists"),
        }
        operations[f"read_{key}"] = {"action": "receive", "channel": {"$ref": f"#/channels/{key}"}, "summary": f"Read {name}."}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Meterway's topics",
            "version": VERSION,
            "description": "Values are framed as Confluent's clients do: a zero byte, four bytes of schema id, the Avro datum. Compatibility of every "
            f"subject is {declared['compatibility']}. Topics are at least once; what makes tables exact is in docs/adr/0001.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "avro/binary",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def lake_columns() -> dict[str, list[tuple[str, str, bool]]]:
    """(name, type, required) by table, from the specs in Rust."""
    text = (ROOT / "crates/lake/src/tables.rs").read_text()
    lists = dict(re.findall(r"const (\w+): &\[Column\] = &\[(.*?)\n\];", text, re.DOTALL))
    tables = {}
    for name, constant in re.findall(r'name: "(\w+)",\s*columns: (\w+)', text):
        found = re.findall(r'(required|optional)\("(\w+)", (\w+)\)', lists[constant])
        tables[name] = [(column, kind, need == "required") for need, column, kind in found]
    return tables


def classification(column: str) -> str:
    return "pseudonymous" if column in PSEUDONYMS else "personal" if column in CONSUMPTION else "internal"


def odcs(id_: str, name: str, purpose: str, server: dict, properties: list[dict], late: str, usage: str) -> dict:
    return {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": f"meterway.{id_}",
        "name": name,
        "version": VERSION,
        "status": "active",
        "domain": "metering",
        "dataProduct": "meterway",
        "description": {
            "purpose": purpose,
            "usage": usage,
            "limitations": "Classes: pseudonymous identifies a meter or a customer to those who have the register; personal is a household's consumption; "
            "internal says nothing about a person.",
        },
        "team": [{"username": "meterway-operators", "role": "owner"}],
        "servers": [server],
        "schema": [{"name": name, "physicalName": name, "physicalType": "table", "description": purpose, "properties": properties}],
        "slaProperties": [
            {"property": "latency", "value": re.sub(r"\D", "", late), "unit": late[-1], "driver": "analytics"},
            {"property": "completeness", "value": "100", "unit": "%", "driver": "regulatory"},
        ],
    }


def lake_contracts() -> dict[str, dict]:
    schemas, contracts = avro(), {}
    for table, columns in lake_columns().items():
        purpose, key, late = LAKE[table]
        described = DESCRIBED | docs_of(schemas.get(MESSAGES.get(table, ""), {}), {}) | REWRITTEN.get(table, {})
        properties = []
        for name, kind, required in columns:
            properties.append({
                "name": name,
                "logicalType": LOGICAL[kind],
                "physicalType": PHYSICAL[kind],
                "required": required,
                **({"primaryKey": True, "primaryKeyPosition": key.index(name) + 1} if name in key else {}),
                "classification": classification(name),
                "description": described.get(name, ""),
            })
        server = {"server": "lake", "type": "s3", "location": f"s3://LAKE_BUCKET/warehouse/meterway/{table}", "format": "iceberg"}
        usage = "Read it as an Iceberg table through the catalog, never by listing files. Filter by tenant_id and by the day of the partition first."
        contracts[f"lake_{table}"] = odcs(f"lake.{table}", table, purpose, server, properties, late, usage)
    return contracts


def marts_contracts() -> dict[str, dict]:
    contracts = {}
    for path in sorted((ROOT / "warehouse/models/marts").glob("*.yml")):
        for model in yaml.safe_load(path.read_text())["models"]:
            key = next((test["unique_key"]["arguments"]["columns"] for test in model.get("data_tests", []) if isinstance(test, dict) and "unique_key" in test), [])
            properties = []
            for column in model["columns"]:
                name, tests = column["name"], column.get("data_tests", [])
                alone = not key and "unique" in tests
                properties.append({
                    "name": name,
                    "logicalType": mart_type(name),
                    "required": "not_null" in tests or name in key,
                    **({"primaryKey": True, "primaryKeyPosition": 1 if alone else key.index(name) + 1} if alone or name in key else {}),
                    "classification": classification(name),
                    "description": " ".join(column["description"].split()),
                })
            purpose = " ".join(model["description"].split())
            server = {"server": "warehouse", "type": "redshift", "host": "WAREHOUSE_HOST", "database": "warehouse", "schema": "marts"}
            usage = "Columns that are not named here may change. Rows are those of the reader's tenant: the database itself keeps others' apart."
            contracts[f"marts_{model['name']}"] = odcs(f"marts.{model['name']}", model["name"], purpose, server, properties, "15m", usage)
    return contracts


def mart_type(name: str) -> str:
    if name.endswith(("_day",)):
        return "date"
    if name.endswith(("_at", "hour_start", "local_hour")):
        return "timestamp"
    if name in ("is_open",):
        return "boolean"
    if name.endswith(("_s", "_hours", "intervals")):
        return "integer"
    if name in ("quantity", "highest_interval", "completeness", "multiplier") or name.endswith("_share"):
        return "number"
    return "string"


def documents() -> dict[pathlib.Path, dict]:
    tables = lake_contracts() | marts_contracts()
    return {HERE / "asyncapi.yaml": asyncapi()} | {HERE / "tables" / f"{name}.yaml": contract for name, contract in tables.items()}


def faults_of(path: pathlib.Path, document: dict) -> list[str]:
    if path.parent.name != "tables":
        return [f"{path.name}: {message['payload']['schema']['$ref']} is not there" for message in document["components"]["messages"].values()
                if "payload" in message and not (HERE / message["payload"]["schema"]["$ref"]).is_file()]
    found = [f"{path.name}: {'/'.join(map(str, fault.path))}: {fault.message[:200]}" for fault in jsonschema.Draft201909Validator(ODCS).iter_errors(document)]
    properties = document["schema"][0]["properties"]
    found += [f"{path.name}: {item['name']} has no description" for item in properties if not item["description"]]
    return found


def main() -> int:
    check, faults = "--check" in sys.argv[1:], []
    wanted = documents()
    for path, document in wanted.items():
        text = "# Written by docs/contracts/contracts.py from the code; do not edit.\n" + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=130)
        faults += faults_of(path, document)
        if not check:
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            faults.append(f"{path.relative_to(ROOT)} is not what the code says: run docs/contracts/contracts.py")
    faults += [f"{path.relative_to(ROOT)}: a contract of nothing" for path in (HERE / "tables").glob("*.yaml") if path not in wanted]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(asyncapi()['channels'])} topics, {len(wanted) - 1} tables")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
