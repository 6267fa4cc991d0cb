package pcsc

import (
	"context"
	"errors"
	"fmt"

	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/sam"
)

// What can be wrong with the PC/SC service and its readers.
var (
	NoService = diagnosis.Entry{Code: "pcsc_no_service", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("PC/SC 服务没有运行", "The PC/SC service is not running"),
		Why: diagnosis.Say("未安装 pcscd、未启动，或 Windows 的智能卡服务被禁用（没有读卡器时它会自行停止）",
			"pcscd is not installed or not started, or Windows' smart card service is disabled (it stops by itself without a reader)"),
		Do: diagnosis.Say("apt install pcscd；systemctl enable --now pcscd.socket；Windows：启用 SCardSvr",
			"apt install pcscd; systemctl enable --now pcscd.socket; on Windows enable SCardSvr")}
	ServiceRefuses = diagnosis.Entry{Code: "pcsc_denied", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("PC/SC 服务拒绝本用户", "The PC/SC service refuses this user"),
		Why: diagnosis.Say("polkit 默认只允许在本机登录的用户，系统服务被拒绝（8010006A）",
			"polkit lets only users who are logged in at this machine use it; a system service is refused (8010006A)"),
		Do: diagnosis.Say("为运行用户放行 org.debian.pcsc-lite.access_pcsc 和 access_card（docs/pcsc.md 有规则文件）",
			"Grant the user org.debian.pcsc-lite.access_pcsc and access_card (docs/pcsc.md has the rules file)")}
	ServiceHangs = diagnosis.Entry{Code: "pcsc_silent", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("PC/SC 服务没有回应", "The PC/SC service does not answer"),
		Why:  diagnosis.Say("服务卡在某个读卡器的驱动里", "It hangs in the driver of a reader"),
		Do:   diagnosis.Say("拔下 PC/SC 读卡器，重启服务（systemctl restart pcscd），再插上", "Unplug the PC/SC readers, restart the service (systemctl restart pcscd), plug them in")}
	NotInBuild = diagnosis.Entry{Code: "pcsc_not_built", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("本程序不含 PC/SC", "This program was built without PC/SC"),
		Why:  diagnosis.Say("编译时没有 libpcsclite", "libpcsclite was not there when it was built"),
		Do:   diagnosis.Say("换用含 PC/SC 的安装包，或从 readers 中去掉该读卡器", "Use a package with PC/SC, or take the reader out of readers")}
	NotThere = diagnosis.Entry{Code: "pcsc_reader_missing", Level: diagnosis.Critical, Who: diagnosis.Clerk,
		Because: []string{NoService.Code, ServiceRefuses.Code, ServiceHangs.Code, NotInBuild.Code, "usb_driver_missing", "usb_held"},
		What:    diagnosis.Say("PC/SC 服务里没有所配置的读卡器", "The PC/SC service has no reader as configured"),
		Why:     diagnosis.Say("读卡器未插好，或名称与 port 的样式不符", "It is unplugged, or its name does not fit the pattern in port"),
		Do:      diagnosis.Say("插好读卡器；名称不同请技术人员修改 port", "Plug it in; if the name differs, have a technician change port")}
	TakenAlone = diagnosis.Entry{Code: "pcsc_held", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("读卡器被其他程序独占", "Another program has the reader for itself"),
		Why:  diagnosis.Say("厂商服务或另一个读卡程序以独占方式打开了卡", "A vendor's service or another card program opened it exclusively"),
		Do:   diagnosis.Say("关闭该程序", "Close that program")}
)

// Codes implements driver.Diagnoser.
func (*Driver) Codes() []diagnosis.Entry {
	return []diagnosis.Entry{NoService, ServiceRefuses, ServiceHangs, NotInBuild, NotThere, TakenAlone}
}

// Checks implements driver.Diagnoser.
func (d *Driver) Checks(configured []driver.Spec, auto bool) []diagnosis.Check {
	return []diagnosis.Check{ServiceCheck(d, configured, auto)}
}

// Surveyor is what the check asks; a Driver is one.
type Surveyor interface {
	Survey(ctx context.Context) Survey
}

// ServiceCheck looks at the service and lists its readers; it connects to none.
// auto means that readers are taken as they are found.
func ServiceCheck(d Surveyor, configured []driver.Spec, auto bool) diagnosis.Check {
	wanted := make([]string, len(configured)) // patterns of names
	for i, s := range configured {
		wanted[i] = s.Port
	}
	return diagnosis.Check{Name: "pcsc-service", Group: diagnosis.PCSC, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		v := d.Survey(ctx)
		if len(wanted) == 0 && !auto && v.Service != Running {
			s.NotChecked(diagnosis.Say("没有读卡器需要 PC/SC", "no reader needs PC/SC"))
			return
		}
		switch v.Service {
		case Absent:
			s.Find(NoService, "")
		case Refused:
			s.Find(ServiceRefuses, "")
		case Silent:
			s.Find(ServiceHangs, "")
		case NotBuilt:
			if len(wanted) > 0 {
				s.Find(NotInBuild, "")
			} else {
				s.NotChecked(diagnosis.Say("本程序不含 PC/SC", "this program was built without PC/SC"))
			}
		default:
			s.Fact(diagnosis.Say("服务", "service"), "%s", v.Backend)
			listed(s, v, wanted, auto)
		}
	}}
}

func listed(s *diagnosis.Sheet, v Survey, wanted []string, auto bool) {
	found := map[string]bool{}
	for _, r := range v.Readers {
		configured := false
		for _, pattern := range wanted {
			if match(pattern, r.Name) {
				found[pattern], configured = true, true
			}
		}
		text := r.Name
		if r.Model != "" {
			text += fmt.Sprintf(" (%s, %s)", r.Model, r.Profile)
		}
		s.Fact(diagnosis.Say("读卡器", "reader"), "%s", text)
		switch {
		case configured || auto && r.Model != "" && r.Profile != profileUID:
			if r.Use == Alone {
				s.Find(TakenAlone, r.Name)
			}
		case auto && r.Profile == profileUID:
			s.Find(sam.NoModule, r.Name)
		case r.Model == "":
			s.Fact(diagnosis.Say("如为二代证读卡器，加入 readers", "if it reads ID cards, add to readers"), "- {name: side, driver: pcsc, port: %q, profile: auto}", r.Name)
		}
	}
	for _, pattern := range wanted {
		if !found[pattern] {
			s.Find(NotThere, pattern)
		}
	}
	if len(v.Readers) == 0 && len(wanted) == 0 {
		s.Fact(diagnosis.Say("读卡器", "readers"), "0")
	}
}

// Diagnose implements driver.Diagnoser. What the service is to blame for is noted
// by [ServiceCheck] as well, and then shown once.
func (*Driver) Diagnose(s *diagnosis.Sheet, spec driver.Spec, err error) {
	service := s.In(diagnosis.PCSC)
	var code Code
	errors.As(err, &code)
	switch {
	case errors.Is(err, driver.ErrNotBuilt):
		service.Find(NotInBuild, "")
	case code == codeDenied:
		service.Find(ServiceRefuses, "")
	case code == codeNoService || code == codeServiceStopped:
		service.Find(NoService, "")
	case errors.Is(err, driver.ErrBusy):
		service.Find(TakenAlone, spec.Port)
	case errors.Is(err, driver.ErrGone):
		service.Find(NotThere, spec.Port)
	default:
		if f, ok := sam.Explain(spec.Name, err); ok {
			s.In(diagnosis.SAM).Add(f)
			return
		}
		service.Find(NotThere, spec.Port)
	}
	s.In(diagnosis.SAM).NotChecked(diagnosis.Say(spec.Name+"：没有读卡器", spec.Name+": no reader"))
}
