//go:build !nopcsc && (cgo || windows)

package pcsc

import (
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/ebfe/scard"
)

// builtIn is the backend of this build.
var builtIn backend = library{}

// library is the system's own client library, through ebfe/scard.
type library struct{}

func (library) name() string {
	if runtime.GOOS == "windows" {
		return "ebfe/scard (winscard)"
	}
	return "ebfe/scard (libpcsclite)"
}

func (library) establish() (service, error) {
	ctx, err := scard.EstablishContext()
	if err != nil {
		return nil, code(err)
	}
	return libraryService{ctx}, nil
}

// code is the number of an error of package scard.
func code(err error) error {
	var e scard.Error
	if errors.As(err, &e) {
		return Code(e)
	}
	return err
}

// later is code for calls after the service has admitted this program:
// libpcsclite then says "refused" where the connection was reset by a service
// that died.
func later(err error) error {
	if err = code(err); err == error(codeDenied) {
		return codeCommError
	}
	return err
}

type libraryService struct{ ctx *scard.Context }

func (s libraryService) readers() ([]string, error) {
	names, err := s.ctx.ListReaders()
	if errors.Is(err, scard.ErrNoReadersAvailable) {
		return nil, nil
	}
	return names, later(err)
}

// asking serialises GetStatusChange: scard keeps the names alive that the
// library reads by one pointer per name for the whole program, so that two
// calls about one reader at once let go of each other's.
var asking sync.Mutex

func (s libraryService) states(readers []string) ([]state, error) {
	if len(readers) == 0 { // scard panics
		return nil, nil
	}
	list := make([]scard.ReaderState, len(readers))
	for i, r := range readers {
		list[i] = scard.ReaderState{Reader: r, CurrentState: scard.StateUnaware}
	}
	asking.Lock()
	err := s.ctx.GetStatusChange(list, 0)
	asking.Unlock()
	switch {
	case errors.Is(err, scard.ErrUnknownReader):
		return make([]state, len(readers)), nil
	case err != nil:
		return nil, later(err)
	}
	states := make([]state, len(list))
	for i, l := range list {
		has := func(f scard.StateFlag) bool { return l.EventState&f != 0 }
		states[i] = state{
			reader:  l.Reader,
			there:   !has(scard.StateUnknown) && !has(scard.StateIgnore) && !has(scard.StateUnavailable),
			present: has(scard.StatePresent),
			alone:   has(scard.StateExclusive),
			shared:  has(scard.StateInuse) && !has(scard.StateExclusive),
			events:  uint32(l.EventState >> 16),
			atr:     l.Atr,
		}
	}
	return states, nil
}

func (s libraryService) connect(reader string, direct bool) (card, error) {
	mode, protocol := scard.ShareShared, scard.ProtocolAny
	if direct {
		mode, protocol = scard.ShareDirect, scard.ProtocolUndefined
	}
	c, err := s.ctx.Connect(reader, mode, protocol)
	if err != nil {
		return nil, code(err)
	}
	return libraryCard{c}, nil
}

func (s libraryService) release() error { return code(s.ctx.Release()) }

type libraryCard struct{ c *scard.Card }

// transmit copies the answer: scard's is a slice of 64 KiB.
func (c libraryCard) transmit(apdu []byte) ([]byte, error) {
	if p := c.c.ActiveProtocol(); p != scard.ProtocolT0 && p != scard.ProtocolT1 || len(apdu) == 0 { // scard panics
		return nil, codeProtoMismatch
	}
	answer, err := c.c.Transmit(apdu)
	return slices.Clone(answer), later(err)
}

func (c libraryCard) control(number uint32, data []byte) ([]byte, error) {
	if number <= maxFunction {
		number = scard.CtlCode(uint16(number))
	}
	answer, err := c.c.Control(number, data)
	return slices.Clone(answer), later(err)
}

func (c libraryCard) reconnect() error {
	return later(c.c.Reconnect(scard.ShareShared, scard.ProtocolAny, scard.LeaveCard))
}

func (c libraryCard) disconnect() error { return code(c.c.Disconnect(scard.LeaveCard)) }
