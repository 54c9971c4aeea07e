"""Static checks of the Terraform files, without a provider: check.py. 0 when all is well.

Reads every file as HCL, then looks for what must not be (wildcards in policies, open doors, unencrypted stores) and for names that
nothing declares. `terraform validate` needs the AWS provider and is run where the registry of HashiCorp can be reached."""

import pathlib
import re
import sys

import hcl2

HERE = pathlib.Path(__file__).resolve().parent
# What a store of readings must have, as it stands in its block.
MUST = {
    "aws_msk_cluster": ["encryption_at_rest_kms_key_arn", 'client_broker = "TLS"', "in_cluster = true"],
    "aws_dynamodb_table": ["kms_key_arn", "point_in_time_recovery"],
    "aws_rds_cluster": ["storage_encrypted = true", "deletion_protection = true", "manage_master_user_password = true"],
    "aws_redshiftserverless_namespace": ["kms_key_id", "manage_admin_password = true"],
    "aws_redshiftserverless_workgroup": ["publicly_accessible = false"],
    "aws_s3_bucket_public_access_block": [f"{key} = true" for key in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")],
}


def walk(value):
    """Every mapping within a value, itself included."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)


def clean(value) -> str:
    return str(value).strip('"')


def blocks(document: dict, kind: str) -> list[tuple[str, str, dict]]:
    """(type, name, body) of resource and data blocks."""
    found = []
    for item in document.get(kind, []):
        for type_, named in item.items():
            for name, body in named.items():
                if not name.startswith("__"):
                    found.append((clean(type_), clean(name), body))
    return found


def strings(value) -> list[str]:
    return [clean(item) for item in value] if isinstance(value, list) else [clean(value)]


def wildcard_faults(where: str, document: dict) -> list[str]:
    faults = []
    for mapping in walk(document):
        for key in ("actions", "resources", "not_actions", "not_resources", "identifiers"):
            if key not in mapping:
                continue
            if key.startswith("not_"):
                faults.append(f"{where}: {key} allows everything else")
            for text in strings(mapping[key]):
                # Within a resource a star may stand for objects, but not for the whole of it.
                if (text == "*" or (key == "actions" and "*" in text)) and not inside_deny(document, mapping):
                    faults.append(f"{where}: {key} {text!r}")
    return faults


def inside_deny(document: dict, mapping: dict) -> bool:
    """Whether a mapping lies in a statement that denies."""
    return any(clean(other.get("effect", "")) == "Deny" and any(inner is mapping for inner in walk(other)) for other in walk(document))


def reference_faults(texts: dict[str, str], declared: set[str]) -> list[str]:
    faults = []
    for where, text in texts.items():
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        for name in set(re.findall(r"\bvar\.(\w+)", code)):
            faults += [] if f"var.{name}" in declared else [f"{where}: var.{name} is not declared"]
        for name in set(re.findall(r"\blocal\.(\w+)", code)):
            faults += [] if f"local.{name}" in declared else [f"{where}: local.{name} is not declared"]
        for data, type_, name in set(re.findall(r"(\bdata\.)?\b(aws_\w+)\.(\w+)\b", code)):
            faults += [] if f"{data}{type_}.{name}" in declared else [f"{where}: {data}{type_}.{name} is not declared"]
    return faults


def main() -> int:
    texts = {path.name: path.read_text() for path in sorted(HERE.glob("*.tf"))}
    documents, faults = {}, []
    for name, text in texts.items():
        try:
            documents[name] = hcl2.loads(text)
        except Exception as error:  # noqa: BLE001: the parser has many kinds, and each means the same to us
            faults.append(f"{name}: cannot be read: {error}")
    declared, resources = set(), []
    for name, document in documents.items():
        resources += [(name, *block) for block in blocks(document, "resource")]
        declared |= {f"{type_}.{label}" for type_, label, _ in blocks(document, "resource")}
        declared |= {f"data.{type_}.{label}" for type_, label, _ in blocks(document, "data")}
        declared |= {f"var.{clean(label)}" for item in document.get("variable", []) for label in item}
        declared |= {f"local.{key}" for item in document.get("locals", []) for key in item if not key.startswith("__")}
        for item in document.get("variable", []):
            faults += [f"{name}: variable {clean(label)} has no description" for label, body in item.items() if "description" not in body]
        faults += wildcard_faults(name, document)
    faults += reference_faults(texts, declared)
    for type_, wanted in MUST.items():
        bodies = re.findall(rf'resource "{type_}" "\w+" \{{(.*?)\n\}}', "\n".join(texts.values()), re.DOTALL)
        faults += [] if bodies else [f"there is no {type_}"]
        for body in bodies:
            flat = re.sub(r"\s+", " ", body)
            faults += [f"{type_}: {need} is missing" for need in wanted if need not in flat]
    for where, text in texts.items():
        if "0.0.0.0/0" in text or "::/0" in text:
            faults.append(f"{where}: a door is open to everybody")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(texts)} files, {len(resources)} resources: read, every name declared, no wildcard allowed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
