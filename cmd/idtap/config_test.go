package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the daemon would refuse, the check of its file refuses.
func TestConfigCheckRefusesPlaintext(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "desk.yaml")
	for text, want := range map[string]int{
		`nats: {url: "nats://bus.example.cn:4222"}`:                        exitUsage,
		`nats: {url: "nats://bus.example.cn:4222", allow_plaintext: true}`: exitOK,
		`nats: {url: "tls://bus.example.cn:4222"}`:                         exitOK,
		`nats: {url: "nats://127.0.0.1:4222"}`:                             exitOK,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, errs := executeIn(t, dir, "config", "check", file)
		if _, _, zh := executeIn(t, dir, "--lang", "zh", "config", "check", file); want == exitUsage && !strings.Contains(zh, "请改用 tls://") {
			t.Errorf("in Chinese: %s", zh)
		}
		if code != want || want == exitUsage && !strings.Contains(errs, "nats.url") {
			t.Errorf("%s: %d, want %d: %s", text, code, want, errs)
		}
	}
}
