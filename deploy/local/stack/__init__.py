"""The local stack: real components on the loopback address, without containers."""
