package bus

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/nats-io/nats.go"

	"idtap/driver/diagnosis"
	"idtap/publisher/event"
)

// told runs the check and gives what it finds, folded as a technician sees it.
func told(t *testing.T, l Look) []diagnosis.Finding {
	t.Helper()
	l.Stream, l.DeskID, l.Filter = stream, "d1", event.Filter(division, "d1")
	if l.Clock == nil {
		l.Clock = clockwork.NewRealClock()
	}
	r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), diagnosis.Limit, []diagnosis.Check{Check(l)})
	return r.Findings()
}

func codesOf(list []diagnosis.Finding) (out []string) {
	for _, f := range list {
		out = append(out, f.Code)
	}
	return out
}

// TestCheckTellsCertificates: one that has ended is told as that, not as the
// handshake that fails of it.
func TestCheckTellsCertificates(t *testing.T) {
	a := newAuthority(t)
	a.issue("server", 30*24*time.Hour)
	a.issue("desk", 30*24*time.Hour)
	a.issue("soon", 3*24*time.Hour)
	a.issue("over", -time.Minute)
	c := startServer(t, a.serve(true), nats.RootCAs(a.path("ca.pem")), nats.ClientCert(a.path("desk.pem"), a.path("desk.key")))
	url := c.Addr(0)
	for name, want := range map[string][]string{"desk": nil, "soon": {"bus_cert_expires"}, "over": {"bus_cert_expired"}} {
		t.Run(name, func(t *testing.T) {
			got := told(t, Look{Server: Server{URL: "tls://" + url, CA: a.path("ca.pem"), Cert: a.path(name + ".pem"), Key: a.path(name + ".key")}})
			if !slices.Equal(codesOf(got), want) {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("untrusted", func(t *testing.T) {
		other := newAuthority(t)
		got := told(t, Look{Server: Server{URL: "tls://" + url, CA: other.path("ca.pem"), Cert: a.path("desk.pem"), Key: a.path("desk.key")}})
		if !slices.Equal(codesOf(got), []string{"bus_tls"}) {
			t.Errorf("%+v", got)
		}
	})
}

// TestCheckTellsTheServersCertificate: an ended one is the administrator's.
func TestCheckTellsTheServersCertificate(t *testing.T) {
	for name, tt := range map[string]struct {
		valid time.Duration
		want  string
	}{"over": {-time.Minute, "bus_server_cert_expired"}, "soon": {3 * 24 * time.Hour, "bus_server_cert_soon"}} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			a.issue("server", tt.valid)
			login := nats.RootCAs(a.path("ca.pem"))
			if tt.valid < 0 {
				login = nats.Secure(&tls.Config{InsecureSkipVerify: true})
			}
			c := startServer(t, a.serve(false), login)
			url := c.Addr(0)
			got := told(t, Look{Server: Server{URL: "tls://" + url, CA: a.path("ca.pem")}})
			if !slices.Equal(codesOf(got), []string{tt.want}) || got[0].Who != diagnosis.Administrator {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestCheckComparesClocks with the server's.
func TestCheckComparesClocks(t *testing.T) {
	c := startServer(t, nil)
	url := c.Addr(0)
	got := told(t, Look{Server: Server{URL: "nats://" + url}, Clock: clockwork.NewFakeClockAt(time.Now().Add(-time.Hour))})
	if !slices.Equal(codesOf(got), []string{diagnosis.ClockWrong.Code}) {
		t.Errorf("%+v", got)
	}
}

// TestCheckRefusesPlaintext before anything is sent.
func TestCheckRefusesPlaintext(t *testing.T) {
	got := told(t, Look{Server: Server{URL: "nats://192.0.2.1:4222"}})
	if !slices.Equal(codesOf(got), []string{string(Plaintext)}) {
		t.Errorf("%+v", got)
	}
}

// TestToldIsWhatTheBusSays: a running bus' state becomes findings.
func TestToldIsWhatTheBusSays(t *testing.T) {
	h := Health{Code: PublishDenied, Detail: "x", Problems: []Problem{{StreamMemory, "storage Memory, want file"}}}
	if got := codesOf(Told(h, time.Now())); !slices.Equal(got, []string{"bus_publish_denied", "stream_memory"}) {
		t.Errorf("%v", got)
	}
	if got := Told(Health{Connected: true}, time.Now()); got != nil {
		t.Errorf("%v", got)
	}
	for age, want := range map[time.Duration]int{time.Second: 0, 2 * time.Minute: 1} {
		now := time.Now()
		if got := Told(Health{Connected: true, Code: ChainInterrupted, Since: now.Add(-age)}, now); len(got) != want {
			t.Errorf("an interruption of %v = %v, want %d findings", age, got, want)
		}
	}
	for _, e := range Entries() {
		if e.Why == (diagnosis.Text{}) {
			t.Errorf("%s: why?", e.Code)
		}
	}
}
