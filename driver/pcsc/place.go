package pcsc

import (
	"context"
	"os"
	"strings"
	"sync"

	"idtap/driver"
)

// place is a reader of the service that a device has: the part that all
// profiles share, which is to know whether a card lies there.
type place struct {
	d      *Driver
	who    string   // the desk's name
	reader string   // the PC/SC name
	model  string   // from the table, or ""
	look   *session // for states only: nothing that can hang in a driver

	life context.Context // ends with close
	end  context.CancelFunc
	busy sync.Mutex // held by an operation of the owner, and by close
}

func newPlace(d *Driver, who, reader string, look *session) *place {
	p := &place{d: d, who: who, reader: reader, look: look}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// begin starts an operation, which close from another goroutine ends soon. done
// must be called.
func (p *place) begin(ctx context.Context, op string) (_ context.Context, done func(), err error) {
	p.busy.Lock()
	if p.life.Err() != nil {
		p.busy.Unlock()
		return nil, nil, &driver.Error{Op: op, Reader: p.who, Err: os.ErrClosed}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.life, cancel)
	return ctx, func() {
		stop()
		cancel()
		p.busy.Unlock()
	}, nil
}

// close ends an operation under way, then calls last and gives the reader back.
// Only its first call does anything.
func (p *place) close(last func()) {
	p.end()
	p.busy.Lock()
	defer p.busy.Unlock()
	if p.look == nil {
		return
	}
	last()
	p.look.close()
	p.look = nil
	p.d.giveBack(p.reader)
}

// state asks how the reader is. One that is not listed is driver.ErrGone.
func (p *place) state(ctx context.Context) (state, error) {
	list, err := p.look.states(ctx, p.reader)
	if err != nil {
		return state{}, err
	}
	if len(list) != 1 || !list[0].there {
		return state{}, wrap("look", p.who, codeUnknownReader)
	}
	return list[0], nil
}

// idle is the state of a reader that no other program has for itself.
func (p *place) idle(ctx context.Context) (state, error) {
	s, err := p.state(ctx)
	if err == nil && s.alone {
		err = wrap("look", p.who, codeSharing)
	}
	return s, err
}

// open connects to the card, or with direct to the reader, on a context of its
// own.
func (p *place) open(ctx context.Context, direct bool) (*session, error) {
	s, err := p.d.establish(ctx, p.who, p.reader)
	if err != nil {
		return nil, err
	}
	if err := s.connect(ctx, direct); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// virtualReader begins the names of the slots that vsmartcard's virtual reader
// has: no hardware is there.
const virtualReader = "Virtual PCD"

// identity is what is known without asking a module.
func (p *place) identity(profile string) driver.Identity {
	id := driver.Identity{Model: p.model, Detail: p.d.Detail() + ", " + p.reader + ", profile " + profile,
		Simulated: strings.HasPrefix(p.reader, virtualReader)}
	if id.Model == "" {
		id.Model = p.reader
	}
	return id
}
