//go:build unix

package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"idtap/cmd/internal/preflight"
	"idtap/config"
	"idtap/driver/diagnosis"
)

// TestStartFiles: each file that a configuration names, broken for real. What the
// preflight lets pass, Run starts; what it says against starting, Run refuses and
// diag tells first, with the remedy.
func TestStartFiles(t *testing.T) {
	const pins, token, key = "张敏:482913\n", "0123456789abcdef0123456789abcdef\n", "0123456789abcdef0123456789abcdef\n"
	for name, tt := range map[string]struct {
		lines  string // FILE is the file
		text   string // "": it is not there
		mode   os.FileMode
		code   string // "": all is well
		blocks bool
		remedy string
	}{
		"PIN file":                       {"desk_page: {listen: \"127.0.0.1:0\", pin_file: FILE}", pins, 0o600, "", false, ""},
		"PIN file missing":               {"desk_page: {listen: \"127.0.0.1:0\", pin_file: FILE}", "", 0, "file_missing", true, ""},
		"PIN file that others read":      {"desk_page: {listen: \"127.0.0.1:0\", pin_file: FILE}", pins, 0o644, "file_exposed", true, "chmod 600 FILE"},
		"PIN file that is none":          {"desk_page: {listen: \"127.0.0.1:0\", pin_file: FILE}", "482913\n", 0o600, "file_invalid", true, ""},
		"token file that others read":    {"desk_page: {listen: \"127.0.0.1:0\", token_file: FILE}", token, 0o644, "file_exposed", true, "chmod 600 FILE"},
		"token file missing":             {"desk_page: {listen: \"127.0.0.1:0\", token_file: FILE}", "", 0, "file_missing", true, ""},
		"token file too short":           {"desk_page: {listen: \"127.0.0.1:0\", token_file: FILE}", "abc\n", 0o600, "file_invalid", true, ""},
		"page without its files":         {"desk_page: {listen: \"\", pin_file: FILE}", "", 0, "", false, ""},
		"reference key":                  {"desk: {ref_key_file: FILE}", key, 0o600, "", false, ""},
		"reference key too short":        {"desk: {ref_key_file: FILE}", "abc", 0o600, "file_invalid", true, ""},
		"reference key that others read": {"desk: {ref_key_file: FILE}", key, 0o644, "file_exposed", false, "chmod 600 FILE"},
		"recipient missing":              {"nats: {encrypt_to: [{key: FILE}]}", "", 0, "file_missing", true, ""},
		"recipient that is none":         {"nats: {encrypt_to: [{key: FILE}]}", "{}", 0o644, "file_invalid", true, ""},
		"server file missing":            {"nats: {embedded: {config: FILE}}", "", 0, "file_missing", true, ""},
		"server file that is none":       {"nats: {embedded: {config: FILE}}", "jetstream {", 0o600, "file_invalid", true, ""},
		"decoder missing":                {"photo: {decoder: [FILE]}", "", 0, "file_missing", false, ""},
		"decoder that others write":      {"photo: {decoder: [FILE]}", "#!/bin/sh\n", 0o777, "file_exposed", false, "chmod go-w FILE"},
		"password that others read":      {"nats: {url: \"nats://127.0.0.1:1\", user: desk, password_file: FILE}", "x\n", 0o644, "file_exposed", false, "chmod 600 FILE"},
		"credentials missing":            {"nats: {url: \"nats://127.0.0.1:1\", creds: FILE}", "", 0, "file_missing", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "the file")
			if tt.text != "" {
				writeFile(t, file, tt.text)
				if err := os.Chmod(file, tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			lines := strings.ReplaceAll(tt.lines, "FILE", "\""+file+"\"")
			lines = strings.Replace(lines, "desk: {", "", 1) // loadConfig's own
			var cfg = loadConfig(t, "")
			if lines != strings.ReplaceAll(tt.lines, "FILE", "\""+file+"\"") {
				cfg.Desk.RefKeyFile = file
			} else {
				cfg = loadConfig(t, lines+"\n")
			}
			faults := preflight.Files(cfg)
			if tt.code == "" && len(faults) != 0 || tt.code != "" && (len(faults) != 1 || faults[0].Code != tt.code || faults[0].Blocks != tt.blocks) {
				t.Fatalf("the preflight finds %+v, want %q, which blocks: %v", faults, tt.code, tt.blocks)
			}
			started := starts(t, cfg)
			if started == tt.blocks {
				t.Errorf("Run starts: %v, want %v", started, !tt.blocks)
			}
			g := NewExaminer(cfg, Options{})
			found := g.Report(t.Context(), false).Findings()
			if found[0].Code != "daemon_stopped" || found[0].Level != diagnosis.Critical {
				t.Fatalf("first is %s, want daemon_stopped", found[0].Code)
			}
			if tt.blocks && !strings.Contains(found[0].Detail, tt.code+" "+file) {
				t.Errorf("daemon_stopped says %q, want %s %s", found[0].Detail, tt.code, file)
			}
			if want := strings.ReplaceAll(tt.remedy, "FILE", "'"+file+"'"); tt.code != "" && want != "" && faults[0].Do.En != want {
				t.Errorf("the remedy is %q, want %q", faults[0].Do.En, want)
			}
			if b, err := os.ReadFile(file); err == nil && len(b) > 3 && len(faults) > 0 && strings.Contains(faults[0].In("en"), strings.TrimSpace(string(b))) {
				t.Error("what is in the file is said")
			}
		})
	}
}

// starts reports whether Run starts. What it refuses is a ConfigError.
func starts(t *testing.T, cfg config.Config) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := false
	err := Run(ctx, cfg, Options{Lang: "en", RuntimeFile: filepath.Join(cfg.Outbox.Dir, "runtime.json"), Log: zerolog.Nop(),
		Started: func(Address) { started = true; cancel() }})
	if err != nil && !errors.As(err, new(*ConfigError)) {
		t.Errorf("Run = %v, want a ConfigError or nil", err)
	}
	return started
}

// TestStoppedSaysWhy: the last word of a log, and what systemd knows.
func TestStoppedSaysWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "idtap.log")
	writeFile(t, file, `{"level":"fatal","error":"older"}`+"\n"+`{"level":"info","message":"x"}`+"\n"+`{"level":"fatal","error":"no space","message":"idtap ends"}`+"\n"+`{"level":"warn"`)
	if got := lastFatal(file); got != "no space" {
		t.Errorf("lastFatal = %q, want the last one", got)
	}
	for out, want := range map[string]service{
		"LoadState=not-found\nActiveState=inactive\n":                                                 {},
		"LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=2\n": {true, "failed (failed), exit-code 2"},
		"LoadState=loaded\nActiveState=inactive\nSubState=dead\nResult=success\nExecMainStatus=0\n":   {true, "inactive (dead)"},
		"": {},
	} {
		if got := parseUnit(out); got != want {
			t.Errorf("parseUnit(%q) = %+v, want %+v", out, got, want)
		}
	}
}
