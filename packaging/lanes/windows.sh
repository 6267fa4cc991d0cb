#!/usr/bin/env bash
# The Windows program under Wine 10, in a Debian 13 folder made by mmdebstrap, with a
# real pcscd beside it: command line, Chinese paths and code pages, daemon, queue after
# kill, COM port with unplug, PC/SC, service. Prints one line per step; 1 if one
# failed, 3 where the machine for it cannot be had (not tested, which is not passed).
# Usage: windows.sh ZIP LINUX-PROGRAM. Not shown by Wine: access lists, recovery
# actions, delayed start, a real COM port, a real PC/SC service of Windows.
set -uo pipefail
zip=$1 program=$2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/idtap
root=$cache/wine
not_tested() { echo "NOT TESTED: windows: $*"; exit 3; }
[ "$(id -u)" = 0 ] || not_tested 'needs root to make its folder'
for tool in mmdebstrap unshare chroot unzip; do command -v $tool >/dev/null || not_tested "$tool is not installed"; done
if [ ! -e "$root/done" ]; then
	rm -rf "$root" && mkdir -p "$cache"
	mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Languages "none"' --include=wine64,pcscd,vsmartcard-vpcd,procps,socat \
		trixie "$root" || not_tested 'its folder cannot be made'
	touch "$root/done"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unzip -q "$zip" -d "$work" && cp "$program" "$work/idtap-linux" && cp "$(dirname "$0")/windows-inside.sh" "$work/inside.sh" || exit 1
# Processes and a devpts of its own: pty numbers are reused, another daemon may have ours.
unshare -m -p --fork --kill-child --propagation private sh -c "
	mount --bind $root $root && mount -t proc p $root/proc && mount --rbind /dev $root/dev &&
	mount -t devpts -o newinstance,ptmxmode=0666 d $root/dev/pts && mount --bind $root/dev/pts/ptmx $root/dev/ptmx &&
	mkdir -p $root/mnt && mount --bind $work $root/mnt && mount -t tmpfs t $root/tmp && mount -t tmpfs t $root/run &&
	exec chroot $root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp/home LANG=C.UTF-8 WINEDEBUG=-all WINEPREFIX=/tmp/w sh /mnt/inside.sh"
