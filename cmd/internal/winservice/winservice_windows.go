package winservice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

// Name is the service's, and the last part of its account's name.
const Name = "idtap"

const account = `NT SERVICE\` + Name

// controlWithin is how long starting and stopping may take.
const controlWithin = 30 * time.Second

// Status is what the service manager knows.
type Status struct {
	Installed bool
	Running   bool
	State     string
	PID       uint32
	Exit      uint32 // of its last run: 0, or the service's own code
}

// Install makes the service for a program and its folder's access lists. notes are
// what this system's service manager does not know, as Wine's.
func Install(program, data string) (notes []string, err error) {
	m, err := mgr.Connect()
	if err != nil {
		return nil, fmt.Errorf("service manager: %w", err)
	}
	defer m.Disconnect()
	s, err := m.CreateService(Name, program, mgr.Config{
		DisplayName: "idtap", Description: "Reads resident ID cards and publishes registrations / 读取居民身份证并发布登记",
		StartType: mgr.StartAutomatic, DelayedAutoStart: true, ServiceStartName: account,
	}, "service", "run")
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", Name, err)
	}
	defer s.Close()
	undo := func(err error) ([]string, error) { return nil, errors.Join(err, s.Delete()) }
	again := []mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: 2 * time.Second}, {Type: mgr.ServiceRestart, Delay: 10 * time.Second},
		{Type: mgr.ServiceRestart, Delay: time.Minute}}
	for _, setting := range []struct {
		what string
		set  func() error
	}{
		{"restart on failure", func() error { return s.SetRecoveryActions(again, 24*60*60) }},
		{"restart after an error exit", func() error { return s.SetRecoveryActionsOnNonCrashFailures(true) }},
		{"event log", func() error {
			return eventlog.InstallAsEventCreate(Name, eventlog.Error|eventlog.Warning|eventlog.Info)
		}},
	} {
		if err := setting.set(); err != nil {
			if !errors.Is(err, windows.ERROR_INVALID_LEVEL) && setting.what != "event log" {
				return undo(fmt.Errorf("%s: %w", setting.what, err))
			}
			notes = append(notes, fmt.Sprintf("%s: %v", setting.what, err))
		}
	}
	if err := own(data); err != nil {
		return undo(err)
	}
	return notes, nil
}

// Folders below the data folder.
const (
	State = "state" // queue and keys, the service's own
	Log   = "log"
)

// own makes the folder and gives it to SYSTEM, administrators and the service,
// which may read its settings but change only its queue and its log.
func own(data string) error {
	sid, _, _, err := windows.LookupSID("", account)
	if err != nil {
		return fmt.Errorf("account %s: %w", account, err)
	}
	const full = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;%s;;;%s)"
	for _, f := range []struct{ path, right string }{{data, "0x1200a9"}, {filepath.Join(data, "conf.d"), "0x1200a9"},
		{filepath.Join(data, State), "FA"}, {filepath.Join(data, Log), "FA"}} {
		if err := os.MkdirAll(f.path, 0o700); err != nil {
			return err
		}
		d, err := windows.SecurityDescriptorFromString(fmt.Sprintf(full, f.right, sid))
		if err != nil {
			return err
		}
		dacl, _, err := d.DACL()
		if err != nil {
			return err
		}
		if err := windows.SetNamedSecurityInfo(f.path, windows.SE_FILE_OBJECT,
			windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil); err != nil {
			return fmt.Errorf("access list of %s: %w", f.path, err)
		}
	}
	return nil
}

// Uninstall stops and removes the service; its data stays.
func Uninstall(ctx context.Context) error {
	return with(func(s *mgr.Service) error {
		if err := stop(ctx, s); err != nil {
			return err
		}
		eventlog.Remove(Name) // it may not be there
		return s.Delete()
	})
}

// Start starts the service and waits until it runs.
func Start(ctx context.Context) error {
	return with(func(s *mgr.Service) error {
		if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
			return err
		}
		return wait(ctx, s, svc.Running)
	})
}

// Stop stops the service and waits until it has.
func Stop(ctx context.Context) error {
	return with(func(s *mgr.Service) error { return stop(ctx, s) })
}

func stop(ctx context.Context, s *mgr.Service) error {
	if _, err := s.Control(svc.Stop); err != nil {
		if errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return nil
		}
		return err
	}
	return wait(ctx, s, svc.Stopped)
}

// Query asks for the service's state.
func Query() (Status, error) {
	var st Status
	err := with(func(s *mgr.Service) error {
		q, err := s.Query()
		st = Status{Installed: true, Running: q.State == svc.Running, State: stateName(q.State), PID: q.ProcessId, Exit: q.Win32ExitCode}
		if q.Win32ExitCode == uint32(windows.ERROR_SERVICE_SPECIFIC_ERROR) {
			st.Exit = q.ServiceSpecificExitCode
		}
		return err
	})
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return Status{}, nil
	}
	return st, err
}

func stateName(s svc.State) string {
	names := map[svc.State]string{svc.Stopped: "stopped", svc.StartPending: "starting", svc.StopPending: "stopping", svc.Running: "running", svc.Paused: "paused"}
	if n, ok := names[s]; ok {
		return n
	}
	return fmt.Sprintf("state %d", s)
}

func with(do func(*mgr.Service) error) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(Name)
	if err != nil {
		return fmt.Errorf("service %s: %w", Name, err)
	}
	defer s.Close()
	return do(s)
}

func wait(ctx context.Context, s *mgr.Service, want svc.State) error {
	ctx, cancel := context.WithTimeout(ctx, controlWithin)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		q, err := s.Query()
		switch {
		case err != nil:
			return err
		case q.State == want:
			return nil
		case want == svc.Running && q.State == svc.Stopped:
			return fmt.Errorf("ended with code %d while starting: see the log and the event log", max(q.Win32ExitCode, q.ServiceSpecificExitCode))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still %s after %v", stateName(q.State), controlWithin)
		case <-tick.C:
		}
	}
}

// Run is the service. serve runs until its context ends and calls ready once it
// is up; its error ends the service with a code that the manager restarts after.
func Run(serve func(ctx context.Context, ready func()) error) error {
	return svc.Run(Name, &handler{serve})
}

type handler struct {
	serve func(context.Context, func()) error
}

const accepted = svc.AcceptStop | svc.AcceptShutdown

// Execute implements svc.Handler.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (specific bool, code uint32) {
	status <- svc.Status{State: svc.StartPending, WaitHint: uint32(controlWithin.Milliseconds())}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- h.serve(ctx, func() { close(ready) }) }()
	for {
		select {
		case <-ready:
			ready = nil
			status <- svc.Status{State: svc.Running, Accepts: accepted}
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending, WaitHint: 5000}
				cancel()
			}
		case err := <-ended:
			if err == nil {
				return false, 0
			}
			if l, e := eventlog.Open(Name); e == nil {
				l.Error(1, err.Error())
				l.Close()
			}
			return true, 1
		}
	}
}
