package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"idtap/driver"
)

// over is a context that has ended.
func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// within bounds a test's waits.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func pipe(t *testing.T) (*Transport, net.Conn) {
	ours, theirs := net.Pipe()
	tr := New(ours, "front")
	t.Cleanup(func() {
		tr.Close()
		theirs.Close()
	})
	return tr, theirs
}

func TestReadInParts(t *testing.T) {
	tr, peer := pipe(t)
	go peer.Write([]byte("abcdefg"))
	var got []byte
	for buf := make([]byte, 3); len(got) < 7; {
		n, err := tr.Read(within(t), buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	if string(got) != "abcdefg" {
		t.Errorf("read %q", got)
	}
}

// TestReadUnderEndedContext: what has arrived comes first, then the context's
// error.
func TestReadUnderEndedContext(t *testing.T) {
	tr, peer := pipe(t)
	if n, err := tr.Read(over(), make([]byte, 8)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Fatalf("empty line: %d, %v", n, err)
	}
	peer.Write([]byte("ab"))
	peer.Write([]byte("cd")) // taken by the reading goroutine, so "ab" is there
	buf := make([]byte, 1)
	for _, want := range "ab" {
		n, err := tr.Read(over(), buf)
		if n != 1 || err != nil || rune(buf[0]) != want {
			t.Fatalf("read %q, %d, %v; want %q", buf, n, err, want)
		}
	}
}

func TestReadEndsWithContext(t *testing.T) {
	tr, _ := pipe(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := tr.Read(ctx, make([]byte, 8))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Read: %v", err)
	}
}

// TestEndOfStream: the last bytes, then ErrGone as often as one asks.
func TestEndOfStream(t *testing.T) {
	tr, peer := pipe(t)
	peer.Write([]byte("ab"))
	peer.Close()
	buf := make([]byte, 8)
	if n, err := tr.Read(within(t), buf); n != 2 || err != nil {
		t.Fatalf("last bytes: %d, %v", n, err)
	}
	for range 3 {
		_, err := tr.Read(within(t), buf)
		if !errors.Is(err, driver.ErrGone) || !errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	}
	if err := tr.Write(within(t), []byte("x")); !errors.Is(err, driver.ErrGone) {
		t.Errorf("Write after the end: %v", err)
	}
}

// TestOwnClose: a Read under way returns, and nothing looks like an unplug.
func TestOwnClose(t *testing.T) {
	tr, _ := pipe(t)
	done := make(chan error)
	go func() {
		_, err := tr.Read(context.Background(), make([]byte, 8))
		done <- err
	}()
	if err := tr.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) || errors.Is(err, driver.ErrGone) {
		t.Errorf("Read: %v", err)
	}
	if err := tr.Write(within(t), []byte("x")); !errors.Is(err, os.ErrClosed) || errors.Is(err, driver.ErrGone) {
		t.Errorf("Write: %v", err)
	}
	if err := tr.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestBlockedWrite: a peer that takes nothing holds a Write as long as its
// context only, and the next one is not harmed by it.
func TestBlockedWrite(t *testing.T) {
	tr, peer := pipe(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := tr.Write(ctx, []byte("lost")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Write: %v", err)
	}
	if err := tr.Write(over(), []byte("lost")); !errors.Is(err, context.Canceled) {
		t.Errorf("Write under a context that is over: %v", err)
	}
	got := make(chan []byte)
	go func() {
		buf := make([]byte, 8)
		n, _ := peer.Read(buf)
		got <- buf[:n]
	}()
	if err := tr.Write(within(t), []byte("good")); err != nil {
		t.Errorf("Write: %v", err)
	}
	if b := <-got; string(b) != "good" {
		t.Errorf("the peer got %q", b)
	}
}

func TestCloseFreesBlockedWrite(t *testing.T) {
	tr, _ := pipe(t)
	done := make(chan error)
	go func() { done <- tr.Write(context.Background(), []byte("lost")) }()
	tr.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
}

// endless always has another byte.
type endless struct{ closed chan struct{} }

func (e endless) Read(p []byte) (int, error) {
	select {
	case <-e.closed:
		return 0, os.ErrClosed
	default:
		p[0] = 0x55
		return 1, nil
	}
}
func (endless) Write(p []byte) (int, error)      { return len(p), nil }
func (endless) SetWriteDeadline(time.Time) error { return nil }
func (e endless) Close() error                   { close(e.closed); return nil }

// TestNobodyReads: a babbling line piles up no more than the backlog, and can be
// closed.
func TestNobodyReads(t *testing.T) {
	tr := New(endless{make(chan struct{})}, "front")
	for len(tr.chunks) < backlog {
		if _, err := tr.Read(within(t), make([]byte, 1)); err != nil { // lets the other goroutine run
			t.Fatal(err)
		}
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkFrameThere(b *testing.B) {
	ours, theirs := net.Pipe()
	tr := New(ours, "")
	defer tr.Close()
	frame := bytes.Repeat([]byte{0xA5}, 1295)
	go func() {
		for {
			if _, err := theirs.Write(frame); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 4096)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		for n := 0; n < len(frame); {
			got, err := tr.Read(context.Background(), buf)
			if err != nil {
				b.Fatal(err)
			}
			n += got
		}
	}
}
