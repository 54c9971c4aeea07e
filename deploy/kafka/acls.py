"""The lists of principals.toml as commands of Kafka's own tools: acls.py [BOOTSTRAP] prints them, to read and to run."""

import pathlib
import sys
import tomllib

PRINCIPALS = tomllib.loads((pathlib.Path(__file__).parent / "principals.toml").read_text())
QUOTAS = ("producer_byte_rate", "consumer_byte_rate")


def grants(name: str) -> list[tuple[str, str, str, bool]]:
    """(operation, kind of resource, its name, whether that is a prefix) of a principal."""
    of = PRINCIPALS[name]
    found = [(operation, "topic", topic, False) for operation in ("write", "read") for topic in of.get(operation, [])]
    # Producers are idempotent; since Kafka 3.0 the right to write a topic is enough for that.
    for key, operation in (("groups", "read"), ("describe_groups", "describe")):
        found += [(operation, "group", group.removesuffix("*"), group.endswith("*")) for group in of.get(key, [])]
    return found


def commands(bootstrap: str) -> list[str]:
    lines = []
    for name, of in PRINCIPALS.items():
        for operation, kind, resource, prefix in grants(name):
            pattern = " --resource-pattern-type prefixed" if prefix else ""
            lines.append(
                f"kafka-acls.sh --bootstrap-server {bootstrap} --command-config admin.properties --add --allow-principal User:{name} "
                f"--operation {operation} --{kind} {resource}{pattern}"
            )
        quotas = ",".join(f"{quota}={of[quota]}" for quota in QUOTAS if quota in of)
        if quotas:
            lines.append(
                f"kafka-configs.sh --bootstrap-server {bootstrap} --command-config admin.properties --alter --add-config '{quotas}' "
                f"--entity-type users --entity-name {name}"
            )
    return lines


if __name__ == "__main__":
    print("\n".join(commands(sys.argv[1] if len(sys.argv) > 1 else "localhost:9092")))
