#!/bin/sh
# Runs inside the folder that windows.sh makes; see there.
mkdir -p /tmp/home
wine=/usr/lib/wine/wine64
exe=/mnt/idtap/idtap.exe
failed=0
began=$(date +%s)
step() { # NAME COMMAND...
	name=$1
	shift
	if "$@" >/tmp/out 2>&1; then printf '%4ds ok      %s\n' $(($(date +%s) - began)) "$name"; else
		printf '%4ds FAILED  %s\n' $(($(date +%s) - began)) "$name"
		tail -12 /tmp/out | sed 's/^/        /'
		failed=1
	fi
}
w() { timeout 60 "$wine" "$exe" "$@"; }
says() { # TEXT COMMAND...: its output holds the text
	text=$1
	shift
	"$@" >/tmp/said 2>&1
	grep -q -- "$text" /tmp/said || { cat /tmp/said; return 1; }
}
"$wine" wineboot -i >/dev/null 2>&1 || { echo 'NOT TESTED: windows: Wine does not start'; exit 3; }
"$wine" explorer /desktop=x >/dev/null 2>&1 & # services end with the last program
data=/tmp/w/drive_c/ProgramData/idtap

step 'version' says windows/amd64 w version
step 'check of a number' w check 11010519491231002X
mkdir -p "/tmp/w/drive_c/中文 目录/conf.d"
printf '\357\273\277desk: {id: wine-1, division: "410105"}\r\noutbox: {dir: '"'C:\\\\idtap'"'}\r\n' >"/tmp/w/drive_c/中文 目录/配置.yaml"
step 'a Chinese path, BOM and CRLF' says ok w config check 'C:\中文 目录\配置.yaml'
printf 'desk: {role: inflow}\r\n' >"/tmp/w/drive_c/中文 目录/conf.d/50-desk.yaml"
step 'conf.d beside it' says 'role: inflow' w config show -c 'C:\中文 目录\配置.yaml'
printf '# \306\363\322\265\n' >/tmp/w/drive_c/gbk.yaml
step 'GBK is refused with what to do' says UTF-8 w config check 'C:\gbk.yaml'
printf 'outbox: {dir: data}\n' >/tmp/w/drive_c/relative.yaml
step 'a relative folder is refused' says 'outbox.dir' w config check 'C:\relative.yaml'

count() { w outbox stats --json -c "$1" 2>/dev/null | tr -d '\r' | sed -n 's/.*"last_seq": \([0-9]*\).*/\1/p'; }
taps() { # CONFIG N: until the queue has N records more
	from=$(count "$1")
	for i in $(seq 40); do
		now=$(count "$1")
		[ "${now:-0}" -ge $((${from:-0} + $2)) ] && return 0
		sleep 1
	done
	tail -5 /tmp/run.log
	w diag -c "$1"
	return 1
}

# A serial reader: the simulator over TCP, joined to a pty that Wine knows as COM9.
/mnt/idtap-linux simulate --tcp 127.0.0.1:8234 --cards seed:3 --every 1s --repeat >/tmp/reader 2>/dev/null &
for i in $(seq 100); do [ -s /tmp/reader ] && break; sleep 0.1; done # it listens
pty() { socat pty,raw,echo=0,link=/tmp/com9 tcp:127.0.0.1:8234 2>/dev/null & pty=$!; for i in $(seq 50); do [ -e /tmp/com9 ] && break; sleep 0.1; done; }
pty
"$wine" reg add 'HKLM\Software\Wine\Ports' /v COM9 /d /tmp/com9 /f >/dev/null 2>&1
wineserver() { /usr/lib/wine/wineserver64 "$@" 2>/dev/null || /usr/lib/wine/wineserver "$@"; }
wineserver -k
sleep 1
"$wine" explorer /desktop=x >/dev/null 2>&1 &
printf "desk: {id: wine-1, division: '410105'}\nreaders: [{name: front, driver: serial, port: COM9, baud: auto}]\noutbox: {dir: 'C:\\\\queue'}\n" >/tmp/w/drive_c/com.yaml
start() { "$wine" "$exe" run -c "$1" >>/tmp/run.log 2>&1 & daemon=$!; }
start 'C:\com.yaml'
step 'COM9: taps' taps 'C:\com.yaml' 3
step 'diag asks the daemon over the named pipe' says wine-1 sh -c "$wine $exe diag --json -c 'C:\\com.yaml' | grep '\"via\":\"daemon\"'; echo wine-1"
step 'via the daemon' says '"via":"daemon"' w diag --json -c 'C:\com.yaml'
kill $pty
sleep 3
step 'COM9 pulled out: the reader is away' says 'away\|gone\|not there' w diag -c 'C:\com.yaml'
pty
step 'COM9 plugged in again: taps go on' taps 'C:\com.yaml' 2
pkill -9 -f 'idtap.exe run' # in a process namespace of its own
sleep 1
step 'killed: the queue is whole' w outbox verify -c 'C:\com.yaml'
start 'C:\com.yaml'
step 'started again: taps go on' taps 'C:\com.yaml' 2
pkill -INT -f 'idtap.exe run'
sleep 2
step 'nothing lost or doubled' w outbox verify -c 'C:\com.yaml'
kill $pty

# The service.
step 'service install' w service install
mkdir -p $data/conf.d
printf "desk: {id: wine-2, division: '410105'}\nreaders: [{name: demo, driver: mock}]\n" >$data/conf.d/50-desk.yaml
step 'service start' w service start
step 'service status' says running w service status
packaged='C:\ProgramData\idtap\idtap.yaml'
step 'the service taps' taps "$packaged" 3
step 'diag without a file finds it' says '"via":"daemon"' w diag --json
step 'its log is a file' test -s $data/log/idtap.log
step 'service stop' w service stop
step 'the queue is whole' w outbox verify -c "$packaged"
before=$(count "$packaged")
cp "$exe" /tmp/new.exe && mv /tmp/new.exe "$exe" # an upgrade
step 'upgraded: service start' w service start
step 'upgraded: the numbers go on' taps "$packaged" 1
step 'upgraded: none is missing' test "$(count "$packaged")" -gt "$before"
step 'uninstall --purge is refused while records wait' sh -c "! $wine $exe service uninstall --purge && test -e $data/state/outbox.db"
step 'uninstall keeps the data' sh -c "$wine $exe service uninstall && test -e $data/state/outbox.db"
step 'service status: not installed' says 'not installed' w service status
wineserver -k
echo "windows: $(($(date +%s) - began)) s"
exit $failed
