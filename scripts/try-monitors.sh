#!/usr/bin/env bash
# Boots machines of Firecracker and Cloud Hypervisor (COFFERDAM_FIRECRACKER, COFFERDAM_CLOUD_HYPERVISOR: their programs) on a host
# without a processor for that: QEMU translates one that has AMD's extension, and a host on it runs examples/monitor_trial.
# Needs qemu-system-x86, busybox-static, e2fsprogs, erofs-utils, cpio, kmod, and Debian's kernel for clouds, installed. Takes four minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --locked -p sandbox --example monitor_trial
kernel=$(ls /boot/vmlinuz-*-cloud-amd64 | tail -n 1)
release=${kernel#/boot/vmlinuz-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

mkdir -p "$root"
cd "$root"
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 usr/local opt etc tmp dev proc sys run root home mnt new modules trial
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
cp /bin/busybox usr/bin/busybox
for applet in sh mount mkdir cp truncate insmod switch_root poweroff; do ln -s busybox usr/bin/$applet; done
list=
for module in kvm-amd tun dummy overlay erofs ext4 loop; do
    # Its own last, behind what it needs.
    for file in $(/sbin/modprobe --set-version "$release" --show-depends $module | sed -n 's/^insmod \([^ ]*\).*/\1/p'); do
        cp "$file" modules/
        list="$list $(basename "$file")"
    done
done

cd - > /dev/null
cp "$target/debug/examples/monitor_trial" "$root/trial/monitor_trial"
# The driver makes a machine's scratch disk with it.
cp "$(PATH=$PATH:/usr/sbin:/sbin command -v mkfs.ext4)" "$root/usr/sbin/mkfs.ext4"
monitors=
for pair in "firecracker=${COFFERDAM_FIRECRACKER:-}" "cloud-hypervisor=${COFFERDAM_CLOUD_HYPERVISOR:-}"; do
    name=${pair%%=*} program=${pair#*=}
    if [ -z "$program" ]; then echo "skipped: no program of $name"; continue; fi
    cp "$program" "$root/trial/$name"
    strip "$root/trial/$name"
    monitors="$monitors $name"
done
[ -n "$monitors" ] || exit 0
for program in "$root"/trial/* "$root/usr/sbin/mkfs.ext4"; do ldd "$program" 2> /dev/null || true; done | grep -o '/[^ ]*' | sort -u | while read -r file; do
    place=$root/usr/${file#/usr}
    mkdir -p "$(dirname "$place")"
    cp -L "$file" "$place"
done
"$root/trial/monitor_trial" guest "$root/trial/guests"
mkdir -p "$work/first/bin" "$work/second"
cp /bin/busybox "$work/first/bin/"
for applet in sh ls uname; do ln -s busybox "$work/first/bin/$applet"; done
touch "$work/second/second-layer"
for layer in first second; do mkfs.erofs --quiet "$root/trial/$layer" "$work/$layer"; done

cat > "$root/init" << INIT
#!/bin/sh
if [ ! -e /moved ]; then
    # The first root cannot be left, as every sandbox does.
    mount -t tmpfs -o mode=755 root /new
    for entry in /[!n]*; do cp -a \$entry /new/; done
    echo > /new/moved
    exec switch_root /new /init
fi
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev && mount -t tmpfs run /run
mkdir -p /dev/shm /dev/pts && mount -t cgroup2 cgroups /sys/fs/cgroup
for module in $list; do insmod /modules/\$module 2> /dev/null; done
# What is kept beside the guest is mounted with other ids, which this kernel's file systems in memory do not allow.
truncate -s 1G /disk && mkfs.ext4 -q /disk && mount -o loop /disk /mnt && cp -a /trial/guests /mnt/
export COFFERDAM_TRIAL_PATIENT=1
for monitor in $monitors; do
    /trial/monitor_trial \$monitor /trial/\$monitor /mnt/guests /trial/first /trial/second
done
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc) > "$work/initrd"
# A host's processor may have KVM, but not its instructions for machines within a machine.
timeout 600 qemu-system-x86_64 -accel tcg,tb-size=512 -cpu max -M q35 -m 4G -smp 1 -display none -serial stdio -no-reboot \
    -kernel "$kernel" -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1" < /dev/null | tee "$work/log"
for monitor in $monitors; do
    grep -q "^$monitor: passed" "$work/log" || { echo "$monitor: failed"; exit 1; }
done
