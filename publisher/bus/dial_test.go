package bus

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"idtap/publisher/bus/faulttest"
)

// hostile listens and serves each connection.
func hostile(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// TestServersFirstLineIsBounded: a server that never ends its first line costs
// 64 KiB, with TLS asked for as well, since the line comes before it.
func TestServersFirstLineIsBounded(t *testing.T) {
	for _, scheme := range []string{"nats://", "tls://"} {
		t.Run(scheme, func(t *testing.T) {
			var sent atomic.Int64
			ended := make(chan int64, 100)
			addr := hostile(t, func(c net.Conn) {
				n, _ := io.WriteString(c, `INFO {"server_id":"`)
				for total := int64(n); ; {
					n, err := io.WriteString(c, strings.Repeat("a", 32<<10))
					if total += int64(n); err != nil || total > 64<<20 {
						ended <- total
						return
					}
					sent.Store(total)
				}
			})
			d := startDesk(t, faulttest.NewQueue("e1", division, "d1"), Options{Server: Server{URL: scheme + addr}})
			d.until("refused for its first line", func(h Health) bool { return strings.Contains(h.Detail, "64 KiB") })
			if got := <-ended; got > 16<<20 { // what the sockets' buffers took
				t.Errorf("the server could send %d bytes, want the connection ended after 64 KiB", got)
			}
		})
	}
}

// TestFailedHandshakesLeaveNoSocket with servers that talk and never greet.
func TestFailedHandshakesLeaveNoSocket(t *testing.T) {
	var open, tries atomic.Int64
	serve := func(c net.Conn) {
		open.Add(1)
		defer open.Add(-1)
		tries.Add(1)
		io.WriteString(c, "HELLO\r\n")
		io.Copy(io.Discard, c) // until the client closes
	}
	urls := "nats://" + hostile(t, serve) + ",nats://" + hostile(t, serve) + ",nats://" + hostile(t, serve)
	d := startDesk(t, faulttest.NewQueue("e1", division, "d1"), Options{Server: Server{URL: urls}})
	for limit := time.Now().Add(20 * time.Second); tries.Load() < 12; {
		if time.Now().After(limit) {
			t.Fatalf("%d tries in 20 s, want 12", tries.Load())
		}
		d.pause()
	}
	for limit := time.Now().Add(5 * time.Second); open.Load() > 2; d.pause() { // the last, and one that the server has not seen end
		if time.Now().After(limit) {
			t.Fatalf("%d of %d sockets are open, want the last alone", open.Load(), tries.Load())
		}
	}
}

func TestReconnectDelay(t *testing.T) {
	delay := reconnectDelay(reconnectFirst, reconnectLast)
	for round, want := range map[int]time.Duration{0: 2 * time.Second, 1: 2 * time.Second, 2: 4 * time.Second, 3: 8 * time.Second, 5: 30 * time.Second, 1000: 30 * time.Second} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := delay(round)
			if d < want/2 || d >= want*3/2 {
				t.Fatalf("delay(%d) = %v, want within half of %v", round, d, want)
			}
			seen[d] = true
		}
		if len(seen) < 10 {
			t.Errorf("delay(%d) took %d values of 100, want jitter", round, len(seen))
		}
	}
}
