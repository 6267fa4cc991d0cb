package pcsc

// backend is a way to the PC/SC service. Its errors hold a Code, or are
// driver.ErrNotBuilt.
type backend interface {
	name() string
	establish() (service, error)
}

// service is one PC/SC context: a connection to the service through which one
// call goes at a time.
type service interface {
	// readers lists names; none is no error.
	readers() ([]string, error)
	// states asks how readers are now.
	states(readers []string) ([]state, error)
	// connect opens the card in a reader, shared with other programs. direct
	// opens the reader instead, with or without a card, for control alone.
	connect(reader string, direct bool) (card, error)
	release() error
}

// card is an open card, or an open reader. Answers are the caller's to keep.
type card interface {
	transmit(apdu []byte) ([]byte, error)
	// control sends to the reader itself. A code up to maxFunction is the
	// number of a function, which each system wraps in its own way; a larger
	// one is passed on as it is.
	control(code uint32, data []byte) ([]byte, error)
	// reconnect takes the card up again after another program has reset it.
	reconnect() error
	// disconnect leaves the card as it is.
	disconnect() error
}

// state is how a reader is.
type state struct {
	reader  string
	there   bool   // the service knows the reader
	present bool   // a card lies there
	alone   bool   // another program has it for itself
	shared  bool   // other programs use it as well
	events  uint32 // cards put in and taken out so far, as far as the service counts
	atr     []byte
}

const maxFunction = 0xFFFF

// maxAnswer is the largest answer PC/SC knows: an extended APDU with its
// status words, and what pcsc-lite adds.
const maxAnswer = 65548
