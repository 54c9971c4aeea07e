"""Reads the topics: messages with their bytes' digests, and deliveries by the schema that the registry names."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from confluent_kafka import Consumer, Message, TopicPartition

RAW = "meter.readings.raw.v1"
VALIDATED = "meter.readings.validated.v1"
REJECTED = "meter.readings.rejected.v1"
ALERTS = "meter.alerts.v1"

_ROWS_PER_GROUP = 200_000
_PATIENCE_S = 60


class Table:
    """Columns that are written to a Parquet file group by group, so that a topic never is in memory as a whole."""

    def __init__(self, path: Path, columns: dict[str, pa.DataType]) -> None:
        self._schema = pa.schema(list(columns.items()))
        self._writer = pq.ParquetWriter(path, self._schema)
        self._columns: list[list] = [[] for _ in columns]

    def add(self, *values: object) -> None:
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        if len(self._columns[0]) >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        arrays = [pa.array(column, field.type) for column, field in zip(self._columns, self._schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        for column in self._columns:
            column.clear()

    def close(self) -> None:
        self._flush()
        self._writer.close()


def digest(payload: bytes | None) -> str | None:
    """MD5 of the bytes, as DuckDB's md5() gives it; None of a null."""
    return None if payload is None else hashlib.md5(payload).hexdigest()


def partitions(bootstrap: str, topic: str) -> list[int]:
    """Numbers of the partitions of a topic; none when it does not exist."""
    client = Consumer({"bootstrap.servers": bootstrap, "group.id": "torture-verifier", "log_level": 0})
    try:
        found = client.list_topics(topic, timeout=_PATIENCE_S).topics[topic]
        return sorted(found.partitions) if found.error is None else []
    finally:
        client.close()


def messages(bootstrap: str, topic: str, partition: int) -> Iterator[Message]:
    """Every message of a partition, from the first to the last that is there now."""
    client = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "torture-verifier",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": False,
            "log_level": 0,
        }
    )
    try:
        low, high = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=_PATIENCE_S)
        client.assign([TopicPartition(topic, partition, low)])
        position, heard = low, time.monotonic()
        while position < high:
            # It waits for so many messages or so long, whichever is first: at the end of a topic, that is so long.
            batch = client.consume(1_000, timeout=0.2)
            if batch:
                heard = time.monotonic()
            elif time.monotonic() - heard > _PATIENCE_S:
                raise TimeoutError(f"{topic}-{partition}: nothing after offset {position} of {high}")
            for message in batch:
                if message.error():
                    raise RuntimeError(f"{topic}-{partition}: {message.error()}")
                if message.offset() < high:
                    yield message
                position = message.offset() + 1
    finally:
        client.close()


class Deliveries:
    """Decodes deliveries by the schema that their frame names."""

    def __init__(self, registry: str) -> None:
        self._registry = registry.rstrip("/")
        self._schemas: dict[int, dict | None] = {}

    def _schema(self, number: int) -> dict | None:
        if number not in self._schemas:
            self._schemas[number] = self._fetch(number)
        return self._schemas[number]

    def _fetch(self, number: int) -> dict | None:
        try:
            with urllib.request.urlopen(f"{self._registry}/schemas/ids/{number}", timeout=_PATIENCE_S) as answer:
                schema = json.loads(json.load(answer)["schema"])
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        if schema.get("name") not in ("ReadingBatch", "meterway.v1.ReadingBatch"):
            return None
        return fastavro.parse_schema(_plain(schema))

    def decode(self, payload: bytes | None) -> dict | None:
        """The delivery, or None where the bytes are not exactly one."""
        if payload is None or len(payload) < 5 or payload[0] != 0:
            return None
        schema = self._schema(struct.unpack(">I", payload[1:5])[0])
        if schema is None:
            return None
        datum = io.BytesIO(payload[5:])
        try:
            delivery = fastavro.schemaless_reader(datum, schema, None)
        except Exception:  # Whatever the decoder's error is: these bytes are no delivery.
            return None
        return delivery if datum.tell() == len(payload) - 5 else None


def _plain(schema: object) -> object:
    """The schema without logical types: instants and decimals stay the numbers that were written."""
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key not in ("logicalType", "precision", "scale")}
    return [_plain(one) for one in schema] if isinstance(schema, list) else schema


def read_raw(settings: dict[str, str], partition: int, folder: Path) -> None:
    """A partition of the raw topic into raw-P.parquet and raw_reading-P.parquet."""
    text, number, small = pa.string(), pa.int64(), pa.int32()
    raw = Table(
        folder / f"raw-{partition}.parquet",
        {"p": small, "o": number, "xxh3": text, "md5": text, "bytes": number, "readings": small},
    )
    readings = Table(
        folder / f"raw_reading-{partition}.parquet",
        {
            "p": small, "o": number, "i": small, "tenant": text, "device": text, "gateway": text, "sequence": number,
            "channel": text, "kind": text, "start": number, "value": number,
        },
    )  # fmt: skip
    deliveries = Deliveries(settings["SCHEMA_REGISTRY_URL"])
    for message in messages(settings["KAFKA_BOOTSTRAP"], RAW, partition):
        payload, offset = message.value(), message.offset()
        delivery = deliveries.decode(payload)
        hashed = None if payload is None else xxhash.xxh3_64_hexdigest(payload)
        count = None if delivery is None else len(delivery["readings"])
        raw.add(partition, offset, hashed, digest(payload), 0 if payload is None else len(payload), count)
        if delivery is None:
            continue
        whose = delivery["tenant_id"], delivery["device_id"], delivery["gateway_id"], delivery["sequence"]
        for i, reading in enumerate(delivery["readings"]):
            value = int.from_bytes(reading["value"], "big", signed=True)
            readings.add(partition, offset, i, *whose, reading["channel"], reading["kind"], reading["start"], value)
    raw.close()
    readings.close()


def read_decisions(settings: dict[str, str], partition: int, folder: Path) -> None:
    """A partition of the validated topic into decision-P.parquet; what is not where it was to lie has `holds` false."""
    small, number = pa.int32(), pa.int64()
    columns = {"p": small, "o": number, "source": number, "holds": pa.bool_()}
    table = Table(folder / f"decision-{partition}.parquet", columns)
    registry, schemas = settings["SCHEMA_REGISTRY_URL"].rstrip("/"), {}
    for message in messages(settings["KAFKA_BOOTSTRAP"], VALIDATED, partition):
        payload = message.value()
        identifier = struct.unpack(">I", payload[1:5])[0]
        if identifier not in schemas:
            with urllib.request.urlopen(f"{registry}/schemas/ids/{identifier}", timeout=_PATIENCE_S) as answer:
                schemas[identifier] = fastavro.parse_schema(_plain(json.loads(json.load(answer)["schema"])))
        decision = fastavro.schemaless_reader(io.BytesIO(payload[5:]), schemas[identifier], None)
        # A decision in another partition than its message's would be about no message at all.
        source = decision["source_offset"] if decision["source_partition"] == partition else -1
        holds = decision.get("decision_offset", -1) in (-1, message.offset())
        table.add(partition, message.offset(), source, holds)
    table.close()


def read_letters(settings: dict[str, str], partition: int, folder: Path) -> None:
    """The dead letters of raw messages in a partition into letter-P.parquet."""
    small, number, text = pa.int32(), pa.int64(), pa.string()
    table = Table(folder / f"letter-{partition}.parquet", {"p": small, "o": number, "source": number, "md5": text})
    for message in messages(settings["KAFKA_BOOTSTRAP"], REJECTED, partition):
        headers = {key: (value or b"").decode(errors="replace") for key, value in message.headers() or []}
        if headers.get("__dlq.errors.topic") == RAW:
            source = int(headers["__dlq.errors.offset"])
            table.add(int(headers["__dlq.errors.partition"]), message.offset(), source, digest(message.value()))
    table.close()


def read_alerts(settings: dict[str, str], partition: int, folder: Path) -> None:
    """The positions of the alerts of a partition into alert_topic-P.parquet."""
    table = Table(folder / f"alert_topic-{partition}.parquet", {"p": pa.int32(), "o": pa.int64()})
    for message in messages(settings["KAFKA_BOOTSTRAP"], ALERTS, partition):
        table.add(partition, message.offset())
    table.close()


READERS = {RAW: read_raw, VALIDATED: read_decisions, REJECTED: read_letters, ALERTS: read_alerts}


def read(settings: dict[str, str], topic: str, partition: int, folder: str) -> None:
    """One partition of one topic; for a pool of processes."""
    READERS[topic](settings, partition, Path(folder))
