package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
)

// What a daemon publishes verifies with the list that names its key, and a daemon
// whose key cannot be read does not start.
func TestDaemonSigns(t *testing.T) {
	dir := t.TempDir()
	key, admin, list := filepath.Join(dir, "desk.nk"), filepath.Join(dir, "admin.nk"), filepath.Join(dir, "desks.trust")
	_, public := pair(t, nkeys.CreateUser, key)
	_, by := pair(t, nkeys.CreateUser, admin)
	if code, _, errs := executeIn(t, dir, "bus", "trust", "add", list, public, "--desk", "d1", "--from", "2020-01-01", "--key", admin); code != exitOK {
		t.Fatal(errs)
	}
	file := filepath.Join(dir, "desk.yaml")
	text := "desk: {id: d1, division: \"410105\", signing_key: " + key + "}\nreaders: [{name: front, driver: mock, port: \"seed:5\"}]\n" +
		"nats: {embedded: {listen: \"" + freeAddress(t) + "\"}}\noutbox: {dir: " + filepath.Join(dir, "queue") + "}\n" +
		"desk_page: {listen: \"" + freeAddress(t) + "\"}\npolicy: {poll: 20ms}\n"
	writeFile(t, file, strings.Replace(text, key, key+".none", 1))
	if code, _, errs := executeIn(t, dir, "run", "-c", file); code != exitUsage || !strings.Contains(errs, "desk.signing_key") {
		t.Errorf("run with a missing key: exit %d, want %d and desk.signing_key: %s", code, exitUsage, errs)
	}
	writeFile(t, file, text)
	d := runDaemon(t, file)
	awaitLines(t, d.out, "recorded", 1)
	with, _ := startTail(t, "-c", file, "--trust", list, "--trust-by", by)
	if line := with.next(t); !strings.Contains(line, "recorded") || strings.Contains(strings.Replace(line, "[test]", "", 1), "[") {
		t.Errorf("tail = %s, want a recorded event without a mark but [test]", line)
	}
}
