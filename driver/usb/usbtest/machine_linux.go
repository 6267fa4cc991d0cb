package usbtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Machine is an emulated computer with a real kernel into whose USB sockets the
// Readers are plugged. It needs no hardware virtualisation.
type Machine struct {
	// Dir holds what .ci/install usb put there: vmlinuz and modules.
	Dir string
	// Files are copied into the machine: path there, path here.
	Files map[string]string
	// Readers sit in its sockets from 1 on, as port paths 1-1, 1-2 and so on.
	Readers []*Reader
	// Init, if not empty, is run before the shell is there.
	Init string

	dir     string
	qemu    *exec.Cmd
	shell   net.Conn
	lines   *bufio.Reader
	monitor net.Conn

	mu      sync.Mutex // guards console
	console bytes.Buffer
	booted  chan struct{}
	running sync.WaitGroup
}

// Host is this machine as the emulated one sees it: its loopback's ports are there.
const Host = "10.0.2.2"

// modules in the order in which they are loaded.
var modules = []string{"usb-common", "usbcore", "xhci-hcd", "xhci-pci", "hid", "usbhid", "hid-generic", "e1000"}

// Start boots the machine. dir is a folder for its files and sockets; its path has
// to be short. The context's end kills it.
func (m *Machine) Start(ctx context.Context, dir string) error {
	m.dir, m.booted = dir, make(chan struct{})
	image := filepath.Join(dir, "initrd")
	if err := m.image(image); err != nil {
		return err
	}
	args := []string{"-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "768", "-display", "none", "-no-reboot",
		"-kernel", filepath.Join(m.Dir, "vmlinuz"), "-initrd", image, "-append", "console=ttyS0 quiet panic=-1 mitigations=off",
		"-netdev", "user,id=n", "-device", "e1000,netdev=n", "-serial", "stdio",
		"-serial", "unix:" + filepath.Join(dir, "sh") + ",server,nowait", "-monitor", "unix:" + filepath.Join(dir, "mon") + ",server,nowait",
		"-device", fmt.Sprintf("qemu-xhci,id=x,p2=%d,p3=1", len(m.Readers)+1)}
	for i, r := range m.Readers {
		socket := filepath.Join(dir, fmt.Sprintf("r%d", i))
		if err := r.Listen(socket); err != nil {
			return err
		}
		m.running.Go(func() {
			if err := r.Serve(); err != nil {
				m.note(fmt.Sprintf("emulated reader %d: %v\n", i, err))
			}
		})
		args = append(args, "-chardev", fmt.Sprintf("socket,id=r%d,path=%s", i, socket),
			"-device", fmt.Sprintf("usb-redir,chardev=r%d,id=rd%d,bus=x.0,port=%d", i, i, i+1))
	}
	m.qemu = exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	out, err := m.qemu.StdoutPipe()
	if err != nil {
		return err
	}
	m.qemu.Stderr = m.qemu.Stdout
	if err := m.qemu.Start(); err != nil {
		return err
	}
	m.running.Go(func() { m.listen(out) })
	select {
	case <-m.booted:
	case <-ctx.Done():
		return fmt.Errorf("the machine does not start: %w\n%s", ctx.Err(), m.Console())
	}
	if m.shell, err = net.Dial("unix", filepath.Join(dir, "sh")); err != nil {
		return err
	}
	m.lines = bufio.NewReader(m.shell)
	m.monitor, err = net.Dial("unix", filepath.Join(dir, "mon"))
	return err
}

const bootMark = "MACHINE IS UP"

// listen keeps what the console says.
func (m *Machine) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	for up := false; lines.Scan(); {
		m.note(lines.Text() + "\n")
		if !up && strings.Contains(lines.Text(), bootMark) {
			up = true
			close(m.booted)
		}
	}
}

func (m *Machine) note(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.console.WriteString(s)
}

// Console is what the machine has said so far.
func (m *Machine) Console() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.console.String()
}

// Run runs a command in the machine's shell and returns what it printed. A status
// that is not 0 is an error.
func (m *Machine) Run(ctx context.Context, command string) (string, error) {
	const end = "--- ended "
	defer context.AfterFunc(ctx, func() { m.shell.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintf(m.shell, "%s\necho '%s'$?\n", command, end); err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		line, err := m.lines.ReadString('\n')
		if err != nil {
			return out.String(), errors.Join(err, ctx.Err())
		}
		line = strings.TrimRight(line, "\r\n")
		if at := strings.Index(line, end); at >= 0 && !strings.Contains(line, "$?") {
			out.WriteString(line[:at])
			if status := line[at+len(end):]; status != "0" {
				return out.String(), fmt.Errorf("%s: status %s\n%s", command, status, out.String())
			}
			return out.String(), nil
		}
		out.WriteString(line + "\n")
	}
}

// Suspend puts the machine to sleep and wakes it.
func (m *Machine) Suspend(ctx context.Context) error {
	if _, err := m.Run(ctx, "(sleep 0.1; echo mem >/sys/power/state) >/dev/null 2>&1 &"); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { m.monitor.SetDeadline(time.Unix(1, 0)) })()
	replies := bufio.NewReader(m.monitor)
	for !m.asleep(replies) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	_, err := fmt.Fprintln(m.monitor, "system_wakeup")
	return err
}

func (m *Machine) asleep(replies *bufio.Reader) bool {
	fmt.Fprintln(m.monitor, "info status")
	for {
		line, err := replies.ReadString('\n')
		if err != nil || strings.Contains(line, "VM status:") {
			return strings.Contains(line, "suspended")
		}
	}
}

// Stop ends the machine.
func (m *Machine) Stop() {
	if m.qemu != nil && m.qemu.Process != nil {
		m.qemu.Process.Kill()
		m.qemu.Wait()
	}
	for _, c := range []net.Conn{m.shell, m.monitor} {
		if c != nil {
			c.Close()
		}
	}
	for _, r := range m.Readers {
		if r.l != nil {
			r.Close()
		}
	}
	m.running.Wait()
}

// init is the machine's first program.
func (m *Machine) init() string {
	var load strings.Builder
	for _, name := range modules {
		fmt.Fprintf(&load, "insmod /modules/%s.ko\n", name)
	}
	return `#!/bin/sh
export PATH=/bin HOME=/root LANG=en_US.UTF-8
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run; mount -t tmpfs tmp /tmp
` + load.String() + `
ifconfig lo 127.0.0.1 up; ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
` + m.Init + `
exec 3<>/dev/ttyS1
stty raw -echo <&3
echo ` + bootMark + `
exec setsid sh /dev/ttyS1 <&3 >&3 2>&1
`
}

// image writes the machine's file system: busybox, the modules, Files and init.
func (m *Machine) image(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	c := archive{w: w}
	for _, d := range []string{"bin", "dev", "proc", "sys", "run", "tmp", "root", "etc", "modules"} {
		c.add(d, 0o040755, nil)
	}
	c.add("init", 0o100755, []byte(m.init()))
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("%w (make test-usb installs it)", err)
	}
	c.add("bin/busybox", 0o100755, busybox)
	for _, name := range []string{"sh", "mount", "insmod", "ifconfig", "setsid", "cat", "echo", "ls", "sleep", "kill", "grep", "stty", "chmod", "chown",
		"mkdir", "wc", "dd", "su", "id", "rm", "ln", "head", "tail", "ps", "adduser", "true", "timeout", "env", "tr"} {
		c.add("bin/"+name, 0o120777, []byte("busybox"))
	}
	for _, name := range modules {
		b, err := os.ReadFile(filepath.Join(m.Dir, "modules", name+".ko"))
		if err != nil {
			return fmt.Errorf("%w (make test-usb installs it)", err)
		}
		c.add("modules/"+name+".ko", 0o100644, b)
	}
	for to, from := range m.Files {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		c.add(strings.TrimPrefix(to, "/"), 0o100755, b)
	}
	c.add("TRAILER!!!", 0, nil)
	return errors.Join(c.err, w.Flush(), f.Close())
}

// archive is a cpio archive in the new ASCII format, as the kernel unpacks it.
type archive struct {
	w     io.Writer
	inode int
	size  int
	err   error
}

func (a *archive) add(name string, mode int, content []byte) {
	a.inode++
	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", a.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	a.write([]byte(head + name + "\x00"))
	a.write(content)
}

// write pads to four bytes, as the format wants it.
func (a *archive) write(p []byte) {
	if a.err != nil {
		return
	}
	pad := (4 - len(p)%4) % 4
	if _, a.err = a.w.Write(append(append([]byte(nil), p...), make([]byte, pad)...)); a.err != nil {
		return
	}
	a.size += len(p) + pad
}
