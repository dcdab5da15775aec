"""Which machine this is: names of hosts repeat, also within one cluster."""

import functools
import socket
import uuid
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@functools.cache
def machine_id() -> str:
    """Return a name that no other running system has: processes that share it share locks of files.

    On Linux it is the kernel's id of this boot; elsewhere the host's name and network address.
    """
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return f"{socket.gethostname()}-{uuid.getnode():012x}"
