"""On which file system a path lies, and whether SQLite can be trusted there. Pure.

A write-ahead log needs memory that all its users share, so all of them must be on one
machine; and the locks of network file systems are not to be relied on.

Source: SQLite, "Write-Ahead Logging" ("WAL does not work over a network filesystem");
proc_pid_mountinfo(5).
"""

import re
from collections.abc import Iterator

_ESCAPE = re.compile(r"\\([0-7]{3})")

NETWORK_TYPES = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "glusterfs", "gpfs",
        "lustre", "ncp", "ncpfs", "nfs", "nfs3", "nfs4", "orangefs", "prl_fs", "pvfs2",
        "smb2", "smb3", "smbfs", "vboxsf", "vmhgfs",
    }
)  # fmt: skip
NETWORK_FUSE_TYPES = frozenset(
    {
        "ceph", "ceph-fuse", "curlftpfs", "davfs", "davfs2", "gcsfuse", "glusterfs",
        "goofys", "juicefs", "mount-s3", "rclone", "s3fs", "seaweedfs", "smbnetfs",
        "sshfs", "vmhgfs-fuse",
    }
)  # fmt: skip


def find_type(mountinfo: str, path: str) -> str | None:
    """The type of the file system that holds `path`; None if the text does not say.

    Args:
        mountinfo: what `/proc/self/mountinfo` holds.
        path: absolute, without symbolic links.
    """
    longest, found = -1, None
    for mount_point, type_name in _mounts(mountinfo):
        # Of two on one point the later one lies on top.
        if len(mount_point) >= longest and _is_below(path, mount_point):
            longest, found = len(mount_point), type_name
    return found


def is_network(type_name: str) -> bool:
    if type_name in NETWORK_TYPES:
        return True
    driver, _, subtype = type_name.partition(".")
    return driver in {"fuse", "fuseblk"} and subtype in NETWORK_FUSE_TYPES


def _mounts(mountinfo: str) -> Iterator[tuple[str, str]]:
    for line in mountinfo.split("\n"):
        # The number of optional fields varies; a lone dash ends them.
        place, dash, source = line.partition(" - ")
        fields = place.split(" ")
        if dash and len(fields) >= 6:
            yield _unescaped(fields[4]), source.split(" ", 1)[0]


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)


def _is_below(path: str, mount_point: str) -> bool:
    return path == mount_point or path.startswith(f"{mount_point.rstrip('/')}/")
