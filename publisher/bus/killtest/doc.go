// Package killtest kills a desk's queue and forwarder at every step of the way
// and looks at what is left. It holds tests only.
//
// A child process accepts events with the real queue and delivers them with the
// real bus; it dies by SIGKILL, from outside at a random moment or by its own
// hand at a random fail point (between any two steps of the queue's and the
// forwarder's changes). After the last death one more child delivers the rest.
// Then: everything that was reported as accepted is stored, each id once; the
// desk's sequence has no gaps; the queue is empty.
//
// A process that is killed loses no page of the kernel's cache: what a power cut
// loses is the queue's own tests' business (order of syncs, files snapshotted at
// every write).
package killtest
