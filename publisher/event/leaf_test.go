package event

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// deps lists the packages that a package compiles.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

// Integrators import this package: it brings nothing of the project along, but
// for the texts that it shows to people.
func TestPackageIsALeaf(t *testing.T) {
	for _, dep := range deps(t, "idtap/publisher/event") {
		if strings.HasPrefix(dep, "idtap/") && dep != "idtap/publisher/event" && dep != "idtap/internal/text" {
			t.Errorf("publisher/event compiles %s", dep)
		}
	}
}

// A registry's program compiles the NATS client and what opens events, but no
// queue, server, driver or reader.
func TestExampleCompilesNoDaemon(t *testing.T) {
	got := deps(t, "idtap/examples/events/go")
	for _, want := range []string{"idtap/publisher/event", "github.com/nats-io/nats.go/jetstream"} {
		if !slices.Contains(got, want) {
			t.Errorf("examples/events/go does not compile %s: the test looks at the wrong program", want)
		}
	}
	for _, dep := range got {
		for _, part := range []string{"sqlite", "nats-server", "go.bug.st/serial", "ebfe/scard", "idtap/driver", "idtap/reader", "idtap/config", "idtap/publisher/outbox", "idtap/publisher/bus"} {
			if strings.Contains(dep, part) {
				t.Errorf("examples/events/go compiles %s", dep)
			}
		}
	}
}
