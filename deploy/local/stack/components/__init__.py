"""The components of a stack, in the order people read them."""

from __future__ import annotations

from ..layout import Stack
from .base import Component
from .dynamodb import DynamoDb
from .kafka import Kafka
from .keycloak import Keycloak
from .object_store import ObjectStore
from .oidc_mock import OidcMock
from .postgres import Postgres
from .registry import Registry

__all__ = ["Component", "all_of"]

# By the name that METERWAY_OIDC gives; most stacks have none.
_OIDC = {kind.choice: kind for kind in (Keycloak, OidcMock)}


def all_of(stack: Stack) -> list[Component]:
    brokers = [Kafka(stack, node) for node in range(1, stack.brokers + 1)]
    oidc = [_OIDC[stack.oidc]] if stack.oidc else []
    return [*brokers, *(component(stack) for component in (Registry, ObjectStore, Postgres, DynamoDb, *oidc))]
