package reader

import "idtap/driver/diagnosis"

// Entries explains every phase that people can see, and [None].
func Entries() []diagnosis.Entry {
	list := make([]diagnosis.Entry, len(phases))
	for i, p := range phases {
		list[i] = diagnosis.Entry{Code: string(p.phase), Level: p.level, What: p.what, Why: p.why, Do: p.do, Who: p.who}
	}
	return append(list, None)
}

// Explain gives the entry of a phase.
func Explain(p Phase) (diagnosis.Entry, bool) {
	for _, e := range Entries() {
		if e.Code == string(p) {
			return e, true
		}
	}
	return diagnosis.Entry{}, false
}

type phaseText struct {
	phase         Phase
	level         diagnosis.Level
	who           diagnosis.Who
	what, why, do diagnosis.Text
}

var phases = []phaseText{
	{Starting, diagnosis.OK, diagnosis.Clerk, diagnosis.Say("读卡器启动中", "The reader is starting"),
		diagnosis.Say("刚接上或刚启动，模块需要约两秒", "It was just connected or started; a module takes about two seconds"),
		diagnosis.Say("稍候", "Wait a moment")},
	{Ready, diagnosis.OK, diagnosis.Clerk, diagnosis.Say("等待证件", "Waiting for a card"),
		diagnosis.Say("一切正常", "All is well"), diagnosis.Say("把证件平放在读卡器上", "Place a card flat on the reader")},
	{Found, diagnosis.OK, diagnosis.Clerk, diagnosis.Say("已感应到证件", "A card was found"),
		diagnosis.Say("正在选取", "It is being selected"), diagnosis.Say("保持不动", "Keep it still")},
	{Reading, diagnosis.OK, diagnosis.Clerk, diagnosis.Say("正在读取", "Reading"),
		diagnosis.Say("文字和照片正在传输", "Text and photo are on their way"), diagnosis.Say("请勿移动证件", "Do not move the card")},
	{Held, diagnosis.OK, diagnosis.Clerk, diagnosis.Say("已读取，等待取走", "Read; waiting for removal"),
		diagnosis.Say("一次放置只计一次", "One placing is one tap"), diagnosis.Say("取走证件", "Take the card")},
	{PlaceAgain, diagnosis.Warning, diagnosis.Clerk, diagnosis.Say("请重新放置证件", "Place the card again"),
		diagnosis.Say("读取中断，或需要第二次读取而读卡器不肯再读", "The read broke off, or a second one is needed that the reader refuses"),
		diagnosis.Say("拿起证件，再平放一次", "Lift the card and place it flat once more")},
	{NotID, diagnosis.Warning, diagnosis.Clerk, diagnosis.Say("不是身份证", "Not an ID card"),
		diagnosis.Say("模块不承认这张卡（32、40）：其他卡片，或放了两张", "The module does not accept the card (32, 40): another kind of card, or two at once"),
		diagnosis.Say("只放身份证、居住证或永久居留身份证", "Place an ID card or a residence permit alone")},
	{Unreadable, diagnosis.Warning, diagnosis.Clerk, diagnosis.Say("证件无法读取", "The card cannot be read"),
		diagnosis.Say("多次读取都失败，或每次结果不同：证件损坏、线路干扰", "Every read failed, or no two agree: a damaged card, or a noisy line"),
		diagnosis.Say("擦净再试；换一张证件也不行时，请技术人员运行 idtap diag", "Wipe it and try again; if other cards fail too, have a technician run idtap diag")},
	{Away, diagnosis.Critical, diagnosis.Clerk, diagnosis.Say("读卡器未连接", "The reader is away"),
		diagnosis.Say("被拔下、未通电、端口号变了，或不回应", "It was unplugged, has no power, got another port number, or does not answer"),
		diagnosis.Say("检查连线；插好后两秒内自动恢复", "Check the cable; it is back within two seconds of being plugged in")},
	{Denied, diagnosis.Critical, diagnosis.Technician, diagnosis.Say("无权使用读卡器", "No permission to use the reader"),
		diagnosis.Say("设备文件、polkit 或沙箱不允许本用户", "The device file, polkit or a sandbox keeps this user out"),
		diagnosis.Say("运行 idtap diag，按所示授权", "Run idtap diag and grant what it says")},
	{Busy, diagnosis.Critical, diagnosis.Technician, diagnosis.Say("读卡器被其他程序占用", "Another program has the reader"),
		diagnosis.Say("厂商服务或另一个读卡程序开着", "A vendor's service or another card program is open"),
		diagnosis.Say("关闭该程序；idtap diag 会指出是谁", "Close it; idtap diag says which one")},
	{Faulty, diagnosis.Critical, diagnosis.Technician, diagnosis.Say("安全模块故障", "The security module is faulty"),
		diagnosis.Say("模块自检失败（60）或未经授权（66）", "It failed its self-test (60) or is not authorised (66)"),
		diagnosis.Say("重插一次；仍不行，更换读卡器", "Plug it in again; failing that, replace it")},
	{NoIdentity, diagnosis.Critical, diagnosis.Technician, diagnosis.Say("读卡器不能读身份证", "The reader cannot read ID cards"),
		diagnosis.Say("普通读卡器，没有安全模块", "An ordinary reader without a security module"),
		diagnosis.Say("换用二代证读卡器", "Use an ID card reader")},
	{Stuck, diagnosis.Critical, diagnosis.Clerk, diagnosis.Say("读卡器无响应", "The reader hangs"),
		diagnosis.Say("一条命令停在驱动里没有返回", "A command never came back from its driver"),
		diagnosis.Say("拔下读卡器，等两秒再插上", "Unplug it, wait two seconds, plug it in again")},
	{Stopped, diagnosis.Critical, diagnosis.Technician, diagnosis.Say("读卡已停止", "Reading has stopped"),
		diagnosis.Say("程序正在退出，或本程序没有所配置的驱动", "The program is ending, or was built without the configured driver"),
		diagnosis.Say("用 idtap version 查看内置驱动；必要时重启服务", "See idtap version for the drivers built in; restart the service if need be")},
}

// None means that the desk has no reader at all.
var None = diagnosis.Entry{Code: "reader_none", Level: diagnosis.Critical, Who: diagnosis.Technician,
	Because: []string{"pcsc_no_service", "pcsc_denied", "pcsc_silent", "reader_no_sam", "usb_driver_missing", "usb_held"},
	What:    diagnosis.Say("没有读卡器", "There is no reader"),
	Why: diagnosis.Say("配置中没有列出读卡器，也没有发现已知型号；串口读卡器不会被自动打开",
		"The configuration lists none and no known model was found; serial readers are never opened unasked"),
	Do: diagnosis.Say("接上读卡器；串口读卡器把下面所示的一行加入配置的 readers", "Connect one; for a serial reader add the line that idtap diag shows to readers in the configuration")}
