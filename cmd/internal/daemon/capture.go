package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"idtap/config"
	"idtap/driver"
	"idtap/driver/trace"
	"idtap/publisher/outbox"
	"idtap/reader"
)

// Bounds of a recording.
const (
	spillMost   = 4 << 20         // bytes that wait for a slow file
	captureTail = 8 * time.Second // for the end of a recording to arrive
)

// traceHeader says what is recorded; the technician completes model and firmware.
func (g *Examiner) traceHeader(spec driver.Spec, model string, baud int) trace.Header {
	return trace.Header{Model: model, Obtained: "idtap diag --capture, idtap " + g.version + ", " + time.Now().Format(time.DateOnly), Driver: spec.Driver, Baud: baud}
}

// record writes what passes on a reader's wire to w until stop is closed. The
// reader's loop is never held up by w: what w is too slow for ends the recording.
func (g *Examiner) record(spec driver.Spec, header trace.Header, personal bool, w io.Writer, stop <-chan struct{}) error {
	out := newSpill()
	recorded := trace.NewWriter(out, g.clock, header, !personal)
	end, ok := g.watched.Of(spec.Name).Record(recorded)
	if !ok {
		return texts.Errorf("recorded")
	}
	go func() {
		<-stop
		end()
		out.close(recorded.Close())
	}()
	return out.drain(w)
}

// spill holds lines between the loop that writes and a slower reader of them.
type spill struct {
	mu     sync.Mutex
	more   *sync.Cond
	held   bytes.Buffer
	closed bool
	err    error
}

func newSpill() *spill {
	s := &spill{}
	s.more = sync.NewCond(&s.mu)
	return s
}

var errSpill = texts.Errorf("spilled")

func (s *spill) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held.Len()+len(p) > spillMost {
		return 0, errSpill
	}
	defer s.more.Signal()
	return s.held.Write(p)
}

func (s *spill) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.err = true, err
	s.more.Signal()
}

// drain copies until the spill is closed and empty.
func (s *spill) drain(w io.Writer) error {
	for {
		s.mu.Lock()
		for s.held.Len() == 0 && !s.closed {
			s.more.Wait()
		}
		piece := bytes.Clone(s.held.Bytes())
		s.held.Reset()
		done, err := s.closed, s.err
		s.mu.Unlock()
		if _, err := w.Write(piece); err != nil {
			return err
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		if done && len(piece) == 0 {
			return err
		}
	}
}

// personalCapture is what an audit line calls a recording with personal data; its
// id is the reader's name.
const personalCapture = "capture_personal"

// AuditCapture leaves the audit line of a recording with personal data that is
// made while no daemon runs. It makes no queue where there is none.
func AuditCapture(ctx context.Context, cfg config.Config, who, reader string, log zerolog.Logger) error {
	o := QueueOptions(cfg, log)
	v, err := outbox.OpenView(ctx, o)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		v.Close()
	}
	q, err := outbox.Open(ctx, o)
	if err != nil {
		return err
	}
	return errors.Join(q.Audit(ctx, who, personalCapture, reader), q.Close())
}

// capture records one of the daemon's readers until the caller ends its body.
func (c *control) capture(w http.ResponseWriter, r *http.Request) {
	g := c.examiner()
	g.only = r.URL.Query().Get("reader")
	spec, err := g.oneReader(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	personal := r.URL.Query().Get("personal") != ""
	if personal { // what is not written down is not done
		if err := c.audit(r.Context(), r.URL.Query().Get("who"), personalCapture, spec.Name); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		io.Copy(io.Discard, r.Body) // ends with the caller, too
	}()
	state, _ := g.live.states.reader(spec.Name)
	c.log.Warn().Str("reader", spec.Name).Bool("personal_data", personal).Msg("a technician records this reader")
	if err := g.record(spec, g.traceHeader(spec, state.Identity.Model, state.Identity.Baud), personal, w, stop); err != nil {
		c.log.Warn().Err(err).Str("reader", spec.Name).Msg("the recording ended early")
	}
}

// Capture writes what passes on the wire of a reader that no daemon has to w,
// until the context ends.
func (g *Examiner) Capture(ctx context.Context, personal bool, w io.Writer) error {
	spec, err := g.oneReader(ctx)
	if err != nil {
		return err
	}
	reading, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var loop sync.WaitGroup
	defer loop.Wait()
	defer cancel()
	stop := make(chan struct{})
	defer context.AfterFunc(ctx, func() { close(stop) })()
	recorded := make(chan error, 1)
	go func() { recorded <- g.record(spec, g.traceHeader(spec, "", spec.Baud), personal, w, stop) }()
	loop.Go(func() { g.read(reading, spec, &firstTap{taps: make(chan reader.Tap, 1)}) })
	return <-recorded
}

// Describe returns what the driver says of a reader's device; nothing where it
// knows no more than the port.
func (g *Examiner) Describe(ctx context.Context) []string {
	spec, err := g.oneReader(ctx)
	if err != nil {
		return nil
	}
	lines := []string{"driver " + spec.Driver}
	if d, ok := g.drivers[spec.Driver].(driver.Describer); ok {
		lines = append(lines, d.Describe(spec)...)
	}
	return lines
}
