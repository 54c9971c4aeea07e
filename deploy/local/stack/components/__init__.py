"""The components of a stack, in the order people read them."""

from __future__ import annotations

from ..layout import Stack
from .base import Component
from .dynamodb import DynamoDb
from .kafka import Kafka
from .object_store import ObjectStore
from .postgres import Postgres
from .registry import Registry

__all__ = ["Component", "all_of"]


def all_of(stack: Stack) -> list[Component]:
    brokers = [Kafka(stack, node) for node in range(1, stack.brokers + 1)]
    return [*brokers, *(component(stack) for component in (Registry, ObjectStore, Postgres, DynamoDb))]
