package tcp

import (
	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/sam"
)

// Unreachable means that a serial server does not take the connection.
var Unreachable = diagnosis.Entry{Code: "serial_server_unreachable", Level: diagnosis.Critical, Who: diagnosis.Technician,
	What: diagnosis.Say("连不上串口服务器", "The serial server cannot be reached"),
	Why: diagnosis.Say("地址或端口有误、设备断电、网络不通，或它只接受一个连接且已被占用",
		"A wrong address or port, no power, no network, or it takes one connection only and somebody has that"),
	Do: diagnosis.Say("检查设备电源、网线和配置中的 port", "Check its power, the network and the reader's port in the configuration")}

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
	s.In(diagnosis.SAM).NotChecked(diagnosis.Say(spec.Name+"：没有连接", spec.Name+": no connection"))
}
