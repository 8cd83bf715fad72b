"""The ground of a run: a network namespace for each member, TUN devices between them and the switch, and a small file system
for each order replica. All of it is removed at the end, and what a dead run has left is removed at the start of the next.

The namespaces have no way out and nothing is changed in the host's: no bridge, no address, no route. The file systems are
mounted where only this process and its children see them, so that they go with the last of these, however that ends. Needs
root, and is for Linux only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from toystore.torture import layout as lay
from toystore.torture.layout import DEVICE, SHOP, Layout
from toystore.torture.switch import MTU

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
NAMESPACES = Path("/run/netns")
PROGRAMS = ("ip", "mount", "umount", "mkfs.ext4", "truncate")


class NoGround(Exception):
    """Torture can not run here; the message says what is missing."""


def check_possible() -> None:
    """Raises NoGround."""
    if os.geteuid() != 0:
        raise NoGround("torture makes network namespaces and file systems: it must be run as root")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise NoGround(f"torture needs the programs {', '.join(missing)} (Debian: iproute2, mount, e2fsprogs, coreutils)")
    if not Path("/dev/net/tun").exists():
        raise NoGround("torture needs TUN devices: there is no /dev/net/tun")


@define
class Ground:
    """`with Ground(layout, directory) as ground:`; the data of order replica N is on a file system of its own mounted at
    `directory/data/order-N`, of `mebibytes`."""

    layout: Layout
    directory: Path
    mebibytes: int
    devices: dict[str, int] = field(factory=dict)
    """The file descriptor of each member's device."""
    _mounted: list[Path] = field(factory=list)

    def __enter__(self) -> Ground:
        clear_leftovers()
        try:
            for member in self.layout.members:
                self._add_member(member)
            _keep_mounts_to_ourselves()
            for order in self.layout.order_names:
                self._add_disk(order)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def disk(self, order: str) -> Path:
        return self.directory / "data" / order

    def close(self) -> None:
        """Remove everything; whoever is still inside a namespace keeps it until its end."""
        for place in self._mounted:
            _unmount(place)
        self._mounted = []
        for image in self.directory.glob(f"{lay.PREFIX}-*.img"):
            image.unlink()
        for fd in self.devices.values():
            os.close(fd)
        self.devices = {}
        for member in self.layout.members:
            if (NAMESPACES / self.layout.namespace(member)).exists():
                run(("ip", "netns", "del", self.layout.namespace(member)))

    def enter_shop(self) -> None:
        """This thread, and what is started by it from now on, is in the customers' namespace."""
        _enter(NAMESPACES / self.layout.namespace(SHOP))

    def _add_member(self, member: str) -> None:
        for command in lay.namespace_commands(self.layout, member):
            run(command)
        self.devices[member] = open_device(NAMESPACES / self.layout.namespace(member))
        for command in lay.device_commands(self.layout, member, MTU):
            run(command)

    def _add_disk(self, order: str) -> None:
        place = self.disk(order)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        image = self.directory / f"{self.layout.namespace(order)}.img"
        for command in lay.disk_commands(str(image), str(place), self.mebibytes):
            run(command)
        self._mounted.append(place)
        place.chmod(0o700)
        (place / "lost+found").rmdir()


def run(command: Sequence[str]) -> None:
    """Raises NoGround, with what the program said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoGround(f"{' '.join(command)}: {(done.stderr or done.stdout).strip() or f'exit code {done.returncode}'}")


def open_device(namespace: Path) -> int:
    """A TUN device in that namespace, as a file descriptor of this process: each read is one IP packet that was sent there,
    each write one that arrives there. It goes with the descriptor."""
    with _inside(namespace):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    return fd


@contextmanager
def _inside(namespace: Path) -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(namespace)
        yield
    finally:
        _set_namespace(home)
        os.close(home)


def _enter(namespace: Path) -> None:
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_namespace(fd)
    finally:
        os.close(fd)


def _set_namespace(fd: int) -> None:
    """setns(2), which Python has from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _keep_mounts_to_ourselves() -> None:
    """What is mounted from now on is seen by this thread and those it starts; unshare(2), also from 3.12 on. Otherwise each
    process that anybody starts in a network namespace meanwhile would keep a copy of our mounts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    run(("mount", "--make-rslave", "/"))


# What a dead run has left -------------------------------------------------------------------------------------------


def clear_leftovers() -> list[str]:
    """Remove the namespaces of runs whose process has ended; what was removed."""
    removed = []
    for name in sorted(path.name for path in NAMESPACES.glob(f"{lay.PREFIX}-*")):
        if _is_dead(lay.owner(name)):
            run(("ip", "netns", "del", name))
            removed.append(name)
    return removed


def _is_dead(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        return b"torture" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def _unmount(place: Path) -> None:
    """At once, or, while somebody still has a file open there, when that one ends."""
    try:
        run(("umount", str(place)))
    except NoGround:
        run(("umount", "-l", str(place)))
