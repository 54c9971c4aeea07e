"""The one error the commands show to people."""


class StackError(Exception):
    """Something the person at the keyboard can act on; the message says how."""
