"""Holds the lists against a real broker that asks for a password: every principal tries to write and to read every topic, and may do
exactly what principals.toml says. acls_check.py, after setup; starts a broker of its own on loopback and ends it."""

import concurrent.futures
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from acls import PRINCIPALS, grants

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIB = ROOT / ".local/lib/kafka"
TOPICS = [topic["name"] for topic in tomllib.loads((ROOT / "deploy/topics.toml").read_text())["topic"]]
OPERATIONS = {"write": AclOperation.WRITE, "read": AclOperation.READ, "describe": AclOperation.DESCRIBE}
KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}
PASSWORD = "local"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def properties(folder: pathlib.Path, broker: int, controller: int) -> str:
    users = " ".join(f'user_{name}="{PASSWORD}"' for name in ("admin", *PRINCIPALS))
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="{PASSWORD}" {users};'
    return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=SASL_PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_PLAINTEXT://127.0.0.1:{broker}
listener.security.protocol.map=SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={login}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
# The controller's listener asks nobody who he is; clients cannot reach it.
super.users=User:admin;User:ANONYMOUS
log.dirs={folder}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def java(*arguments: str) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={ROOT}/deploy/local/config/log4j2.properties"
    return ["java", "-Xmx320m", "-XX:TieredStopAtLevel=1", "-cp", f"{LIB}/*", logging, *arguments]


class Cluster:
    def __init__(self, folder: pathlib.Path) -> None:
        broker = free_port()
        self.address = f"127.0.0.1:{broker}"
        settings = folder / "server.properties"
        settings.write_text(properties(folder, broker, free_port()))
        format_ = java("kafka.tools.StorageTool", "format", "--cluster-id", "bWV0ZXJ3YXktYWNscy0wMQ", "--config", str(settings))
        subprocess.run(format_, check=True, capture_output=True, timeout=60)
        self.log = open(folder / "broker.log", "w")
        self.process = subprocess.Popen(java("kafka.Kafka", str(settings)), stdout=self.log, stderr=self.log)

    def client(self, name: str, password: str = PASSWORD) -> dict:
        return {
            "bootstrap.servers": self.address,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": name,
            "sasl.password": password,
            "log_level": 0,
            "socket.timeout.ms": 5000,
        }

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


def set_up(admin: AdminClient) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            admin.list_topics(timeout=2)
            break
        except KafkaException:
            if time.monotonic() > deadline:
                sys.exit("the broker did not answer within a minute")
    for future in admin.create_topics([NewTopic(topic, 1, 1) for topic in TOPICS]).values():
        future.result(30)
    bindings = [
        AclBinding(
            KINDS[kind],
            resource,
            ResourcePatternType.PREFIXED if prefix else ResourcePatternType.LITERAL,
            f"User:{name}",
            "*",
            OPERATIONS[operation],
            AclPermissionType.ALLOW,
        )
        for name in PRINCIPALS
        for operation, kind, resource, prefix in grants(name)
    ]
    for future in admin.create_acls(bindings).values():
        future.result(30)


def may_write(cluster: Cluster, name: str) -> set[str]:
    """Topics to which a record could be written."""
    errors: dict[str, KafkaError | None] = {}
    # Who may write nothing is not even given a producer's number, which is fatal to the client.
    idempotent = name == "admin" or bool(PRINCIPALS.get(name, {}).get("write"))
    producer = Producer(cluster.client(name) | {"enable.idempotence": idempotent, "message.timeout.ms": 8000})
    for topic in TOPICS:
        producer.produce(topic, b"tried", on_delivery=lambda error, message: errors.update({message.topic(): error}))
    producer.flush(30)
    return {topic for topic in TOPICS if topic in errors and errors[topic] is None}


def may_read(cluster: Cluster, name: str, group: str) -> set[str]:
    """Topics of which records could be fetched. Without a group: what an assigned consumer gets."""
    consumer = Consumer(cluster.client(name) | {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    read, refused = set(), set()
    consumer.assign([TopicPartition(topic, 0, 0) for topic in TOPICS])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and len(read | refused) < len(TOPICS):
        message = consumer.poll(0.5)
        if message is None:
            continue
        if error := message.error():
            # Reading without membership, the group is of no concern here.
            if error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
                assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, error
                refused.add(message.topic())
        else:
            read.add(message.topic())
    consumer.close()
    return read


def may_join(cluster: Cluster, name: str, topic: str, group: str) -> bool:
    """Whether the principal gets a partition as a member of a group."""
    consumer = Consumer(cluster.client(name) | {"group.id": group, "auto.offset.reset": "earliest", "session.timeout.ms": 6000})
    consumer.subscribe([topic])
    deadline, joined = time.monotonic() + 20, None
    while joined is None and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if consumer.assignment():
            joined = True
        elif message is not None and message.error() and message.error().code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            joined = False
    consumer.close()
    return bool(joined)


def faults(cluster: Cluster) -> list[str]:
    found = []
    # Somebody who may everything goes first, so that there is something to read everywhere.
    if may_write(cluster, "admin") != set(TOPICS):
        return ["the administrator cannot write: the broker is not as it should be"]
    # They mostly wait for refusals.
    with concurrent.futures.ThreadPoolExecutor(len(PRINCIPALS)) as pool:
        for faults in pool.map(lambda name: faults_of(cluster, name, PRINCIPALS[name]), PRINCIPALS):
            found += faults
    if may_write(cluster, "nobody"):
        found.append("who is not known can write")
    return found


def faults_of(cluster: Cluster, name: str, of: dict) -> list[str]:
    found = []
    for verb, seen in (("write", may_write(cluster, name)), ("read", may_read(cluster, name, "none"))):
        wanted = set(of.get(verb, []))
        found += [f"{name} can {verb} {topic}, and must not" for topic in sorted(seen - wanted)]
        found += [f"{name} cannot {verb} {topic}, and must" for topic in sorted(wanted - seen)]
    if groups := of.get("groups"):
        group = groups[0].replace("*", "one")
        if not may_join(cluster, name, of["read"][0], group):
            found.append(f"{name} cannot join its group {group}")
        if may_join(cluster, name, of["read"][0], "somebody-elses"):
            found.append(f"{name} can join any group")
    return found


def main() -> int:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="meterway-acls-"))
    cluster = Cluster(folder)
    try:
        set_up(AdminClient(cluster.client("admin")))
        found = faults(cluster)
    finally:
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)
    for fault in found:
        print(fault, file=sys.stderr)
    print(f"{len(PRINCIPALS)} principals tried to write and to read {len(TOPICS)} topics each, on a broker that asks for a password")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
