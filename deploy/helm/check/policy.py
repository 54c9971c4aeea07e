"""Rules for the rendered objects: what pods may do, and that objects fit one another."""

from __future__ import annotations

from collections.abc import Iterator

from render import pod_specs

# Volumes that hold nothing of the node and nothing that lasts.
VOLUMES = {"emptyDir", "configMap", "secret", "projected"}


def findings(objects: list[dict]) -> list[str]:
    """Everything that breaks a rule, as sentences."""
    found = list(_names(objects)) + list(_fits(objects)) + list(_network(objects))
    for where, metadata, spec in pod_specs(objects):
        found += [f"{where}: {finding}" for finding in _pod(spec)]
        if where.startswith("Deployment"):
            found += [f"{where}: {finding}" for finding in _long_running(spec)]
    return found


def _pod(spec: dict) -> Iterator[str]:
    """The restricted standard of Kubernetes, and more."""
    security = spec.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "runs as root, for all that is known"
    if not isinstance(security.get("runAsUser"), int) or security["runAsUser"] == 0:
        yield "names no numeric user, so the kubelet cannot know that it is not root"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "gets a token of the API that it does not need"
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"uses {key}"
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"mounts {', '.join(sorted(kinds - VOLUMES))}"
        if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
            yield f"volume {volume['name']} has no limit"
    mounts = {volume["name"] for volume in spec.get("volumes", [])}
    for container in spec["containers"] + spec.get("initContainers", []):
        yield from _container(container)
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in mounts:
                yield f"mounts {mount['name']}, which is no volume of it"


def _container(container: dict) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if security.get("privileged"):
        yield "is privileged"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "may write to its image"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})):
        yield "requests no CPU or no memory"
    if "memory" not in resources.get("limits", {}):
        yield "has no limit of memory"
    if "cpu" in resources.get("limits", {}):
        yield "has a CPU limit, which throttles it"
    reference = container["image"].rsplit("/", 1)[-1]
    if "@sha256:" not in reference and (":" not in reference or reference.endswith(":latest")):
        yield f"image {container['image']} says no version"
    for variable in container.get("env", []):
        name = variable["name"].upper()
        if any(word in name for word in ("PASSWORD", "SECRET", "TOKEN", "ACCESS_KEY")) and "value" in variable:
            yield f"{variable['name']} is a secret in plain sight"


def _long_running(spec: dict) -> Iterator[str]:
    container = spec["containers"][0]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe not in container:
            yield f"has no {probe}"
    if container.get("readinessProbe", {}).get("httpGet") == container.get("livenessProbe", {}).get("httpGet"):
        yield "is restarted for what should only take it out of the Service"
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if spec["terminationGracePeriodSeconds"] <= pause + 5:
        yield "is killed before it can drain"


def _names(objects: list[dict]) -> Iterator[str]:
    seen = set()
    for item in objects:
        key = (item["apiVersion"], item["kind"], item["metadata"]["name"])
        if key in seen:
            yield f"{item['kind']} {item['metadata']['name']} is there twice"
        seen.add(key)
        if len(item["metadata"]["name"]) > 63:
            yield f"{item['kind']} {item['metadata']['name']}: the name is too long"
        if item["metadata"].get("namespace") != "meterway":
            yield f"{item['kind']} {item['metadata']['name']}: not in the release's namespace"
        if item["kind"] == "Secret":
            yield f"Secret {item['metadata']['name']}: secrets are made elsewhere"


def _fits(objects: list[dict]) -> Iterator[str]:
    """Selectors find pods, ports are there, and what is referred to exists."""
    pods = pod_specs(objects)
    deployments = [item for item in objects if item["kind"] == "Deployment"]
    names = {kind: {i["metadata"]["name"] for i in objects if i["kind"] == kind} for kind in ("ConfigMap", "ServiceAccount", "Deployment", "Service", "TriggerAuthentication")}
    for item in objects:
        where = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] == "Service":
            chosen = [spec for _, metadata, spec in pods if _matches(item["spec"]["selector"], metadata["labels"])]
            if len(chosen) != 1:
                yield f"{where}: selects {len(chosen)} kinds of pods"
                continue
            ports = {port["name"] for container in chosen[0]["containers"] for port in container.get("ports", [])}
            yield from (f"{where}: no port {p['targetPort']}" for p in item["spec"]["ports"] if p["targetPort"] not in ports)
        if item["kind"] == "PodDisruptionBudget":
            labels = item["spec"]["selector"]["matchLabels"]
            if sum(_matches(labels, d["spec"]["template"]["metadata"]["labels"]) for d in deployments) != 1:
                yield f"{where}: does not belong to one Deployment"
        if item["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
            target = item["spec"]["scaleTargetRef"]["name"]
            if target not in names["Deployment"]:
                yield f"{where}: scales {target}, which does not exist"
            if any("replicas" in d["spec"] for d in deployments if d["metadata"]["name"] == target):
                yield f"{where}: an upgrade would undo what it scales"
            for trigger in item["spec"].get("triggers", []):
                if trigger.get("authenticationRef", {"name": None})["name"] not in names["TriggerAuthentication"] | {None}:
                    yield f"{where}: no such TriggerAuthentication"
        if item["kind"] == "Deployment":
            spec = item["spec"]["template"]["spec"]
            if not _matches(item["spec"]["selector"]["matchLabels"], item["spec"]["template"]["metadata"]["labels"]):
                yield f"{where}: does not select its own pods"
            if spec["serviceAccountName"] not in names["ServiceAccount"]:
                yield f"{where}: service account {spec['serviceAccountName']} is not made"
            for volume in spec["volumes"]:
                if "configMap" in volume and volume["configMap"]["name"] not in names["ConfigMap"]:
                    yield f"{where}: ConfigMap {volume['configMap']['name']} is not made"


def _network(objects: list[dict]) -> Iterator[str]:
    """Every pod is behind a policy in both directions, and no rule opens everything."""
    policies = [item for item in objects if item["kind"] == "NetworkPolicy"]
    for where, metadata, _ in pod_specs(objects):
        own = [p for p in policies if _matches(p["spec"]["podSelector"].get("matchLabels", {}), metadata["labels"])]
        for direction in ("Ingress", "Egress"):
            if not any(direction in policy["spec"]["policyTypes"] for policy in own):
                yield f"{where}: no policy for {direction}"
    for policy in policies:
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            if not rule.get("ports"):
                yield f"NetworkPolicy {policy['metadata']['name']}: a rule for all ports"


def _matches(selector: dict, labels: dict) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())
