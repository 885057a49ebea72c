"""Which file system a path lies on."""

import pytest

from tina.database.files.mounts import find_type, is_network

MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:40 / /home rw,relatime shared:5 master:1 - nfs4 server:/home rw,vers=4.2
41 40 8:1 / /home/ada rw,relatime shared:6 - btrfs /dev/sda1 rw
42 27 0:42 / /mnt/my\\040disk rw - cifs //nas/share rw
43 27 0:43 / /mnt/back\\134slash rw - fuse.sshfs host: rw
44 27 0:44 / /srv rw - ext4 /dev/vdb rw
45 44 0:45 / /srv rw - 9p host rw
broken line without a dash
46 27 too-short - nfs x
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/var/lib/tina.db", "ext4", id="the-root"),
        pytest.param("/", "ext4", id="the-root-itself"),
        pytest.param("/home/bob/tina.db", "nfs4", id="optional-fields"),
        pytest.param("/home", "nfs4", id="a-mount-point-itself"),
        pytest.param("/home/ada/tina.db", "btrfs", id="the-longest-counts"),
        pytest.param("/home/adam/tina.db", "nfs4", id="whole-names-only"),
        pytest.param("/homework/tina.db", "ext4", id="a-longer-name"),
        pytest.param("/mnt/my disk/tina.db", "cifs", id="escaped-blank"),
        pytest.param("/mnt/back\\slash/tina.db", "fuse.sshfs", id="escaped-backslash"),
        pytest.param("/srv/tina.db", "9p", id="the-later-lies-on-top"),
    ],
)
def test_the_file_system_of_a_path_is_found(path: str, expected: str) -> None:
    assert find_type(MOUNTINFO, path) == expected


def test_a_text_that_does_not_say_gives_nothing() -> None:
    assert find_type("", "/home/ada") is None


@pytest.mark.parametrize(
    ("type_name", "expected"),
    [
        ("nfs", True),
        ("nfs4", True),
        ("cifs", True),
        ("smb3", True),
        ("smbfs", True),
        ("9p", True),
        ("ceph", True),
        ("glusterfs", True),
        ("fuse.sshfs", True),
        ("fuse.rclone", True),
        ("fuse.glusterfs", True),
        ("ext4", False),
        ("btrfs", False),
        ("tmpfs", False),
        ("overlay", False),
        ("apfs", False),
        ("fuse", False),
        ("fuseblk", False),
        ("fuse.ntfs-3g", False),
        ("ext4.sshfs", False),
    ],
)
def test_disks_of_other_machines_are_known(type_name: str, *, expected: bool) -> None:
    assert is_network(type_name) is expected
