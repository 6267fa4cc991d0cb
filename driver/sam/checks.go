package sam

import (
	"context"
	"errors"
	"fmt"
	"time"

	"idtap/driver"
	"idtap/driver/diagnosis"
)

// What can be wrong with a module and its line.
var (
	Silent = diagnosis.Entry{Code: "sam_silent", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("设备没有回应", "The device does not answer"),
		Why: diagnosis.Say("端口能打开，但在任何波特率下都没有收到字节：读卡器未通电、线缆接错，或端口上不是读卡器",
			"The port opens, but no byte came at any rate: no power, a wrong cable, or another device than a reader"),
		Do: diagnosis.Say("检查读卡器供电和接线；确认端口号后再运行 idtap diag --probe 端口", "Check power and cable; confirm the port and run idtap diag --probe PORT")}
	Foreign = diagnosis.Entry{Code: "sam_foreign", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("设备说的不是身份证模块的协议", "The device speaks something else than a security module"),
		Why: diagnosis.Say("收到了字节，但不是安全模块的帧：端口上是别的设备（扫码枪、GPS、打印机），或读卡器处于别的模式",
			"Bytes came that are no module's frames: another device is on the port (scanner, GPS, printer), or the reader is in another mode"),
		Do: diagnosis.Say("在配置中改为读卡器所在的端口", "Name the reader's own port in the configuration")}
	WrongBaud = diagnosis.Entry{Code: "sam_wrong_baud", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("配置的波特率不对", "The configured baud rate is wrong"),
		Why:  diagnosis.Say("模块在另一波特率下正常回应", "The module answers well at another rate"),
		Do:   diagnosis.Say("把该读卡器的 baud 改为所示速率，或写 auto", "Set the reader's baud to the rate shown, or to auto")}
	SelfTest = diagnosis.Entry{Code: "sam_self_test", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("安全模块自检失败（60）", "The security module failed its self-test (60)"),
		Why: diagnosis.Say("模块自己报告故障，不接受命令；断电重启偶尔能恢复，否则已损坏",
			"The module reports a fault of its own and takes no commands; a power cycle may help, else it is broken"),
		Do: diagnosis.Say("拔下读卡器，等两秒再插上；仍是 60，请更换读卡器或返厂", "Unplug the reader, wait two seconds, plug it in; if it stays 60, have it replaced")}
	Unauthorised = diagnosis.Entry{Code: "sam_unauthorised", Level: diagnosis.Critical, Who: diagnosis.Administrator,
		What: diagnosis.Say("安全模块未经授权（66）", "The security module is not authorised (66)"),
		Why: diagnosis.Say("模块未激活或授权被停用，只有发放单位能处理",
			"The module was never activated or its authorisation was withdrawn; only its issuer can change that"),
		Do: diagnosis.Say("报告模块编号，请供应商或发放单位激活或更换", "Have the vendor or issuer activate or replace it; give them the module number")}
	NoModule = diagnosis.Entry{Code: "reader_no_sam", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("读卡器没有安全模块", "The reader has no security module"),
		Why: diagnosis.Say("普通非接触读卡器打不开身份证芯片，只有带安全模块的二代证读卡器可以",
			"An ordinary contactless reader cannot open the chip; only an ID card reader with a security module can"),
		Do: diagnosis.Say("换用二代证读卡器", "Use an ID card reader with a security module")}
	Hangs = diagnosis.Entry{Code: "reader_stuck", Level: diagnosis.Critical, Who: diagnosis.Clerk,
		What: diagnosis.Say("读卡器不返回", "The reader hangs"),
		Why:  diagnosis.Say("一条命令停在读卡器的驱动里没有返回", "A command never came back from the reader's driver"),
		Do:   diagnosis.Say("拔下读卡器，等两秒再插上", "Unplug the reader, wait two seconds, plug it in again")}
	Noisy = diagnosis.Entry{Code: "line_noisy", Level: diagnosis.Warning, Who: diagnosis.Technician,
		What: diagnosis.Say("线路有干扰", "The line is noisy"),
		Why: diagnosis.Say("有回应在途中损坏：线缆过长、劣质或接触不良、干扰源、集线器供电不足；读卡会变慢，每张都读两次",
			"Answers come damaged: a long, bad or loose cable, interference, a weak hub; reading slows down and every card is read twice"),
		Do: diagnosis.Say("换短的屏蔽线，直接插在电脑上，远离电源和电机", "Use a short shielded cable straight into the computer, away from power supplies and motors")}
	Slow = diagnosis.Entry{Code: "line_slow", Level: diagnosis.Warning, Who: diagnosis.Technician,
		What: diagnosis.Say("线路慢", "The line is slow"),
		Why: diagnosis.Say("波特率低，或回应在线路时间之外还拖很久（USB 转接的延迟定时器、串口服务器、网络）",
			"A low rate, or answers that take long beyond their time on the wire (a bridge's latency timer, a serial server, a network)"),
		Do: diagnosis.Say("用厂商工具把读卡器设为 115200，配置写 baud: auto；USB 转接的 latency_timer 设为 1",
			"Set the reader to 115200 with its vendor's tool and baud: auto here; set the bridge's latency_timer to 1")}
)

// Entries lists what the checks of this package find.
func Entries() []diagnosis.Entry {
	return []diagnosis.Entry{Silent, Foreign, WrongBaud, SelfTest, Unauthorised, NoModule, Hangs, Noisy, Slow}
}

// Explain is the finding that stands behind a failure of a module; ok is false
// for failures of what lies below it (the port, the service).
func Explain(reader string, err error) (f diagnosis.Finding, ok bool) {
	var e *driver.Error
	status := byte(0)
	if errors.As(err, &e) && len(e.Status) == 3 {
		status = e.Status[2]
	}
	switch {
	case errors.Is(err, driver.ErrFaulty) && status == NotAuthorised:
		return diagnosis.NewFinding(Unauthorised, reader), true
	case errors.Is(err, driver.ErrFaulty):
		return diagnosis.NewFinding(SelfTest, reader), true
	case errors.Is(err, driver.ErrNoSAM):
		return diagnosis.NewFinding(NoModule, reader), true
	case errors.Is(err, driver.ErrStuck):
		return diagnosis.NewFinding(Hangs, reader), true
	case errors.Is(err, driver.ErrProtocol):
		return diagnosis.NewFinding(Foreign, reader), true
	case errors.Is(err, driver.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return diagnosis.NewFinding(Silent, reader), true
	}
	return diagnosis.Finding{}, false
}

// What is judged on a line.
const (
	// slowAnswer is what an answer may take beyond its time on the wire: the
	// self-test costs a module a few milliseconds, a bridge's timer adds 16.
	slowAnswer = 100 * time.Millisecond
	// slowRead is the wire time of a whole read from which the clerk waits.
	slowRead = 700 * time.Millisecond
	looks    = 10
)

// WholeRead is the time on the wire of finding, selecting and reading a card
// without appended addresses.
func WholeRead(baud int) time.Duration {
	const find, selected, text, address = 10 + 15, 10 + 19, 10 + 1295, 10 + 11
	return wireTime(find+selected+text+address, baud)
}

// Examine tries an open reader: who it is, how well and how fast it answers. It
// finds at most one thing wrong. The Stopwatch is the one that observes the
// device's wire; nil where there is none.
func Examine(ctx context.Context, s *diagnosis.Sheet, reader string, dev driver.Device, w *Stopwatch) {
	id, err := dev.Identify(ctx)
	for try := 1; try < identifyTries && hurt(err); try++ {
		id, err = dev.Identify(ctx)
	}
	if err != nil {
		Identified(s, reader, id, nil)
		if f, ok := Explain(reader, err); ok {
			s.Add(f)
		}
		return
	}
	answers := 0
	for range looks {
		if ctx.Err() != nil {
			break
		}
		if t, ok := dev.(selfTester); ok {
			t.SelfTest(ctx)
			answers++
		}
		dev.Find(ctx) // what comes of it is in the line errors
		answers += 2
	}
	Identified(s, reader, id, w)
	if bad := driver.LineErrors(dev); bad > 0 {
		s.Find(Noisy, reader, fmt.Sprintf("%d errors in %d answers", bad, answers))
		return
	}
	Pace(s, reader, id.Baud, w)
}

// selfTester is a Device that passes a self-test on to its module; a Client is one.
type selfTester interface {
	SelfTest(context.Context) (Status, error)
}

// identifyTries is how often a module is asked who it is while its answers come
// damaged.
const identifyTries = 4

// hurt reports whether the module did say who it is, and then its self-test came
// damaged: noise, not another device.
func hurt(err error) bool {
	var e *driver.Error
	return errors.Is(err, driver.ErrProtocol) && errors.As(err, &e) && e.Op == cmdSelfTest.op
}

// Identified notes what a reader says of itself and how quickly it answers.
func Identified(s *diagnosis.Sheet, reader string, id driver.Identity, w *Stopwatch) {
	line := id.Detail
	if id.Baud != 0 {
		line += fmt.Sprintf(", %d baud", id.Baud)
	}
	if id.SAM != "" {
		line += ", SAM " + id.SAM
	}
	if id.Status != 0 {
		line += fmt.Sprintf(", status %02X", id.Status)
	}
	s.Fact(diagnosis.Say("读卡器 "+reader, "reader "+reader), "%s", line)
	if w == nil {
		return
	}
	for _, c := range []struct {
		code   Code
		zh, en string
	}{{CmdSelfTest, "自检", "self-test"}, {CmdFind, "寻卡", "find"}} {
		if e, ok := w.Quickest(c.code); ok {
			s.Fact(diagnosis.Say(reader+" "+c.zh+"用时", reader+" "+c.en), "%d ms, wire %d ms", e.Took.Milliseconds(), e.Wire(id.Baud).Milliseconds())
		}
	}
}

// Pace judges how fast a line is. Where the rate is unknown, only answers count.
func Pace(s *diagnosis.Sheet, reader string, baud int, w *Stopwatch) {
	if w == nil {
		return
	}
	for _, c := range []Code{CmdSelfTest, CmdSAMID} {
		e, ok := w.Quickest(c)
		if !ok {
			continue
		}
		if beyond := e.Took - e.Wire(baud); beyond > slowAnswer {
			s.Find(Slow, reader, fmt.Sprintf("an answer of %d bytes takes %d ms, %d ms of it on the wire",
				e.Received, e.Took.Milliseconds(), e.Wire(baud).Milliseconds()))
			return
		}
		break
	}
	if baud > 0 && WholeRead(baud) > slowRead {
		s.Find(Slow, reader, fmt.Sprintf("%d baud: a card takes %d ms on the wire alone", baud, WholeRead(baud).Milliseconds()))
	}
}

// Heard is what came at one rate.
type Heard struct {
	Baud   int
	Answer string // "sam", "other" for bytes that are no frame, "" for nothing
}

// Probe asks a line for a module at every rate, twice over unless one answers:
// at a wrong rate a module may have taken noise for the beginning of a request.
// It sends self-tests only. rate is 0 where no module answered.
func Probe(ctx context.Context, l Line, o Options) (all []Heard, rate int, err error) {
	for round := range probeRounds {
		for i, baud := range Rates {
			if err := l.SetBaud(baud); err != nil {
				return all, 0, err
			}
			if round == 0 {
				all = append(all, Heard{Baud: baud})
			}
			o.Baud = baud
			_, err := NewClient(l, o).exchange(ctx, cmdProbe)
			switch {
			case err == nil:
				all[i].Answer = "sam"
				if rate == 0 {
					rate = baud
				}
			case errors.Is(err, driver.ErrProtocol):
				if all[i].Answer == "" {
					all[i].Answer = "other"
				}
			case !errors.Is(err, driver.ErrTimeout):
				return all, 0, err
			}
		}
		if rate != 0 {
			break
		}
	}
	if rate != 0 {
		err = l.SetBaud(rate)
	}
	return all, rate, err
}
