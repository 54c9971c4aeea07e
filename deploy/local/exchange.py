"""Writes to every component of a stack, or reads it back: `exchange.py write|read STACK.ENV`.

Goes through the addresses and accounts of the stack's settings, as the services do, and checks what those
accounts must not be able to do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg2
from botocore.exceptions import ClientError
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stack.components.aws import client
from stack.components.base import http

VALUE = "meterway"
NAME = "selftest"
SCHEMA = {"type": "record", "name": "Value", "fields": [{"name": "text", "type": "string"}]}
Settings = dict[str, str]


def kafka_write(settings: Settings) -> None:
    server = {"bootstrap.servers": settings["KAFKA_BOOTSTRAP"]}
    admin = AdminClient(server)
    admin.create_topics([NewTopic(NAME, 1)])[NAME].result(30)
    producer = Producer({**server, "acks": "all", "message.max.bytes": 9437184, "delivery.timeout.ms": 20000})
    failures: list[object] = []
    # The large message: an 8 MiB payload is within the stack's limit.
    for payload in (VALUE.encode(), bytes(8 << 20)):
        producer.produce(NAME, payload, on_delivery=lambda error, _: failures.append(error) if error else None)
    left = producer.flush(30)
    assert not failures and left == 0, f"{failures=} {left=}"
    assert _topic_is_refused(server), "a topic was made by writing to it"


def _topic_is_refused(server: dict[str, str]) -> bool:
    # By default the client waits half a minute for a topic that may just be spreading through the cluster.
    producer = Producer({**server, "topic.metadata.propagation.max.ms": 500})
    refused: list[bool] = []
    producer.produce("never-made", b"", on_delivery=lambda error, _: refused.append(error is not None))
    producer.flush(10)
    return refused == [True]


def kafka_read(settings: Settings) -> None:
    consumer = Consumer(
        {"bootstrap.servers": settings["KAFKA_BOOTSTRAP"], "group.id": NAME, "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(NAME, 0, 0)])
    messages = consumer.consume(2, timeout=20)
    consumer.close()
    for message in messages:
        if message.error():
            raise KafkaException(message.error())
    assert [len(message.value()) for message in messages] == [len(VALUE), 8 << 20], "other messages than were sent"


def registry_write(settings: Settings) -> None:
    url = settings["SCHEMA_REGISTRY_URL"]
    http("POST", f"{url}/subjects/{NAME}-value/versions", {"schema": json.dumps(SCHEMA)})


def registry_read(settings: Settings) -> None:
    url = settings["SCHEMA_REGISTRY_URL"]
    latest = json.loads(http("GET", f"{url}/subjects/{NAME}-value/versions/latest"))
    assert json.loads(latest["schema"])["name"] == SCHEMA["name"], latest
    level = json.loads(http("GET", f"{url}/config"))
    assert "FULL_TRANSITIVE" in level.values(), level


def s3_write(settings: Settings) -> None:
    _s3(settings, "").put_object(Bucket=settings["S3_BUCKET"], Key=NAME, Body=VALUE.encode())


def s3_read(settings: Settings) -> None:
    reader, bucket = _s3(settings, "READER_"), settings["S3_BUCKET"]
    assert reader.get_object(Bucket=bucket, Key=NAME)["Body"].read() == VALUE.encode()
    expect(ClientError, lambda: reader.put_object(Bucket=bucket, Key="refused", Body=b""))
    expect(ClientError, lambda: _s3(settings, "").put_object(Bucket=bucket, Key=NAME, Body=b"", IfNoneMatch="*"))


def _s3(settings: Settings, role: str):
    keys = (settings[f"S3_{role}ACCESS_KEY"], settings[f"S3_{role}SECRET_KEY"])
    return client("s3", settings["S3_ENDPOINT"], settings["S3_REGION"], keys, 10)


def postgres_write(settings: Settings) -> None:
    sql(settings["METADATA_OWNER_URL"], f"CREATE TABLE {NAME} (text text); INSERT INTO {NAME} VALUES ('{VALUE}')")
    sql(settings["METADATA_OWNER_URL"], f"GRANT SELECT ON {NAME} TO metadata_app")
    sql(settings["ICEBERG_CATALOG_URL"], f"CREATE TABLE {NAME} (text text); INSERT INTO {NAME} VALUES ('{VALUE}')")
    sql(
        settings["WAREHOUSE_LOADER_URL"],
        f"CREATE SCHEMA raw; CREATE TABLE raw.{NAME} AS SELECT '{VALUE}'::text AS text",
    )
    sql(settings["WAREHOUSE_DBT_URL"], f"CREATE SCHEMA marts; CREATE TABLE marts.{NAME} AS SELECT * FROM raw.{NAME}")


def postgres_read(settings: Settings) -> None:
    for role, schema in (
        ("METADATA_APP", "public"),
        ("ICEBERG_CATALOG", "public"),
        ("WAREHOUSE_READER", "raw"),
        ("WAREHOUSE_READER", "marts"),
    ):
        assert sql(settings[f"{role}_URL"], f"SELECT text FROM {schema}.{NAME}") == [(VALUE,)], (role, schema)
    expect(psycopg2.Error, lambda: sql(settings["METADATA_APP_URL"], "CREATE TABLE refused ()"))
    expect(psycopg2.Error, lambda: sql(settings["WAREHOUSE_READER_URL"], f"DELETE FROM raw.{NAME}"))
    other_database = settings["METADATA_APP_URL"].removesuffix("/metadata") + "/warehouse"
    expect(psycopg2.Error, lambda: sql(other_database, "SELECT 1"))
    privileged = "SELECT rolname FROM pg_roles WHERE (rolsuper OR rolbypassrls) AND rolcanlogin"
    assert sql(settings["POSTGRES_ADMIN_URL"], privileged) == [("postgres",)]


def sql(url: str, statements: str) -> list[tuple]:
    connection = psycopg2.connect(url, connect_timeout=5)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statements)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def dynamodb_write(settings: Settings) -> None:
    table = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST"}
    dynamodb = _dynamodb(settings)
    dynamodb.create_table(TableName=NAME, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], **table)
    dynamodb.put_item(TableName=NAME, Item={"id": {"S": "1"}, "text": {"S": VALUE}})


def dynamodb_read(settings: Settings) -> None:
    item = _dynamodb(settings).get_item(TableName=NAME, Key={"id": {"S": "1"}}, ConsistentRead=True)["Item"]
    assert item["text"]["S"] == VALUE, item


def _dynamodb(settings: Settings):
    keys = (settings["AWS_ACCESS_KEY_ID"], settings["AWS_SECRET_ACCESS_KEY"])
    return client("dynamodb", settings["DYNAMODB_ENDPOINT"], settings["AWS_REGION"], keys, 10)


def expect(error: type[Exception], call: Callable[[], object]) -> None:
    """Fails unless `call` raises `error`."""
    try:
        call()
    except error:
        return
    raise AssertionError("something was allowed that must be refused")


STEPS = {
    "write": (kafka_write, registry_write, s3_write, postgres_write, dynamodb_write),
    "read": (kafka_read, registry_read, s3_read, postgres_read, dynamodb_read),
}


def main(action: str, env_file: str) -> None:
    settings = dict(line.split("=", 1) for line in Path(env_file).read_text().splitlines())
    for step in STEPS[action]:
        step(settings)
        print(f"  {step.__name__.replace('_', ': ')} ok", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
