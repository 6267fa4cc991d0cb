// Package mock simulates a reader, down to the bytes on its line.
//
// A [Module] is a security module with a card slot. It hears request frames and
// answers them as firmware in the field does: every command of the SAM protocol,
// every status in its state (docs/sources.md names the public descriptions; keys
// such as [QT] are named beside the rule they support). Its cards come from package
// simcard. Three things can be turned:
//
//	Timing   how long the module thinks and how fast its line is
//	Quirks   what its firmware does differently
//	Faults   what the line does to its answers
//
// A [Transport] joins a Module to a client in the same process; [Module.Serve],
// [PTYServer] and [TCPServer] join it to any other program.
package mock
