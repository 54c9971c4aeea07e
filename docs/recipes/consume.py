"""Follows the accepted readings of all tenants: consume.py [READINGS], by default the first 10, then ends.

Reads decisions, not raw messages: each says what was accepted, with its verdict. The topic is at least once: a message
that does not lie at its decision_offset is no decision, and a consumer keeps per partition the highest source offset it has applied
and leaves out what is not above it."""

import datetime
import decimal
import io
import json
import os
import struct
import sys
import urllib.request
import uuid

import confluent_kafka
import fastavro

TOPIC = "meter.readings.validated.v1"
wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10
schemas: dict[int, dict] = {}


def schema(identifier: int) -> dict:
    if identifier not in schemas:
        with urllib.request.urlopen(f"{os.environ['SCHEMA_REGISTRY_URL']}/schemas/ids/{identifier}", timeout=10) as answer:
            schemas[identifier] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return schemas[identifier]


def decode(value: bytes) -> dict:
    """A zero byte, four bytes of schema id, the datum."""
    magic, identifier = struct.unpack(">bI", value[:5])
    assert magic == 0, "not framed"
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schema(identifier), None)


consumer = confluent_kafka.Consumer({
    "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP"],
    "group.id": f"recipe-{uuid.uuid4()}",  # a service of yours has one name for ever
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
})
consumer.subscribe([TOPIC])
applied: dict[int, int] = {}
shown = 0
try:
    while shown < wanted:
        message = consumer.poll(30)
        if message is None:
            sys.exit("nothing came within 30 s: is the demo running?")
        if message.error():
            sys.exit(str(message.error()))
        decision = decode(message.value())
        if decision.get("decision_offset", -1) not in (-1, message.offset()):
            continue  # its writer did not know what came between
        partition, offset = decision["source_partition"], decision["source_offset"]
        if offset <= applied.get(partition, -1):
            continue  # applied before
        applied[partition] = offset
        for reading in decision["readings"][: wanted - shown]:
            start, value = reading["start"], reading["value"]
            assert isinstance(start, datetime.datetime) and isinstance(value, decimal.Decimal)
            print(decision["tenant_id"], decision["device_id"], reading["channel"], start.isoformat(), value, reading["unit"], reading["verdict"])
            shown += 1
finally:
    consumer.close()
