package desk

import "idtap/driver/diagnosis"

// States explains what the page shows large, beside the readers' phases.
func States() []diagnosis.Entry { return append([]diagnosis.Entry(nil), states[:]...) }

// Answers explains the codes with which the page's API refuses, beside those
// that the queue and the checks explain.
func Answers() []diagnosis.Entry { return append([]diagnosis.Entry(nil), apiAnswers[:]...) }

func state(code Face, level diagnosis.Level, who diagnosis.Who, what, why, do diagnosis.Text) diagnosis.Entry {
	return diagnosis.Entry{Code: string(code), Level: level, Who: who, What: what, Why: why, Do: do}
}

var say = diagnosis.Say

var states = [...]diagnosis.Entry{
	state(FaceAccepted, diagnosis.OK, diagnosis.Clerk, say("已登记", "Recorded"),
		say("事件已写入本机磁盘", "The event is synced on this desk's disk"), say("取走证件", "Take the card")),
	state(FaceKept, diagnosis.OK, diagnosis.Clerk, say("已登记，待发送", "Recorded, not yet sent"),
		say("事件已写入本机磁盘，与上级的连接暂时中断或未设置", "The event is synced on this desk's disk; the server is away, or none is set"),
		say("取走证件，不要重刷；恢复后自动发送", "Take the card and do not tap again; it is sent by itself")),
	state(FaceRepeat, diagnosis.OK, diagnosis.Clerk, say("刚刚刷过", "Just tapped"),
		say("同一证件在 policy.repeat_window 之内已登记", "The same card was recorded within policy.repeat_window"), say("无需再刷", "Nothing more to do")),
	state(FaceCheck, diagnosis.Warning, diagnosis.Clerk, say("已登记，请核对", "Recorded, please check"),
		say("某项内容少见，可能有误", "Something on the card is unusual and may be wrong"), say("点“核对”，与证件比对", "Press Compare and hold it against the card")),
	state(FaceCompare, diagnosis.Warning, diagnosis.Clerk, say("尚未登记，请核对", "Not recorded, please check"),
		say("两次读取完全一致，但内容有错误", "Two reads agree byte for byte, yet there is an error in them"),
		say("与证件比对无误后确认，登记时注明未经校验", "Confirm if it matches the card; the record says unverified")),
	state(FaceRefused, diagnosis.Warning, diagnosis.Clerk, say("读取有误，未登记", "Read with errors, not recorded"),
		say("读到的内容不可能正确", "What was read cannot be right"), say("拿起证件再刷一次", "Lift the card and tap again")),
	state(FaceExpired, diagnosis.Warning, diagnosis.Clerk, say("证件已过期，未登记", "Card expired, not recorded"),
		say("policy.expired 设为 refuse", "policy.expired is refuse"), say("请出示有效证件", "Ask for a valid document")),
	state(FaceTwoCards, diagnosis.Warning, diagnosis.Clerk, say("有两张卡", "Two cards"),
		say("感应区内有第二张卡", "A second card lies in the field"), say("只放一张", "Place one card alone")),
	state(FaceFull, diagnosis.Critical, diagnosis.Technician, say("磁盘已满，刷卡不计入", "Disk full: taps do not count"),
		say("队列或磁盘没有空间", "The queue or the disk has no room"), say("运行 idtap diag，清理磁盘", "Run idtap diag and free some space")),
	state(FaceFailed, diagnosis.Critical, diagnosis.Technician, say("未能保存", "Not saved"),
		say("队列写入失败", "The queue could not be written"), say("再刷一次；仍不行，运行 idtap diag", "Tap again; if it stays, run idtap diag")),
	state(FaceCancelled, diagnosis.OK, diagnosis.Clerk, say("已撤销", "Cancelled"),
		say("本次登记已由窗口人员撤销", "The clerk withdrew this record"), say("无", "Nothing")),
	state(FaceLift, diagnosis.OK, diagnosis.Clerk, say("请取走证件", "Take the card"),
		say("结果已清除，证件仍在读卡器上", "The result was cleared, the card still lies there"), say("取走证件", "Take the card")),
	state("no_reader", diagnosis.Critical, diagnosis.Technician, say("没有读卡器", "No reader"),
		say("没有配置或发现读卡器", "None is configured or was found"), say("接上读卡器；运行 idtap diag", "Connect one; run idtap diag")),
	state("offline", diagnosis.Critical, diagnosis.Technician, say("服务未响应", "No service"),
		say("页面与守护进程的连接中断", "The page has lost the daemon"), say("检查 idtap 服务是否在运行", "See whether the idtap service runs")),
}

func refusal(code string, who diagnosis.Who, what, why, do diagnosis.Text) diagnosis.Entry {
	return diagnosis.Entry{Code: code, Level: diagnosis.Warning, Who: who, What: what, Why: why, Do: do}
}

var apiAnswers = [...]diagnosis.Entry{
	refusal("sign_in_required", diagnosis.Clerk, say("请先登录", "Sign in first"),
		say("desk_page.pin_file 已设置，显示个人信息前需要 PIN", "desk_page.pin_file is set, so personal data needs a PIN"), say("输入 PIN", "Enter your PIN")),
	refusal("wrong_pin", diagnosis.Clerk, say("PIN 不正确", "Wrong PIN"), say("PIN 文件中没有它", "The PIN file does not have it"), say("重新输入", "Enter it again")),
	refusal("too_many_tries", diagnosis.Clerk, say("尝试过于频繁", "Too many tries"), say("限制猜测 PIN", "Guessing PINs is limited"), say("稍候几秒", "Wait a few seconds")),
	refusal("no_pin_file", diagnosis.Technician, say("没有设置 PIN", "No PINs are set"), say("desk_page.pin_file 为空", "desk_page.pin_file is empty"),
		say("需要登录时设置 pin_file", "Set pin_file if people should sign in")),
	refusal("pin_file", diagnosis.Technician, say("PIN 文件有误", "The PIN file is not in order"), say("无法读取、权限过宽或某行有误", "It cannot be read, others may read it, or a line is wrong"),
		say("按 docs 中的格式修正，权限 0600", "Mend it, mode 0600")),
	refusal("token_required", diagnosis.Technician, say("需要访问令牌", "A token is needed"), say("请求来自其他来源或其他电脑", "The request comes from another origin or machine"),
		say("在 Authorization: Bearer 中带上 token_file 的内容", "Send what token_file holds as Authorization: Bearer")),
	refusal("stale_page", diagnosis.Clerk, say("页面已过时", "The page is of an earlier start"), say("守护进程重启过，页面的凭证失效", "The daemon was started again, the page's ticket ended"),
		say("刷新页面", "Reload the page")),
	refusal("host_not_allowed", diagnosis.Technician, say("地址不被接受", "Host not accepted"), say("Host 头不是本服务的地址（防 DNS 重绑定）", "The Host header is none of this server's (DNS rebinding)"),
		say("用页面的地址访问，或加入 desk_page.origins", "Use the page's own address, or add it to desk_page.origins")),
	refusal("origin_not_allowed", diagnosis.Technician, say("来源不被接受", "Origin not accepted"), say("网页来源不在 desk_page.origins 中", "The web page's origin is not in desk_page.origins"),
		say("加入 desk_page.origins", "Add it to desk_page.origins")),
	refusal("page_only", diagnosis.Technician, say("只有本页可以登录", "Only the page itself signs in"), say("请求不带页面的凭证", "The request lacks the page's ticket"), say("在页面上登录", "Sign in on the page")),
	refusal("too_many_requests", diagnosis.Clerk, say("操作过于频繁", "Too many requests"), say("限制了每秒请求数", "Requests per second are limited"), say("稍候", "Wait a moment")),
	refusal("too_many_streams", diagnosis.Technician, say("实时连接过多", "Too many live streams"), say("同时最多 32 个", "There may be 32 at a time"), say("关闭多余的页面或程序", "Close pages or programs that are not needed")),
	refusal("want_json", diagnosis.Technician, say("请求体应为 JSON", "JSON is wanted"), say("Content-Type 不是 application/json", "The Content-Type is not application/json"), say("修正调用程序", "Mend the calling program")),
	refusal("bad_json", diagnosis.Technician, say("JSON 有误", "Broken JSON"), say("请求体无法解析", "The body cannot be parsed"), say("修正调用程序", "Mend the calling program")),
	refusal("bad_request", diagnosis.Technician, say("字段有误", "A field is wrong"), say("缺少或不认识的字段", "A field is missing or unknown"), say("对照 /api/v1/openapi.yaml", "See /api/v1/openapi.yaml")),
	refusal("body_too_large", diagnosis.Technician, say("请求体过大", "The body is too large"), say("超过 16 KiB", "It exceeds 16 KiB"), say("修正调用程序", "Mend the calling program")),
	refusal("not_found", diagnosis.Clerk, say("没有这条登记", "No such record"), say("编号有误，或保存期已过", "A wrong id, or its time is over"), say("刷新页面", "Reload the page")),
	refusal("erased", diagnosis.Clerk, say("内容已清除", "The data is erased"), say("保存期 outbox.retain 已过", "outbox.retain is over"), say("向登记系统提出更正", "Have the registry correct it")),
	refusal("cancelled", diagnosis.Clerk, say("已经撤销", "Cancelled already"), say("这条登记先前已撤销", "The record was withdrawn before"), say("需要时重新刷证", "Tap again if need be")),
	refusal("not_verified", diagnosis.Clerk, say("不能确认", "Cannot be confirmed"), say("没有两次一致的读取", "There are no two reads that agree"), say("重新刷证", "Tap again")),
	refusal("bad_field", diagnosis.Clerk, say("更正内容有误", "A correction is not valid"), say("格式不对，如日期或代码", "Its form is wrong, a date or a code say"), say("日期如 1990-01-31，性别和民族填代码", "Dates like 1990-01-31, codes for sex and ethnic group")),
	refusal("bad_reason", diagnosis.Clerk, say("原因有误", "The reason is not valid"), say("不在所列原因之内", "It is none of those listed"), say("选择一个原因", "Choose a reason")),
	refusal("no_photo", diagnosis.Clerk, say("没有照片", "No photo"), say("证件没有照片，或未设置解码程序", "The card has none, or no decoder is set"), say("与证件上的照片核对", "Compare with the printed photo")),
	refusal("photo_decoder", diagnosis.Technician, say("照片解码失败", "The photo decoder failed"), say("photo.decoder 出错、超时，或输出的不是 102x126 的图像", "photo.decoder failed, took too long, or gave no image of 102x126"),
		say("单独运行该命令检查", "Run the command by hand")),
	refusal("audit_failed", diagnosis.Technician, say("无法写入审计记录", "No audit line could be written"), say("队列写入失败，操作因此没有执行", "The queue could not be written, so nothing was done"),
		say("运行 idtap diag", "Run idtap diag")),
}
