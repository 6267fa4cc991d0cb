package desk

import (
	"context"
	"fmt"
	"net"
	"time"

	"idtap/driver/diagnosis"
)

// PortTaken means that the page cannot be served.
var PortTaken = diagnosis.Entry{Code: "page_port_taken", Level: diagnosis.Critical, Who: diagnosis.Technician,
	What: diagnosis.Say("服务台页面的端口被占用", "The desk page's port is taken"),
	Why:  diagnosis.Say("另一个程序在该地址上监听，守护进程因此无法启动", "Another program listens on that address, so the daemon does not start"),
	Do:   diagnosis.Say("停止所示程序，或另设 desk_page.listen", "Stop the program shown, or choose another desk_page.listen")}

// Entries lists what the checks of this package find.
func Entries() []diagnosis.Entry { return []diagnosis.Entry{PortTaken} }

// PageCheck looks whether the page is served (by this process), or could be.
func PageCheck(listen, served string) diagnosis.Check {
	return diagnosis.Check{Name: "page-port", Group: diagnosis.Page, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		switch {
		case served != "":
			s.Fact(diagnosis.Say("页面", "page"), "%s", served)
		case listen == "":
			s.NotChecked(diagnosis.Say("页面已关闭（desk_page.listen 为空）", "the page is off (desk_page.listen is empty)"))
		case !answers(ctx, listen):
			s.Fact(diagnosis.Say("页面端口空闲", "page port free"), "%s", listen)
		default:
			p, known := diagnosis.Listener(diagnosis.PortOf(listen))
			switch {
			case !known:
				f := diagnosis.NewFinding(PortTaken, listen, "seen by root only")
				f.Because = diagnosis.HiddenDaemon
				s.Add(f)
			case p.Idtap():
				s.Find(diagnosis.SecondDaemon, fmt.Sprintf("pid %d", p.PID), listen)
			default:
				s.Find(PortTaken, listen, p.String())
			}
		}
	}}
}

// answers reports whether somebody listens on an address of this machine.
func answers(ctx context.Context, address string) bool {
	if host, port, err := net.SplitHostPort(address); err == nil && (host == "" || host == "0.0.0.0" || host == "::") {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// vendorPorts are where the local services of Chinese reader vendors listen.
var vendorPorts = []struct {
	port   uint16
	vendor string
}{{8989, "新中新 XZX_WEBAPI / 精伦"}, {19196, "华视 CVR"}, {38088, "东信 DONSEE"}}

// VendorCheck tells which vendors' services run: one of them may hold a reader.
func VendorCheck() diagnosis.Check {
	return diagnosis.Check{Name: "vendor-services", Group: diagnosis.Page, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		for _, v := range vendorPorts {
			if !answers(ctx, fmt.Sprintf("127.0.0.1:%d", v.port)) {
				continue
			}
			who := ""
			if p, ok := diagnosis.Listener(v.port); ok {
				who = ", " + p.String()
			}
			s.Fact(diagnosis.Say("厂商读卡服务", "vendor's card service"), "%s (%d)%s", v.vendor, v.port, who)
		}
	}}
}
