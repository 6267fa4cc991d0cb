// Package mock is a simulated reader, down to the bytes on its line.
//
// A [Module] is a security module with a card slot. It hears request frames and
// answers them as firmware in the field does: every command of the SAM protocol,
// every status in its state (docs/sources.md names the public descriptions; keys
// such as [QT] stand beside the rule they support). Cards are [Card] values from a
// file ([ReadCards]) or from a seed ([Generate]). Three things can be turned:
//
//	Timing   how long the module thinks and how fast its line is
//	Quirks   what its firmware does differently
//	Faults   what the line does to its answers
//
// A [Transport] joins a Module to a client in the same process; [Module.Serve],
// [PTYServer] and [TCPServer] join it to any other program. [TraceWriter] and
// [Playback] turn what passed on a real line into a test. docs/simulator.md documents the
// file formats.
//
// The layouts of the 256-byte text block are encoded here on their own, without
// package reader/card: imports run from driver to reader, and a decoder tested
// against its own encoder would agree with itself about anything.
package mock
