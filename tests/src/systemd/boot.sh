# Makes this process the init of a machine of its own: systemd on a throw-away layer over the host's files.
#
# Runs in new mount, pid, network, ipc, uts and cgroup namespaces, as their first process. What is written in the machine goes to
# a tmpfs that ends with it. Argument: the path of systemd.
set -eu

base=/mnt
mount -t tmpfs -o mode=0755 machine "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" machine "$base/root"
cd "$base/root"

# What services see of the kernel. Its settings belong to the host: they can be read only.
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup

# No device but those every program expects.
mount -t tmpfs -o mode=0755,nosuid devices dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
mount -t tmpfs -o mode=0755,nosuid,nodev run run
mount -t tmpfs -o mode=1777,nosuid,nodev tmp tmp

# A machine of its own name, which mounts nothing of the host's and keeps its journal in memory.
hostname tokend-tests
echo tokend-tests >etc/hostname
tr -d - <proc/sys/kernel/random/uuid >etc/machine-id
: >etc/fstab
mkdir -p etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' >etc/systemd/journald.conf.d/tests.conf
# Debian's word for "do not start services when packages are installed", which images without an init have.
rm -f usr/sbin/policy-rc.d

# No more than what packages, services and users need; nothing that wants hardware, the network, or to run at a set time.
mkdir -p etc/systemd/system
cat >etc/systemd/system/tests.target <<'UNIT'
[Unit]
Requires=basic.target dbus.socket
After=basic.target dbus.socket
AllowIsolate=yes
UNIT
for unit in timers.target systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
    systemd-udev-trigger.service systemd-timesyncd.service systemd-networkd.service systemd-networkd.socket \
    systemd-resolved.service systemd-pstore.service networking.service getty.target apparmor.service \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount; do
    ln -sf /dev/null "etc/systemd/system/$unit"
done

pivot_root . .
umount --lazy .
cd /
# Without it the credentials of a service do not reach it.
mount --make-rshared /
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 container=tokend-tests \
    "$1" --system --unit=tests.target --log-target=journal --show-status=0 </dev/null >/dev/null 2>&1
