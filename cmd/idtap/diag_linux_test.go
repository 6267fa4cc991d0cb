package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"idtap/driver/diagnosis"
	"idtap/driver/mock"
)

// ptyModule serves a simulated module on a pseudo terminal.
func ptyModule(t *testing.T, o mock.Options) string {
	t.Helper()
	if o.Timing == (mock.Timing{}) {
		o.Timing = mock.DeskTiming
	}
	s, err := mock.OpenPTY(mock.NewModule(o))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Serve(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	return s.Address()
}

// ptyOther is a pseudo terminal with another device on it, which says the same
// to everything; "" says nothing.
func ptyOther(t *testing.T, says string) string {
	t.Helper()
	master, slave, path := rawPTY(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for buf := make([]byte, 256); ; {
			if _, err := master.Read(buf); err != nil {
				return
			}
			if says != "" {
				io.WriteString(master, says)
			}
		}
	}()
	t.Cleanup(func() { slave.Close(); master.Close(); <-ended })
	return path
}

// hold gives an open file to another program, which has it from then on.
func hold(t *testing.T, f *os.File) *exec.Cmd {
	t.Helper()
	other := exec.Command("sleep", "120")
	other.ExtraFiles = []*os.File{f}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	return other
}

// ptyHeld is a module's port that another program has open and locked.
func ptyHeld(t *testing.T) string {
	t.Helper()
	path := ptyModule(t, mock.Options{})
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	hold(t, f)
	return path
}

func faults(t *testing.T, spec string) mock.Faults {
	t.Helper()
	f, err := mock.ParseFaults(spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestDiagSerialFaults: each fault of a serial reader, made on a pseudo terminal,
// with and without a daemon that has the reader.
func TestDiagSerialFaults(t *testing.T) {
	timing := func(baud int) mock.Timing {
		t := mock.DeskTiming
		t.Baud = baud
		return t
	}
	const gps = "$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n"
	for name, tt := range map[string]struct {
		port func(t *testing.T) string
		baud string
		want fault
	}{
		"missing":                {func(*testing.T) string { return "/dev/ttyUSB77" }, "auto", fault{"port_missing", "clerk", 2, "/dev/ttyUSB77"}},
		"held":                   {ptyHeld, "auto", fault{"port_held", "technician", 2, "sleep (pid "}},
		"wrong baud":             {func(t *testing.T) string { return ptyModule(t, mock.Options{Timing: timing(57600)}) }, "115200", fault{"sam_wrong_baud", "technician", 2, "57600 answers"}},
		"silent":                 {func(t *testing.T) string { return ptyOther(t, "") }, "auto", fault{"sam_silent", "technician", 2, "/dev/pts/"}},
		"silent at a fixed rate": {func(t *testing.T) string { return ptyOther(t, "") }, "9600", fault{"sam_silent", "technician", 2, ""}},
		"something else":         {func(t *testing.T) string { return ptyOther(t, gps) }, "auto", fault{"sam_foreign", "technician", 2, ""}},
		"self-test failed": {func(t *testing.T) string {
			return ptyModule(t, mock.Options{Quirks: mock.Quirks{SelfTestFailed: true}})
		}, "auto", fault{"sam_self_test", "technician", 2, "front"}},
		"not authorised": {func(t *testing.T) string { return ptyModule(t, mock.Options{Quirks: mock.Quirks{Unauthorised: true}}) }, "auto", fault{"sam_unauthorised", "administrator", 2, "front"}},
		"noisy":          {func(t *testing.T) string { return ptyModule(t, mock.Options{Faults: faults(t, "flip=0.3")}) }, "115200", fault{"line_noisy", "technician", 1, "errors in"}},
		"late answers":   {func(t *testing.T) string { return ptyModule(t, mock.Options{Faults: faults(t, "delay=180ms")}) }, "115200", fault{"line_slow", "technician", 1, "on the wire"}},
		"low rate":       {func(t *testing.T) string { return ptyModule(t, mock.Options{Timing: timing(9600)}) }, "auto", fault{"line_slow", "technician", 1, "9600 baud"}},
		"a folder":       {func(t *testing.T) string { return t.TempDir() }, "auto", fault{"port_unusable", "technician", 2, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := fmt.Sprintf("readers: [{name: front, driver: serial, port: %s, baud: %s}]\n", tt.port(t), tt.baud)
			file, _ := deskFile(t, config)
			r, exit := diagnose(t, file)
			tt.want.check(t, r, exit)

			if tt.want.code == "line_noisy" || tt.want.code == "line_slow" {
				return // TestDiagAsksTheDaemon has them: they need time to show
			}
			d := runDaemon(t, file)
			awaitState(t, d)
			r, exit = diagnose(t, file)
			if r.Via != "daemon" {
				t.Fatalf("the daemon was not asked:\n%s", d.err)
			}
			tt.want.check(t, r, exit)
		})
	}
}

// runDaemon runs `idtap run` on a file until the test ends.
func runDaemon(t *testing.T, file string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{out: &syncBuffer{}, err: &syncBuffer{}, stop: stop, code: make(chan int, 1)}
	home := t.TempDir()
	a := &app{in: strings.NewReader(""), out: r.out, err: r.err, getenv: func(k string) string {
		return map[string]string{"HOME": home, "LANG": "en_US.UTF-8"}[k]
	}, environ: func() []string { return nil }}
	go func() {
		r.code <- a.execute(ctx, []string{"run", "-c", file, "--log-level", "trace", "--log-format", "json"})
	}()
	t.Cleanup(func() { stop(); awaitCode(t, r) })
	return r
}

// awaitState waits until the daemon has said how its reader is.
func awaitState(t *testing.T, d *running) {
	t.Helper()
	awaitLog(t, d, `"message":"reader"`)
}

func awaitLog(t *testing.T, d *running, text string) {
	t.Helper()
	for deadline := time.After(30 * time.Second); !strings.Contains(d.err.String(), text); {
		select {
		case <-deadline:
			t.Fatalf("the daemon never said %s:\n%s", text, d.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestDiagAsksTheDaemon: a daemon's readers are left alone while they work, and
// what their lines show is told.
func TestDiagAsksTheDaemon(t *testing.T) {
	for name, tt := range map[string]struct {
		faults string
		want   *fault
	}{
		"well":  {"", nil},
		"noisy": {"junk=0.5", &fault{"line_noisy", "technician", 1, "in the last"}},
		"slow":  {"delay=150ms", &fault{"line_slow", "technician", 1, "on the wire"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := ptyModule(t, mock.Options{Faults: faults(t, tt.faults)})
			file, _ := deskFile(t, "readers: [{name: front, driver: serial, port: "+port+", baud: 115200}]\n")
			d := runDaemon(t, file)
			awaitState(t, d)
			r, exit := diagnose(t, file)
			for end := time.Now().Add(20 * time.Second); tt.want != nil && len(r.Findings()) == 0 && time.Now().Before(end); {
				r, exit = diagnose(t, file) // noise takes a while to show
			}
			if r.Via != "daemon" {
				t.Fatalf("the daemon was not asked:\n%s", d.err)
			}
			if tt.want != nil {
				tt.want.check(t, r, exit)
			} else if exit != 0 || len(r.Findings()) != 0 {
				t.Errorf("%+v", r.Findings())
			}
			if took := time.Duration(r.Took); tt.want == nil && took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestDiagPortWithoutPermission runs the command as a user who may not open the
// port, as a desk's technician does.
func TestDiagPortWithoutPermission(t *testing.T) {
	port := ptyModule(t, mock.Options{})
	if err := os.Chmod(port, 0); err != nil {
		t.Fatal(err)
	}
	file, queue := deskFile(t, "readers: [{name: front, driver: serial, port: "+port+"}]\n")
	if os.Getuid() == 0 { // the queue is that user's
		if err := os.Mkdir(queue, 0o700); err != nil {
			t.Fatal(err)
		}
		giveAway(t, queue)
	}
	out, exit := asNobody(t, "diag", "-c", file, "--json")
	fault{"port_denied", "technician", 2, "mode 0000"}.check(t, parseReport(t, out), exit)
}

// asNobody runs the command as a user without rights, root's tests included.
func asNobody(t *testing.T, args ...string) (out []byte, exit int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	if os.Getuid() == 0 {
		const nobody = 65534
		binary := filepath.Join(t.TempDir(), "idtap")
		copyFile(t, os.Args[0], binary)
		for dir := filepath.Dir(binary); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
			os.Chmod(dir, 0o755)
		}
		cmd = exec.Command(binary, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	cmd.Dir, cmd.Env = "/", []string{asCommand + "=1", "HOME=/nonexistent", "LANG=en_US.UTF-8"}
	out, _ = cmd.Output()
	return out, cmd.ProcessState.ExitCode()
}

// TestDiagBesideAnotherUsersDaemon: it cannot be asked, which is one finding.
func TestDiagBesideAnotherUsersDaemon(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("the tests' own user runs both: nothing is denied")
		return
	}
	port := ptyModule(t, mock.Options{})
	if err := os.Chmod(port, 0o666); err != nil {
		t.Fatal(err)
	}
	file, _ := deskFile(t, "readers: [{name: front, driver: serial, port: "+port+"}]\n")
	d := runDaemon(t, file)
	awaitState(t, d)
	out, exit := asNobody(t, "diag", "-c", file, "--json")
	r := parseReport(t, out)
	fault{"queue_denied", "technician", 2, "queue"}.check(t, r, exit)
	for _, result := range r.Results {
		if result.Check == "reader-front" && result.Level != diagnosis.NotChecked {
			t.Errorf("the reader of another account's daemon is %s, want not checked", result.Level)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDiagPagePortTaken names the program that has it.
func TestDiagPagePortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	hold(t, socket)
	l.Close()
	file, _ := deskFile(t, mockReader+"desk_page: {listen: \""+address+"\"}\n")
	r, exit := diagnose(t, file)
	fault{"page_port_taken", "technician", 2, "sleep (pid "}.check(t, r, exit)
}

// TestDiagSecondDaemon: another idtap that has reader and page is one finding.
func TestDiagSecondDaemon(t *testing.T) {
	port, page := ptyModule(t, mock.Options{}), freeAddress(t)
	config := "readers: [{name: front, driver: serial, port: " + port + "}]\ndesk_page: {listen: \"" + page + "\"}\n"
	first, _ := deskFile(t, config)
	second, _ := deskFile(t, config)
	other := otherDaemon(t, first)
	r, exit := diagnose(t, second)
	fault{"daemon_second", "technician", 2, fmt.Sprintf("pid %d", other.Process.Pid)}.check(t, r, exit)

	// Its own configuration finds it and asks it.
	if r, exit := diagnose(t, first); r.Via != "daemon" || exit != 0 {
		t.Errorf("%s, exit %d, %+v", r.Via, exit, r.Findings())
	}
}

// TestDiagProbe asks one port at every rate and no other.
func TestDiagProbe(t *testing.T) {
	at := mock.DeskTiming
	at.Baud = 38400
	good := ptyModule(t, mock.Options{Timing: at})
	code, out, errs := executeIn(t, t.TempDir(), "diag", "--probe", good)
	if code != 0 || !strings.Contains(out, "38400 baud: SAM") || !strings.Contains(out, "115200 baud: -") || !strings.Contains(out, "port: "+good) {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for says, want := range map[string]string{"": "sam_silent", "SCANNER READY\r\n": "sam_foreign"} {
		code, out, _ := executeIn(t, t.TempDir(), "diag", "--probe", ptyOther(t, says))
		if code != 2 || !strings.Contains(out, want) {
			t.Errorf("exit %d, want %s\n%s", code, want, out)
		}
	}
}

// TestDiagProbeOfADaemonsPort asks the daemon, which has it.
func TestDiagProbeOfADaemonsPort(t *testing.T) {
	port := ptyModule(t, mock.Options{})
	file, _ := deskFile(t, "readers: [{name: front, driver: serial, port: "+port+"}]\n")
	d := runDaemon(t, file)
	awaitState(t, d)
	r, exit := diagnose(t, file, "--probe", port)
	if r.Via != "daemon" || exit != 0 {
		t.Errorf("%s, exit %d, %+v", r.Via, exit, r.Findings())
	}
}

// TestDiagWatches looks again and again, and ends with the level of the last look.
func TestDiagWatches(t *testing.T) {
	file, _ := deskFile(t, mockReader)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &syncBuffer{}
	a := &app{in: strings.NewReader(""), out: out, err: io.Discard, environ: func() []string { return nil },
		getenv: func(k string) string { return map[string]string{"HOME": filepath.Dir(file)}[k] }}
	code := make(chan int)
	go func() { code <- a.execute(ctx, []string{"diag", "-c", file, "--json", "--watch"}) }()
	for end := time.Now().Add(30 * time.Second); strings.Count(out.String(), "\n") < 2; {
		<-time.After(20 * time.Millisecond)
		if time.Now().After(end) {
			t.Fatalf("watched once:\n%s", out)
		}
	}
	stop()
	if c := <-code; c != 2 {
		t.Errorf("exit %d, want 2: no daemon runs", c)
	}
	for line := range strings.Lines(out.String()) {
		parseReport(t, []byte(line))
	}
}

// TestDiagQueueSetAside: a queue that the daemon set aside and replaced stays
// told until somebody has taken it away.
func TestDiagQueueSetAside(t *testing.T) {
	file, queue := deskFile(t, mockReader)
	fillQueue(t, queue, time.Now())
	damageQueue(t, queue)
	d := runDaemon(t, file)
	awaitState(t, d)
	r, exit := diagnose(t, file)
	fault{"queue_damaged", "technician", 2, "outbox-damaged-"}.check(t, r, exit)
}

// otherDaemon runs `idtap run` in a process of its own until it has said ready.
func otherDaemon(t *testing.T, file string) *exec.Cmd {
	t.Helper()
	other := exec.Command(os.Args[0], "run", "-c", file, "--log-format", "json", "--log-level", "debug")
	other.Env = []string{asCommand + "=1", "HOME=" + t.TempDir(), "LANG=en_US.UTF-8"}
	log := &syncBuffer{}
	other.Stderr = log
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	awaitLog(t, &running{err: log}, `"state":"ready"`)
	return other
}

// TestDiagDaemonStopped: one that was killed is the first finding, and critical.
func TestDiagDaemonStopped(t *testing.T) {
	file, _ := deskFile(t, mockReader)
	other := otherDaemon(t, file)
	if r, exit := diagnose(t, file); r.Via != "daemon" || exit != 0 {
		t.Fatalf("via %s, exit %d, %+v, want the daemon and 0", r.Via, exit, r.Findings())
	}
	other.Process.Kill()
	other.Wait()
	r, exit := diagnose(t, file)
	found := r.Findings()
	if exit != 2 || len(found) != 1 || found[0].Code != "daemon_stopped" || found[0].Who != "technician" || !strings.Contains(found[0].Do.En, "idtap") {
		t.Errorf("exit %d, %+v, want 2 and daemon_stopped alone", exit, found)
	}
}

// TestDiagDaemonHung: one that is stopped in its tracks is named within two
// seconds, by its process, and its readers are left alone.
func TestDiagDaemonHung(t *testing.T) {
	module := mock.NewModule(mock.Options{Timing: mock.DeskTiming})
	s, err := mock.ListenTCP(module, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Serve(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	file, _ := deskFile(t, "readers: [{name: front, driver: tcp, port: \""+s.Address()+"\"}]\n")
	other := otherDaemon(t, file)
	if err := other.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before := module.State().Commands
	r, exit := diagnose(t, file)
	found := r.Findings()
	if exit != 2 || len(found) == 0 || found[0].Code != "daemon_hung" || found[0].Subject != fmt.Sprintf("pid %d", other.Process.Pid) {
		t.Errorf("exit %d, %+v, want 2 and daemon_hung of pid %d first", exit, found, other.Process.Pid)
	}
	if after := module.State().Commands; after > before+1 { // one may have been under way
		t.Errorf("%d commands reached the reader", after-before)
	}
}
