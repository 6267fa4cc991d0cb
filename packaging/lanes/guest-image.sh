#!/usr/bin/env bash
# Makes ~/.cache/idtap/guest/SUITE: kernel, initrd and an ext4 image of a small Debian with
# systemd, udev, polkit, pcscd and ssh. Needs root, mmdebstrap and e2fsprogs; no
# loop device and no mount. Usage: guest-image.sh bookworm|trixie
set -euo pipefail
suite=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/idtap/guest # not in the tree: go looks at every folder there
out=$cache/$suite
[ -e "$out/done" ] && exit 0
rm -rf "$out" && mkdir -p "$out"
[ -e "$cache/key" ] || ssh-keygen -q -t ed25519 -N '' -C guest -f "$cache/key"
root=$(mktemp -d -p "$out")
trap 'rm -rf "$root"' EXIT
key=$(cat "$cache/key.pub")
export key
# shellcheck disable=SC2016
mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Languages "none"' \
	--include=systemd-sysv,udev,dbus,polkitd,pcscd,passwd,linux-image-amd64,initramfs-tools,openssh-server,iproute2,procps,kmod \
	--essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"; printf "MODULES=list\nCOMPRESS=gzip\n" >"$1/etc/initramfs-tools/conf.d/guest"; printf "virtio_pci\nvirtio_blk\next4\n" >"$1/etc/initramfs-tools/modules"' \
	--customize-hook='install -d -m 700 "$1/root/.ssh"; echo "$key" >"$1/root/.ssh/authorized_keys"' \
	--customize-hook='printf "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n" >"$1/etc/systemd/network/20-wired.network"; chroot "$1" systemctl enable -q systemd-networkd ssh' \
	--customize-hook='echo "/dev/vda / ext4 rw,noatime 0 1" >"$1/etc/fstab"; echo desk-guest >"$1/etc/hostname"; : >"$1/etc/machine-id"' \
	"$suite" "$root"
cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
cp "$root"/boot/initrd.img-* "$out/initrd.img"
rm -rf "$root"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/*
mke2fs -q -t ext4 -d "$root" -L root "$out/root.ext4" 2000M
touch "$out/done"
