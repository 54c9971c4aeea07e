#!/usr/bin/env python3
"""Enforces NetworkPolicies on the node, with nftables: policies.py FOLDER_OF_KEYS, started by inner.sh.

A stand-in for a network plugin that does, of which none is to be had as a package. It looks at pods and policies twice a
second, so a new pod is unguarded for that long. IPv4 only. What it shows is what the policies say, not how a given
plugin reads them.
"""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

KINDS = {
    "Pod": "/api/v1/pods",
    "Namespace": "/api/v1/namespaces",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
}
# (key of the rules, key of the peers, the pod's own end, the other end)
DIRECTIONS = [("Egress", "egress", "to", "saddr", "daddr"), ("Ingress", "ingress", "from", "daddr", "saddr")]


class Api:
    """Lists objects, over one connection."""

    def __init__(self, keys: Path) -> None:
        context = ssl.create_default_context(cafile=str(keys / "ca.crt"))
        context.load_cert_chain(keys / "admin.crt", keys / "admin.key")
        self._connection = http.client.HTTPSConnection("127.0.0.1", 6443, context=context, timeout=10)

    def items(self, kind: str) -> list[dict]:
        try:
            self._connection.request("GET", f"{KINDS[kind]}?resourceVersion=0")
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        if answer.status != 200:
            raise OSError(f"{kind}: {answer.status}")
        return json.loads(body)["items"]


@dataclass
class World:
    """Pods, policies and the labels of namespaces at one moment."""

    pods: list[dict]
    policies: list[dict]
    namespaces: dict[str, dict]

    @classmethod
    def of(cls, api: Api) -> World:
        pods = [p for p in api.items("Pod") if p["status"].get("podIP") and not p["spec"].get("hostNetwork")]
        running = [p for p in pods if p["status"]["phase"] in ("Pending", "Running")]
        labels = {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in api.items("Namespace")}
        return cls(running, api.items("NetworkPolicy"), labels)

    def peers(self, policy: dict, peers: list[dict]) -> list[tuple[str | None, list[dict]]]:
        """Addresses that the peers of a rule stand for, with the pods behind them; None for any address."""
        if not peers:
            return [(None, [])]
        found: list[tuple[str | None, list[dict]]] = []
        for peer in peers:
            if block := peer.get("ipBlock"):
                found.append((_block(block), []))
            else:
                found += [(pod["status"]["podIP"], [pod]) for pod in self.pods if self._is_peer(pod, peer, policy)]
        return found

    def _is_peer(self, pod: dict, peer: dict, policy: dict) -> bool:
        namespace = pod["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            if not selects(peer["namespaceSelector"], self.namespaces.get(namespace, {})):
                return False
        elif namespace != policy["metadata"]["namespace"]:
            return False
        return selects(peer.get("podSelector") or {}, pod["metadata"].get("labels", {}))


def _block(block: dict) -> str:
    """Addresses of a block, as nftables writes a set of them."""
    if not block.get("except"):
        return block["cidr"]
    return f"{block['cidr']} ip {{end}} != {{{{ {', '.join(block['except'])} }}}}"


def selects(selector: dict, labels: dict) -> bool:
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(expression, labels) for expression in selector.get("matchExpressions") or [])


def _expression(expression: dict, labels: dict) -> bool:
    key, values = expression["key"], expression.get("values") or []
    return {
        "In": key in labels and labels[key] in values,
        "NotIn": key not in labels or labels[key] not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]


def _ports(rule: dict, receivers: list[dict]) -> list[str]:
    """The ports of a rule as conditions; names of ports are those of the pods that receive."""
    conditions = []
    for port in rule.get("ports") or [{}]:
        protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
        if number is None:
            conditions.append(f"meta l4proto {protocol}" if port else "")
        elif isinstance(number, int):
            conditions.append(f"{protocol} dport {number}" + (f"-{port['endPort']}" if "endPort" in port else ""))
        else:
            named = [p for pod in receivers for c in pod["spec"]["containers"] for p in c.get("ports", []) if p.get("name") == number]
            conditions += [f"{protocol} dport {p['containerPort']}" for p in named]
    return conditions


def ruleset(world: World) -> str:
    """Every pod that a policy selects gets a chain per direction, which ends in a drop."""
    chains, jumps = [], {"Egress": [], "Ingress": []}
    for pod in world.pods:
        address, labels = pod["status"]["podIP"], pod["metadata"].get("labels", {})
        for direction, key, peers, own_end, far_end in DIRECTIONS:
            policies = [
                p for p in world.policies
                if p["metadata"]["namespace"] == pod["metadata"]["namespace"]
                and direction in p["spec"].get("policyTypes", ["Ingress"])
                and selects(p["spec"].get("podSelector") or {}, labels)
            ]
            if not policies:
                continue
            lines = []
            for policy in policies:
                for rule in policy["spec"].get(key) or []:
                    for far, behind in world.peers(policy, rule.get(peers) or []):
                        place = f"ip {far_end} {far.format(end=far_end)}" if far else ""
                        receivers = [pod] if direction == "Ingress" else behind
                        lines += [f"    {place} {port} accept" for port in _ports(rule, receivers)]
            name = f"{key}_{address.replace('.', '_')}"
            chains.append(f"  chain {name} {{\n" + "\n".join(sorted(set(lines))) + "\n    counter drop\n  }")
            jumps[direction].append(f"    ip {own_end} {address} jump {name}")
    return _table(chains, jumps)


def _table(chains: list[str], jumps: dict[str, list[str]]) -> str:
    """Egress is decided in a hook before ingress, since either's accept ends only its own hook. What a pod sends to the
    node itself, where the stand-ins listen, is not forwarded: it is seen on the way in."""
    def hook(name: str, at: str, priority: int, lines: list[str]) -> str:
        head = f"type filter hook {at} priority {priority}; policy accept;\n    ct state established,related accept"
        return f"  chain {name} {{\n    {head}\n" + "\n".join(lines) + "\n  }"

    hooks = [
        hook("from_pods_on", "forward", 10, jumps["Egress"]),
        hook("to_pods", "forward", 11, jumps["Ingress"]),
        hook("from_pods_here", "input", 10, jumps["Egress"]),
    ]
    body = "\n".join(chains + hooks)
    return f"table ip policies\ndelete table ip policies\ntable ip policies {{\n{body}\n}}\n"


def main() -> None:
    api, last = Api(Path(sys.argv[1])), ""
    while True:
        try:
            rules = ruleset(World.of(api))
            if rules != last:
                subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, capture_output=True)
                last = rules
                print(f"{rules.count('counter drop')} chains", flush=True)
        except subprocess.CalledProcessError as error:
            print(f"nft refuses: {error.stderr}", file=sys.stderr, flush=True)
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            print(f"try again: {error}", file=sys.stderr, flush=True)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
