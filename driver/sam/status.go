package sam

import (
	"fmt"

	"idtap/driver"
)

// Values of SW3, the module's own status [SOFTS, LIBSAMV, CODES].
const (
	OK              byte = 0x90
	CardFound       byte = 0x9F // only after 20 01
	NoSuchItem      byte = 0x91 // e.g. no additional address: not an error
	BadChecksum     byte = 0x10
	BadLength       byte = 0x11
	BadCommand      byte = 0x21
	NotPermitted    byte = 0x23
	Unrecognised    byte = 0x24
	CardRefusedSAM  byte = 0x31
	SAMRefusedCard  byte = 0x32
	VerifyFailed    byte = 0x33
	FingerprintFail byte = 0x37
	WrongInfoLength byte = 0x3F
	WrongCardType   byte = 0x40
	ReadFailed      byte = 0x41
	NoRandomNumber  byte = 0x47
	SelfTestFailed  byte = 0x60
	NotAuthorised   byte = 0x66
	NoCard          byte = 0x80
	SelectFailed    byte = 0x81
)

// Class says what a caller does about a status.
type Class string

const (
	Success     Class = "success"
	Normal      Class = "normal"       // an answer like any other
	Transient   Class = "transient"    // try again, at last ask to lift and place the card
	CardProblem Class = "card problem" // the card is not one the module accepts: do not loop
	CallerBug   Class = "caller bug"   // or firmware that lacks the command
	ReaderFault Class = "reader fault" // alarm and stop polling fast
	Unknown     Class = "unknown"      // in no table
)

// Meaning explains one value of SW3.
type Meaning struct {
	SW3    byte
	Class  Class
	Err    error // the sentinel of package driver; nil for Success and Normal
	Card   bool  // speaks of a card, so no command about the module is answered by it
	Zh, En string
}

// meanings holds every published status. 23, 37 and 3F are in the newer tables
// only; the classes are ours.
var meanings = []Meaning{
	{OK, Success, nil, false, "操作成功", "success"},
	{CardFound, Success, nil, true, "找到证件", "card found"},
	{NoSuchItem, Normal, nil, true, "证件中无此项内容", "the card has no such item"},
	{BadChecksum, CallerBug, driver.ErrProtocol, false, "模块收到的数据校验和错", "the module received a wrong checksum"},
	{BadLength, CallerBug, driver.ErrProtocol, false, "模块收到的数据长度错", "the module received a wrong length"},
	{BadCommand, CallerBug, driver.ErrProtocol, false, "命令或参数无效", "command or parameter invalid"},
	{NotPermitted, CallerBug, driver.ErrProtocol, false, "越权操作", "operation not permitted"},
	{Unrecognised, Transient, driver.ErrCardLost, false, "无法识别的错误", "unrecognised error"},
	{CardRefusedSAM, Transient, driver.ErrCardLost, true, "证件认证模块失败", "the card did not accept the module"},
	{SAMRefusedCard, CardProblem, driver.ErrNotID, true, "模块认证证件失败", "the module did not accept the card"},
	{VerifyFailed, Transient, driver.ErrCardLost, true, "信息验证错误", "verification of the information failed"},
	{FingerprintFail, Transient, driver.ErrCardLost, true, "指纹信息验证错误", "verification of the fingerprints failed"},
	{WrongInfoLength, CallerBug, driver.ErrProtocol, true, "信息长度错误", "information length wrong"},
	{WrongCardType, CardProblem, driver.ErrNotID, true, "无法识别的证件类型", "card type not recognised"},
	{ReadFailed, Transient, driver.ErrCardLost, true, "读证件失败", "reading the card failed"},
	{NoRandomNumber, Transient, driver.ErrCardLost, true, "取随机数失败", "getting a random number failed"},
	{SelfTestFailed, ReaderFault, driver.ErrFaulty, false, "模块自检失败，不能接收命令", "the module failed its self-test and takes no commands"},
	{NotAuthorised, ReaderFault, driver.ErrFaulty, false, "模块未经授权，无法使用", "the module is not authorised"},
	{NoCard, Transient, driver.ErrNoCard, true, "未找到证件", "no card found"},
	{SelectFailed, Transient, driver.ErrCardLost, true, "选取证件失败", "selecting the card failed"},
}

// Meanings lists every status that is known, successes first.
func Meanings() []Meaning { return append([]Meaning(nil), meanings...) }

// Status is the status of an answer. SW1 and SW2 relay what the card said and
// may be anything where SW3 is 31, 41, 47 or 81 [SOFTS]; SW3 is the module's.
type Status struct{ SW1, SW2, SW3 byte }

// Meaning explains the status. A value in no table is Unknown and
// driver.ErrProtocol.
func (s Status) Meaning() Meaning {
	for _, m := range meanings {
		if m.SW3 == s.SW3 {
			return m
		}
	}
	return Meaning{s.SW3, Unknown, driver.ErrProtocol, false, "未知状态", "status in no table"}
}

// Error makes a Status the cause in a driver.Error.
func (s Status) Error() string { return fmt.Sprintf("%02X: %s", s.SW3, s.Meaning().En) }
