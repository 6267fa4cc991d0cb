package tcp

import (
	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/sam"
)

// Unreachable means that a serial server does not take the connection.
var Unreachable = diagnosis.NewEntry(texts, "serial_server_unreachable", diagnosis.Critical)

// Codes implements driver.Diagnoser.
func (Driver) Codes() []diagnosis.Entry { return []diagnosis.Entry{Unreachable} }

// Checks implements driver.Diagnoser: without a connection nothing can be seen.
func (Driver) Checks([]driver.Spec, bool) []diagnosis.Check { return nil }

// Diagnose implements driver.Diagnoser.
func (Driver) Diagnose(s *diagnosis.Sheet, spec driver.Spec, err error) {
	if f, ok := sam.Explain(spec.Name, err); ok {
		s.In(diagnosis.SAM).Add(f)
		return
	}
	s.In(diagnosis.Serial).Find(Unreachable, spec.Port)
	s.In(diagnosis.SAM).NotChecked(texts.Say("no_connection", spec.Name))
}
