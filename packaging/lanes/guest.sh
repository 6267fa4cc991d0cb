#!/usr/bin/env bash
# Installs the built package in a booted Debian under QEMU (no KVM needed) and lives
# a desk's life with it: reader plugged in after the start, taps, kills, watchdog,
# upgrades, removal, purge. Prints one line per step, ok or FAILED; 1 if one failed,
# 3 where the machine for it cannot be had (not tested, which is not passed).
# Usage: guest.sh SUITE DEB PROGRAM; KILLS, DOGS and UPGRADES set the counts.
set -uo pipefail
suite=$1 deb=$2 program=$3
kills=${KILLS:-5} dogs=${DOGS:-2} upgrades=${UPGRADES:-2}
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/idtap/guest
not_tested() { echo "NOT TESTED: guest $suite: $*"; exit 3; }

[ "$(id -u)" = 0 ] || not_tested 'needs root to make its image'
for tool in qemu-system-x86_64 mmdebstrap mke2fs socat ssh dpkg-deb; do command -v $tool >/dev/null || not_tested "$tool is not installed"; done
"$here/guest-image.sh" "$suite" || not_tested 'its image cannot be made'

work=$(mktemp -d)
pids=()
finish() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT

failed=0
began=$(date +%s)
step() { # NAME COMMAND...: ok if the command is
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then printf '%4ds ok      %s\n' $(($(date +%s) - began)) "$name"; else
		printf '%4ds FAILED  %s\n' $(($(date +%s) - began)) "$name"
		echo "$out" | tail -15 | sed 's/^/        /'
		failed=1
	fi
}
guest() { ssh -q -p "$port" -i "$cache/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ControlMaster=auto -o "ControlPath=$work/ssh" -o ControlPersist=600 -o ConnectTimeout=60 root@127.0.0.1 "$@"; }
copy() { scp -q -P "$port" -i "$cache/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "$1" root@127.0.0.1:"$2"; }
plug() { echo 'device_add usb-serial,chardev=reader,id=ser0,bus=x.0' | socat -t1 - "UNIX:$work/monitor" >/dev/null; }
unplug() { echo 'device_del ser0' | socat -t1 - "UNIX:$work/monitor" >/dev/null; }

# The reader: a simulator on this machine behind QEMU's emulated FTDI bridge.
"$program" simulate --tcp 127.0.0.1:0 --cards seed:13 --every 1s --repeat >"$work/reader" 2>"$work/reader.log" &
pids+=($!)
for _ in $(seq 100); do [ -s "$work/reader" ] && break; sleep 0.1; done
reader=$(head -1 "$work/reader" | sed 's/.*://')
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu Nehalem -smp 2 -m 1024 -nographic -no-reboot \
	-kernel "$cache/$suite/vmlinuz" -initrd "$cache/$suite/initrd.img" -append 'root=/dev/vda rw console=ttyS0 quiet mitigations=off no_timer_check panic=1' \
	-drive "file=$cache/$suite/root.ext4,if=virtio,format=raw,cache=unsafe,snapshot=on" \
	-netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=n -device qemu-xhci,id=x \
	-chardev "socket,id=reader,host=127.0.0.1,port=$reader,reconnect=1" -monitor "unix:$work/monitor,server,nowait" \
	-serial "file:$work/console" </dev/null >"$work/qemu.log" 2>&1 &
pids+=($!)
for _ in $(seq 150); do guest true 2>/dev/null && break; sleep 2; done
guest true || { tail -5 "$work/console" "$work/qemu.log"; not_tested 'it does not boot'; }
echo "guest $suite: booted after $(($(date +%s) - began)) s; counts below are taps in the queue"

# taps [N]: waits until the queue has N more records than now.
count() { guest "idtap outbox stats --json 2>/dev/null | sed -n 's/.*\"last_seq\": \\([0-9]*\\).*/\\1/p'"; }
taps() {
	local from now
	from=$(count)
	for _ in $(seq 60); do
		now=$(count)
		[ "${now:-0}" -ge $((${from:-0} + $1)) ] && return 0
		sleep 1
	done
	guest 'journalctl -u idtap -n 12 --no-pager -o cat; idtap diag'
	return 1
}
# whole: the chain and every seal are right, numbers run from 1 without gap or double.
whole() {
	guest 'idtap outbox verify && idtap outbox list --json --limit 100000' >"$work/list" || { cat "$work/list"; return 1; }
	grep -o '"seq": *[0-9]*' "$work/list" | grep -o '[0-9]*' | sort -n | awk '$1 != NR { print "number " $1 " at place " NR; exit 1 } END { print NR " records" }'
}

copy "$deb" /var/tmp/idtap.deb
guest_began=$(guest 'cut -d. -f1 /proc/uptime')
step 'dpkg -i' guest 'dpkg -i /var/tmp/idtap.deb'
step 'the service runs, enabled, as its own user' guest 'systemctl is-active idtap && systemctl is-enabled idtap && [ "$(ps -o user= -C idtap)" = idtap ]'
step 'exposure 1.7 or better' guest 'systemd-analyze security idtap --no-pager | tail -1 | tee /dev/stderr | grep -Eq "idtap.service: (0\.|1\.[0-7] )"'
step 'modes of folders and files' guest '[ "$(stat -c "%a %U:%G" /etc/idtap /etc/idtap/idtap.yaml /var/lib/idtap /run/idtap | tr "\n" ,)" = "750 root:idtap,640 root:idtap,700 idtap:idtap,750 idtap:idtap," ]'
guest 'printf "desk: {id: guest-1, division: \"410105\"}\nreaders: [{name: front, driver: serial, port: /dev/ttyUSB0, baud: auto}]\n" >/etc/idtap/conf.d/50-desk.yaml && chgrp idtap /etc/idtap/conf.d/50-desk.yaml && chmod 640 /etc/idtap/conf.d/50-desk.yaml && systemctl restart idtap'
step 'no serial bridge was there before' guest '! grep -q ttyUSB /proc/devices'
plug
step 'a reader plugged in after the start: 3 taps' taps 3
echo "      from dpkg -i to there: $(($(guest 'cut -d. -f1 /proc/uptime') - guest_began)) s of the guest's time, this test's own waits included"
step 'published: tail follows it' guest 'timeout 15 idtap tail -c /etc/idtap/idtap.yaml | head -1 | grep .'
step 'root finds the service: diag without a file' guest 'idtap diag --json >/tmp/d; [ $? -le 1 ] && grep -q "\"pid\"\|guest-1" /tmp/d'
guest 'useradd -m -G idtap technician 2>/dev/null; useradd -m stranger 2>/dev/null'
step 'a technician of the group does, too' guest 'runuser -u technician -- idtap diag --json >/tmp/d2 2>&1; [ $? -le 1 ] || { head -c 600 /tmp/d2; false; }'
step 'a stranger is told what to do' guest 'runuser -u stranger -- idtap diag 2>&1 | grep -q "group idtap"'
step 'ModemManager told off, autosuspend off' guest 'udevadm info -q property -n /dev/ttyUSB0 >/dev/null; for d in /sys/bus/usb/devices/*/idVendor; do [ "$(cat $d)" = 0403 ] && p=$(dirname $d); done; udevadm info -q property -p "$p" | grep -q ID_MM_DEVICE_IGNORE=1 && [ "$(cat $p/power/control)" = on ]'

for n in $(seq "$kills"); do
	guest 'systemctl kill -s KILL idtap'
	sleep 2
done
step "$kills kills: taps go on" taps 2
step "$kills kills: nothing lost or doubled" whole

guest 'mkdir -p /etc/systemd/system/idtap.service.d; printf "[Service]\nWatchdogSec=4\n" >/etc/systemd/system/idtap.service.d/dog.conf; systemctl daemon-reload; systemctl restart idtap'
dog() {
	local before
	before=$(guest 'systemctl show -p NRestarts --value idtap')
	guest 'kill -STOP $(systemctl show -p MainPID --value idtap)'
	for _ in $(seq 40); do
		[ "$(guest 'systemctl show -p NRestarts --value idtap')" -gt "$before" ] && guest 'systemctl is-active -q idtap' && return 0
		sleep 1
	done
	return 1
}
for n in $(seq "$dogs"); do step "watchdog $n of $dogs: stopped, killed, started again" dog; done
step 'watchdog: a daemon that goes on is left alone' guest 'b=$(systemctl show -p NRestarts --value idtap); sleep 12; [ "$(systemctl show -p NRestarts --value idtap)" = "$b" ]'
step 'watchdog: taps go on' taps 2
step 'watchdog: nothing lost or doubled' whole
guest 'rm -r /etc/systemd/system/idtap.service.d; systemctl daemon-reload; systemctl restart idtap'

unplug
sleep 1
plug
step 'unplugged and plugged in again: taps go on' taps 2

# Upgrades: the same files under a higher version, with an edited packaged file.
dpkg-deb -R "$deb" "$work/deb" && sed -i 's/^Version: .*/&+later/' "$work/deb/DEBIAN/control" && dpkg-deb -b --root-owner-group -Zgzip -z1 "$work/deb" "$work/later.deb" >/dev/null
copy "$work/later.deb" /var/tmp/later.deb
guest 'echo "desk_page: {mask: true}" >>/etc/idtap/idtap.yaml'
for n in $(seq "$upgrades"); do
	which=later; [ $((n % 2)) = 0 ] && which=idtap
	step "upgrade $n of $upgrades: asks nothing, keeps the edited file" guest "DEBIAN_FRONTEND=noninteractive dpkg -i --force-downgrade /var/tmp/$which.deb </dev/null && grep -q 'mask: true' /etc/idtap/idtap.yaml && systemctl is-active idtap"
done
step 'upgrades: taps go on' taps 2
step 'upgrades: nothing lost or doubled' whole

last=$(count)
step 'remove keeps queue and settings' guest 'dpkg -r idtap && [ -e /var/lib/idtap/outbox.db ] && [ -e /etc/idtap/conf.d/50-desk.yaml ] && ! systemctl is-active -q idtap'
step 'purge is refused while records wait, and says what to do' guest '! dpkg -P idtap >/tmp/purge 2>&1 && grep -q "rm -r /var/lib/idtap" /tmp/purge && [ -e /var/lib/idtap/outbox.db ] && [ -e /etc/idtap/conf.d/50-desk.yaml ]'
step 'installed again: the numbers go on' guest "dpkg -i /var/tmp/idtap.deb && systemctl is-active idtap && n=\$(idtap outbox stats --json | sed -n 's/.*\"last_seq\": \\([0-9]*\\).*/\\1/p') && [ \$n -ge $last ]"
step '  taps' taps 1
step '  nothing lost or doubled' whole
step 'what remains is destroyed knowingly, then the purge goes through' guest 'dpkg -r idtap && rm -r /var/lib/idtap && dpkg -P idtap && [ ! -e /etc/idtap ] && [ ! -e /usr/bin/idtap ] && [ ! -e /var/lib/idtap ]'
step 'fresh install and purge without a record' guest 'dpkg -i /var/tmp/idtap.deb && sleep 2 && dpkg -P idtap && [ ! -e /var/lib/idtap ] && [ ! -e /etc/idtap ]'
echo "guest $suite: $(($(date +%s) - began)) s"
exit $failed
