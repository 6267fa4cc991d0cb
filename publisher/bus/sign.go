package bus

import (
	"cmp"
	"os"
	"sync/atomic"

	"idtap/publisher/event"
)

// signing is the desk's key that events are signed with. Like every credential it is
// read again at each connect: a key that was changed counts from then on.
type signing struct {
	file   string // nkey seed or .creds; empty: events go unsigned
	signer atomic.Pointer[event.Signer]
}

// signingFile returns where a desk's signing key is: a file of its own, else that of
// its login, else none.
func signingFile(own string, s Server) string { return cmp.Or(own, s.Creds, s.NKey) }

// load reads the key. A key that was read before stays if the file cannot be read
// now: an event is never sent unsigned for want of a file.
func (s *signing) load() error {
	if s.file == "" {
		return nil
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return &FileError{"signing key", s.file, err}
	}
	defer clear(text)
	signer, err := event.ParseSigner(text)
	if err != nil {
		return &FileError{"signing key", s.file, err}
	}
	s.signer.Store(&signer)
	return nil
}

// ready loads the key and reports an error only where there is none to sign with.
func (s *signing) ready() error {
	if err := s.load(); err != nil && s.signer.Load() == nil {
		return err
	}
	return nil
}

// sign signs an event whose body is as it will be published.
func (s *signing) sign(env event.Envelope, body []byte) event.Envelope {
	if signer := s.signer.Load(); signer != nil {
		return signer.Sign(env, body)
	}
	return env
}
