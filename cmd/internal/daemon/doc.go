// Package daemon runs idtap: it opens the queue, connects the bus, serves the
// page, reads the cards, and answers whoever asks how the desk is. [Run] starts
// and stops the parts; an [Examiner] looks at a desk, with or without a running
// daemon; a [Client] asks a running one over its socket.
//
// It knows neither command lines nor terminals: cmd/idtap parses, calls and
// prints. The parts hang together one way only. [states] remember what the
// readers said; a [busDisplay] shows the bus on the page; an [observer] carries
// states and taps to page and bus; a [monitor] answers from states, queue and
// bus. None of them knows the daemon that made it.
package daemon
