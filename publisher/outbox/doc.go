// Package outbox is the durable queue on the desk's disk: what is in it is
// accepted, and it is the only copy idtap relies on until a server elsewhere has
// stored the event.
//
// It is one SQLite file (WAL, synchronous=FULL) with one writer, which commits
// what comes together in one transaction. Package journal says what is in the
// file; this one says what is promised about it: accepted means synced
// ([Queue.Accept]), a card tapped twice is one event (repeat.go), waiting records
// are delivered in order ([Queue.Next], [Queue.Delivered]), bodies are erased
// after the retention time (retain.go), and a tap that has no room is refused
// aloud ([ErrFull]).
package outbox
