#!/usr/bin/env bash
# The built packages without a machine to install them on: built twice and compared,
# lists of contents, the unit, and the programs of arm64 and loong64 under qemu-user
# (version, check, decode, a serial reader on a pty, kill -9, verify). Prints one line
# per step; 1 if one failed. "contents" as argument rewrites the list of contents.
set -uo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
daemon='' simulator=''
finish() {
	[ -n "$daemon" ] && kill -9 "$daemon" 2>/dev/null
	[ -n "$simulator" ] && kill "$simulator" 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT
failed=0
began=$(date +%s)
say() { printf '%4ds %-7s %s\n' $(($(date +%s) - began)) "$1" "$2"; }
step() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then say ok "$name"; else
		say FAILED "$name"
		echo "$out" | tail -20 | sed 's/^/        /'
		failed=1
	fi
}

dist() { GOFLAGS='' go run ./packaging/dist "$@"; }
step 'programs and packages' dist -targets linux/amd64,linux/arm64,linux/loong64,windows/amd64 -out "$work/a"
step 'again' dist -targets linux/amd64,linux/arm64,linux/loong64,windows/amd64 -out "$work/b"
step 'both are the same, byte for byte' diff -r "$work/a" "$work/b"
step 'sums' sh -c "cd $work/a && sha256sum --quiet -c SHA256SUMS"

contents() { dpkg-deb -c "$work/a/idtap-linux-$1.deb" | awk '{ sub(/^\.\//, "/", $6); print $1, $2, $6 }' | grep -v /man1/idtap- | sort -k3; }
if [ "${1-}" = contents ]; then contents amd64 >packaging/lanes/contents.txt; fi
for arch in amd64 arm64 loong64; do
	contents $arch >"$work/contents"
	step "contents of the deb for $arch" diff packaging/lanes/contents.txt "$work/contents"
done
if command -v rpm >/dev/null; then
	awk '$1 !~ /^d/ || $3 ~ /^\/etc\/idtap/ { sub(/\/$/, "", $3); print $3 }' packaging/lanes/contents.txt | sort >"$work/want"
	rpm -qlp "$work/a/idtap-linux-amd64.rpm" 2>/dev/null | grep -v /man1/idtap- | sort >"$work/got"
	step 'contents of the rpm' diff "$work/want" "$work/got"
else say 'NOT TESTED' 'contents of the rpm: rpm is not installed'; fi
for arch in amd64 arm64 loong64; do
	step "the program for $arch is static" sh -c "! readelf -d $work/a/idtap-linux-$arch | grep -q NEEDED"
done
step 'the scripts are what every sh reads' sh -c 'for s in packaging/scripts/*; do sh -n $s || exit 1; done'
sed "s,ExecStart=/usr/bin/idtap,ExecStart=$work/a/idtap-linux-amd64," packaging/systemd/idtap.service >"$work/idtap.service"
if command -v systemd-analyze >/dev/null; then
	verified() { ! systemd-analyze verify --man=no "$work/idtap.service" 2>&1 | grep idtap.service; }
	step 'the unit is right' verified
	step 'exposure 1.7 or better' systemd-analyze security --offline=true --threshold=17 "$work/idtap.service"
else say 'NOT TESTED' 'the unit: systemd-analyze is not installed'; fi

# emulated ARCH QEMU: a desk's short life with a foreign program.
emulated() {
	local arch=$1 qemu=$2 program="$work/a/idtap-linux-$1" dir="$work/$1" before
	mkdir -p "$dir"
	step "$arch: version" sh -c "$qemu $program version | grep -q linux/$arch"
	step "$arch: check of a number" sh -c "$qemu $program check 11010519491231002X"
	for t in testdata/readers/*/trace.jsonl; do "$work/a/idtap-linux-amd64" decode --division 410105 --at 2026-11-21 "$t"; done >"$dir/native" 2>&1
	for t in testdata/readers/*/trace.jsonl; do "$qemu" "$program" decode --division 410105 --at 2026-11-21 "$t"; done >"$dir/decoded" 2>&1
	step "$arch: decode says what amd64 says" diff "$dir/native" "$dir/decoded"
	"$work/a/idtap-linux-amd64" simulate --pty --every 500ms --cards seed:5 >"$dir/reader" 2>"$dir/simulator.log" &
	simulator=$!
	for _ in $(seq 100); do [ -s "$dir/reader" ] && break; sleep 0.1; done
	printf 'desk: {id: emulated, division: "410105"}\nreaders: [{name: front, driver: serial, port: %s}]\noutbox: {dir: %s}\ndesk_page: {listen: "127.0.0.1:0"}\n' \
		"$(head -1 "$dir/reader")" "$dir/state" >"$dir/desk.yaml"
	records() { "$work/a/idtap-linux-amd64" outbox stats --json -c "$dir/desk.yaml" 2>/dev/null | sed -n 's/.*"last_seq": \([0-9]*\).*/\1/p'; }
	taps() { # N: until the queue has N records
		local n
		for _ in $(seq 300); do
			n=$(records)
			[ "${n:-0}" -ge "$1" ] && return 0
			sleep 0.1
		done
		tail -5 "$dir/log"
		return 1
	}
	"$qemu" "$program" run -c "$dir/desk.yaml" >"$dir/log" 2>&1 &
	daemon=$!
	step "$arch: taps over a serial line" taps 3
	kill -9 $daemon
	wait $daemon 2>/dev/null
	before=$(records)
	"$qemu" "$program" run -c "$dir/desk.yaml" >>"$dir/log" 2>&1 &
	daemon=$!
	step "$arch: killed and started again, taps go on" taps $((before + 2))
	kill -INT $daemon
	wait $daemon
	step "$arch: ends in peace" test $? = 0
	daemon=''
	kill $simulator
	simulator=''
	step "$arch: verify" "$qemu" "$program" outbox verify -c "$dir/desk.yaml"
}
for pair in arm64:qemu-aarch64-static loong64:qemu-loongarch64-static; do
	if command -v "${pair#*:}" >/dev/null; then emulated "${pair%:*}" "${pair#*:}"; else say 'NOT TESTED' "${pair%:*}: ${pair#*:} is not installed"; fi
done
say 'NOT TESTED' 'arm64, loong64: PC/SC, a real kernel of theirs'
exit $failed
