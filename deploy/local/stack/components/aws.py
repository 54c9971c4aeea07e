"""Clients of the AWS-shaped components."""

from __future__ import annotations

import threading

# Making the first session is not thread-safe in boto3, and components are probed side by side.
_SESSION = threading.Lock()


def client(service: str, endpoint: str, region: str, keys: tuple[str, str], timeout: float):
    """A client that makes one attempt and gives up after `timeout` seconds."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"max_attempts": 0},
        s3={"addressing_style": "path"},
    )
    with _SESSION:
        return boto3.session.Session().client(
            service,
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            config=config,
        )
