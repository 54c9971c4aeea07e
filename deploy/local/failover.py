"""Proves that three brokers lose nothing: `failover.py STACK.ENV`.

Writes while a broker is killed, and while all of them are restarted one after the other; then reads everything back.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TOPIC, PARTITIONS = "failover", 6
STACK = Path(__file__).resolve().parent / "stack.sh"
LIMIT_S = 120


class Writer:
    """Writes numbered records until it is stopped, and knows which of them were acknowledged."""

    def __init__(self, bootstrap: str) -> None:
        self.acked: list[int] = []
        self.failures: list[str] = []
        self._sent = 0
        self._stop = threading.Event()
        # Numbers are unique over all writers, and a broker's absence is no failure of a record.
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "enable.idempotence": True, "delivery.timeout.ms": LIMIT_S * 1000, "log_level": 0}
        )
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        left = self._producer.flush(LIMIT_S)
        assert left == 0 and not self.failures, f"{left} records without an answer, failures {self.failures[:3]}"

    def _run(self) -> None:
        while not self._stop.is_set():
            number = self._sent
            self._sent += 1
            self._producer.produce(TOPIC, str(number), partition=number % PARTITIONS, on_delivery=self._note(number))
            self._producer.poll(0.005)

    def _note(self, number: int):
        def note(error: object, _: object) -> None:
            if error:
                self.failures.append(str(error))
            else:
                self.acked.append(number)

        return note

    def await_more(self, count: int) -> None:
        """Waits until so many more records are acknowledged."""
        wanted, deadline = len(self.acked) + count, time.monotonic() + LIMIT_S
        while len(self.acked) < wanted:
            assert time.monotonic() < deadline, f"no more acknowledgements after {len(self.acked)}"
            time.sleep(0.05)


def main(env_file: str) -> None:
    settings = dict(line.split("=", 1) for line in Path(env_file).read_text().splitlines())
    bootstrap = settings["KAFKA_BOOTSTRAP"]
    assert len(bootstrap.split(",")) == 3, bootstrap
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS)])[TOPIC].result(30)
    copies = admin.list_topics(TOPIC, timeout=30).topics[TOPIC].partitions
    assert all(len(part.replicas) == 3 for part in copies.values()), copies
    with Writer(bootstrap) as writer:
        writer.await_more(100)
        leader = f"kafka-{admin.list_topics(TOPIC, timeout=30).topics[TOPIC].partitions[0].leader}"
        stack("kill", leader)
        # Of each partition at least some: those it led have found another leader.
        writer.await_more(200)
        stack("start", leader)
        stack("restart", "kafka-1", "kafka-2", "kafka-3")
        writer.await_more(100)
    found = read(bootstrap)
    assert sorted(found) == sorted(writer.acked), f"{len(found)} found, {len(writer.acked)} acknowledged"
    print(f"  {len(found)} records acknowledged, each found once; {leader} was killed, then all were restarted")


def stack(*arguments: str) -> None:
    subprocess.run([STACK, *arguments], check=True, timeout=LIMIT_S)


def read(bootstrap: str) -> list[int]:
    """Every record of the topic, once the writers have ended."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": TOPIC, "enable.auto.commit": False, "log_level": 0})
    partitions = [TopicPartition(TOPIC, number, 0) for number in range(PARTITIONS)]
    ends = [consumer.get_watermark_offsets(part, timeout=30)[1] for part in partitions]
    consumer.assign(partitions)
    found: list[int] = []
    deadline = time.monotonic() + LIMIT_S
    while len(found) < sum(ends):
        assert time.monotonic() < deadline, f"{len(found)} of {sum(ends)} records read"
        found += [int(message.value()) for message in consumer.consume(500, timeout=1) if not message.error()]
    consumer.close()
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
