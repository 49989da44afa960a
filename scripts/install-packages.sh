#!/usr/bin/env bash
# Installs the Debian packages that the named purposes need and that are not there yet; prints nothing when all are.
#
#   scripts/install-packages.sh build|run|test|bench ...
set -euo pipefail

# What each purpose needs, as "package:command or file that shows it is there".
build=(gcc:cc libc6-dev:/usr/include/stdio.h)
run=(uidmap:newuidmap git:git curl:curl ca-certificates:/etc/ssl/certs/ca-certificates.crt mmdebstrap:mmdebstrap docker-registry:docker-registry)
test=(busybox-static:busybox erofs-utils:fsck.erofs python3:pydoc3 python3-venv:/usr/lib/python3.11/ensurepip/__init__.py python3-yaml:/usr/lib/python3/dist-packages/yaml/__init__.py skopeo:skopeo nftables:nft iproute2:ip groovy:groovy default-jre-headless:java qemu-system-x86:qemu-system-x86_64 runsc:runsc docker.io:dockerd e2fsprogs:mkfs.ext4 acpica-tools:iasl postgresql-15:/usr/lib/postgresql/15/bin/postgres npm:npm)
bench=(python3-venv:/usr/lib/python3.11/ensurepip/__init__.py qemu-system-x86:qemu-system-x86_64 runsc:runsc erofs-utils:mkfs.erofs bubblewrap:bwrap runc:runc crun:crun podman:podman umoci:umoci docker.io:dockerd skopeo:skopeo busybox-static:busybox mmdebstrap:mmdebstrap docker-registry:docker-registry)

missing=()
for purpose in "$@"; do
  declare -n list=$purpose
  for entry in "${list[@]}"; do
    package=${entry%%:*} shows=${entry#*:}
    case $shows in
      /*) [ -e "$shows" ] || missing+=("$package") ;;
      *) PATH=$PATH:/usr/sbin:/sbin command -v "$shows" > /dev/null || missing+=("$package") ;;
    esac
  done
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo > /dev/null || { echo "these Debian packages are missing and there is no sudo: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}" >&2

# Some of these packages start a daemon when installed; none of them is wanted. A policy of the administrator stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy > /dev/null
  "${as_root[@]}" chmod +x $policy
  trap '"${as_root[@]}" rm -f $policy' EXIT
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null
