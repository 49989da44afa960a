#!/bin/busybox sh
# The first process of a kernel that root of a guest has started in its machine. It speaks to the host with nobody in between.
export PATH=/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
grep -v vsock /modules/list | while read -r module; do insmod "$module"; done
port() {
    until [ -e /sys/class/virtio-ports ] && found=$(grep -lx "$1" /sys/class/virtio-ports/*/name); do :; done
    found=${found%/name}
    echo "/dev/${found##*/}"
}
exec > "$(port cofferdam.stream)" 2>&1
for _ in 1 2 3 4 5 6 7 8; do
    echo "second kernel $(cat /proc/sys/kernel/random/boot_id) $(grep -o 'token=[^ ]*' /proc/cmdline)"
done
# The engine's disk has Python.
mkdir /engine
for disk in /dev/vd?; do
    mount -t erofs -o ro "$disk" /engine 2> /dev/null && [ -e /engine/usr/bin/python3 ] && break
    umount /engine 2> /dev/null
done
for folder in dev proc sys; do mount --bind "/$folder" "/engine/$folder"; done
chroot /engine /usr/bin/python3 - "$(grep -o 'probes=[^ ]*' /proc/cmdline | cut -d = -f 2)" < /probes.py
exec 3<> "$(port cofferdam.control)"
echo "second kernel waits for a question"
head -c 1 <&3 > /dev/null
# No answer that a launcher would give.
tr '\0' '\377' < /dev/zero >&3
