package bus

import (
	"maps"
	"slices"

	"idtap/driver/diagnosis"
)

// Entries is the catalogue of this package with what a diagnosis needs beside
// it: why, how bad, and what explains it.
func Entries() []diagnosis.Entry {
	list := make([]diagnosis.Entry, 0, len(catalogue)+len(checkOnly))
	for _, e := range catalogue {
		list = append(list, entry(e))
	}
	for _, e := range checkOnly {
		list = append(list, entry(e))
	}
	return list
}

func entry(e Entry) diagnosis.Entry {
	d := diagnosis.Entry{Code: string(e.Code), Level: diagnosis.Warning, What: diagnosis.Text(e.What), Why: causes[e.Code],
		Do: diagnosis.Text(e.Remedy), Who: diagnosis.Technician, Because: explainedBy[e.Code]}
	if e.Owner == BusAdmin {
		d.Who = diagnosis.Administrator
	}
	if stops[e.Code] {
		d.Level = diagnosis.Critical
	}
	return d
}

var checkOnly = [...]Entry{
	{ServerCertExpired, text("服务器证书已到期", "The server's certificate has ended"),
		text("请服务器管理员更换证书", "Have it replaced on the server"), BusAdmin},
	{Plaintext, text("不经加密不连接外部服务器", "A server off this machine is not used without TLS"),
		text("nats.url 改用 tls://，或明确设置 allow_plaintext", "Use tls:// in nats.url, or set allow_plaintext on purpose"), Technician},
}

// stops are the codes with which nothing is delivered.
var stops = map[Code]bool{
	Unreachable: true, AuthFailed: true, CredsUnreadable: true, TLSFailed: true, EmbeddedFailed: true, NoAnswer: true, PublishDenied: true,
	NoStream: true, WrongStream: true, StreamFull: true, EventTooLarge: true, StreamDown: true, StreamUnfit: true, StreamRefused: true, DeskIDInUse: true,
	SealFailed: true, QueueFailed: true, StreamSubjects: true, StreamReadOnly: true, CertExpired: true, CredsExpired: true,
	ServerCertExpired: true, Plaintext: true, StreamShared: true, AccountsTogether: true, AccountsOpen: true,
}

// explainedBy names what explains a code.
var explainedBy = map[Code][]string{
	Unreachable:       codes(CertExpired, ServerCertExpired),
	AuthFailed:        codes(CredsExpired, CertExpired),
	TLSFailed:         append(codes(CertExpired, ServerCertExpired), diagnosis.ClockWrong.Code),
	CertExpired:       {diagnosis.ClockWrong.Code},
	CertExpires:       {diagnosis.ClockWrong.Code},
	CredsExpired:      {diagnosis.ClockWrong.Code},
	CredsExpire:       {diagnosis.ClockWrong.Code},
	ServerCertExpired: {diagnosis.ClockWrong.Code},
	ServerCertExpiry:  {diagnosis.ClockWrong.Code},
	QueueFailed:       {"queue_damaged", "disk_full", "queue_key"},
	EmbeddedFailed:    {"disk_full"},
	NoAnswer:          codes(StreamNoAck, StreamFull, StreamReadOnly, StreamSubjects, PublishDenied),
	NoStream:          codes(StreamSubjects),
	WrongStream:       codes(StreamSubjects),
	StreamRefused:     codes(StreamReadOnly),
	EventTooLarge:     codes(StreamMsgSize, SmallPayload),
	StreamUnfit: codes(StreamMemory, StreamMsgSize, SmallPayload, StreamRetention, StreamDiscardOld, StreamNoAck, StreamAsync, StreamReplicas, StreamWindow,
		StreamSubjects, StreamReadOnly, StreamNoDirect),
	ServiceDenied:   codes(PublishDenied),
	AccountNotAsked: codes(PublishDenied),
	Backlog:         append(codes(slices.Sorted(maps.Keys(stops))...), string(ChainInterrupted)),
	DirectDenied:    codes(PublishDenied),
}

func codes(list ...Code) []string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = string(c)
	}
	return names
}

var causes = map[Code]diagnosis.Text{
	Unreachable:      diagnosis.Say("网络不通、地址有误、服务器停机，或防火墙拦截", "No network, a wrong address, a server that is down, or a firewall"),
	AuthFailed:       diagnosis.Say("凭据、用户名或口令不被接受", "Credentials, user or password are not accepted"),
	CredsUnreadable:  diagnosis.Say("文件不存在、无权读取或内容不对", "The file is missing, not readable, or holds something else"),
	TLSFailed:        diagnosis.Say("证书不受信任、名称不符，或一方不使用 TLS", "A certificate is not trusted or bears another name, or one side does not speak TLS"),
	EmbeddedFailed:   diagnosis.Say("存储目录不可写，或端口被占用", "Its store cannot be written, or its port is taken"),
	NoAnswer:         diagnosis.Say("服务器忙、磁盘满，或流被设为不确认", "The server is busy or its disk full, or the stream does not acknowledge"),
	PublishDenied:    diagnosis.Say("本桌的账号没有向自己主题发布的权限", "This desk's account may not publish on its own subjects"),
	NoStream:         diagnosis.Say("管理员尚未建立流，或名称不同", "The administrator has not made it yet, or it has another name"),
	WrongStream:      diagnosis.Say("两个流的主题重叠", "The subjects of two streams overlap"),
	EventTooLarge:    diagnosis.Say("管理员设的上限小于一条登记事件", "The administrator's limit is smaller than a registration event"),
	StreamMsgSize:    diagnosis.Say("含相片或加密给多个接收方的事件可达 64 KiB", "An event with a portrait, or sealed to several registries, takes up to 64 KiB"),
	SmallPayload:     diagnosis.Say("含相片或加密给多个接收方的事件可达 64 KiB", "An event with a portrait, or sealed to several registries, takes up to 64 KiB"),
	StreamFull:       diagnosis.Say("流达到上限，并按要求拒绝新事件", "The stream is at its limits and refuses new events, as it should"),
	StreamDown:       diagnosis.Say("集群没有主节点、存储出错，或未启用 JetStream", "The cluster has no leader, its storage fails, or JetStream is off"),
	StreamUnfit:      diagnosis.Say("流的配置会丢失已确认的事件", "The stream's configuration could lose acknowledged events"),
	StreamRefused:    diagnosis.Say("流返回了其他错误", "The stream answered with another error"),
	DeskIDInUse:      diagnosis.Say("流中有本桌号的事件，却不是本机队列发出的：磁盘被还原（还原卡、快照、备份）、系统克隆、桌号重复或重装", "The stream has events of this desk id that this queue never made: the disk was restored (restore card, snapshot, backup), a cloned disk, the id twice, or a re-image"),
	SealFailed:       diagnosis.Say("公钥文件缺失或不是 P-256 公钥", "A key file is missing or is no P-256 public key"),
	QueueFailed:      diagnosis.Say("磁盘出错或队列损坏", "The disk fails or the queue is damaged"),
	StreamUnseen:     diagnosis.Say("权限集中缺少这一项", "The permission set lacks it"),
	StreamMemory:     diagnosis.Say("服务器重启后，已确认的事件全部丢失", "A restart of the server loses what it has acknowledged"),
	StreamRetention:  diagnosis.Say("interest 和 workqueue 策略会丢弃没有人订阅或已被取走的事件", "Interest and workqueue retention drop events that nobody follows or that somebody took"),
	StreamDiscardOld: diagnosis.Say("达到上限时，最早的事件被悄悄删除", "At its limits the oldest events go without a word"),
	StreamNoAck:      diagnosis.Say("没有确认就无法知道事件是否已保存", "Without acknowledgements nobody knows whether an event was stored"),
	StreamAsync:      diagnosis.Say("断电会丢失刚确认的事件", "A power cut loses what was just acknowledged"),
	StreamReplicas:   diagnosis.Say("一台服务器损坏就会丢失事件", "The loss of one server loses events"),
	StreamWindow:     diagnosis.Say("稍长的中断之后，重发可能被存两次", "After a longer outage what is sent again may be stored twice"),
	StreamSubjects:   diagnosis.Say("流的主题列表不包括本桌", "The stream's subjects leave this desk out"),
	StreamReadOnly:   diagnosis.Say("流已封存，或是另一个流的镜像", "The stream is sealed, or mirrors another one"),
	StreamNoDirect:   diagnosis.Say("无法读回本桌最后一条事件，确认丢失时只能靠去重窗口", "The desk's last event cannot be read back, so a lost acknowledgement is resolved by the duplicate window only"),
	DirectDenied:     diagnosis.Say("权限集中缺少这一项", "The permission set lacks it"),
	CertExpires:      diagnosis.Say("证书有效期所剩不多", "Its validity is nearly over"),
	CertExpired:      diagnosis.Say("证书没有及时更换，服务器不再接受", "It was not replaced in time, and the server no longer takes it"),
	ServerCertExpiry: diagnosis.Say("证书有效期所剩不多", "Its validity is nearly over"),
	CredsExpire:      diagnosis.Say("凭据有效期所剩不多", "Their validity is nearly over"),
	CredsExpired:     diagnosis.Say("凭据没有及时更换，服务器不再接受", "They were not replaced in time, and the server no longer takes them"),
	StoreSetAside:    diagnosis.Say("断电或磁盘故障损坏了存储，或密钥更换过", "A power cut or the disk hurt the store, or the key was changed"),
	StreamShared: diagnosis.Say("服务器不检查应答主题，同一账户里谁都能借服务器之手发布到任何主题",
		"A server does not check reply subjects: within one account everybody can have the server publish to any subject"),
	AccountsTogether: diagnosis.Say("同一账户里没有隔离", "Within one account nothing is kept apart"),
	AccountsOpen:     diagnosis.Say("不写明对象的导出，任何账户都能导入", "Any account may import what names no accounts"),
	AccountsMissing:  diagnosis.Say("文件不完整", "The file is not complete"),
	ChainInterrupted: diagnosis.Say("副本落后、流被改动，或别人在本桌主题上发布", "A replica lags, the stream was changed, or somebody publishes on this desk's subjects"),
	Unsealed:         diagnosis.Say("TLS 只保护途中；服务器管理员和所有订阅者看到的是明文", "TLS protects the way only: the server's administrators and all subscribers see plain text"),
	Stranger:         diagnosis.Say("有人借服务器的应答，或以管理员权限，写到了本桌主题", "Somebody wrote there through a server's answer or with an administrator's rights"),
	Backlog:          diagnosis.Say("流不接受、太慢，或卡在某条记录上", "The stream takes nothing, is too slow, or one record is stuck"),
	AccountNotAsked:  diagnosis.Say("没有权限，或服务器没有答复", "No permission to ask, or no answer"),
	ServiceDenied:    diagnosis.Say("权限集中缺少这一项；只影响远程查看，不影响登记", "The permission set lacks it; remote diagnosis suffers, events do not"),

	ServerCertExpired: diagnosis.Say("服务器的证书没有及时更换", "The server's certificate was not replaced in time"),
	Plaintext:         diagnosis.Say("姓名和号码会以明文经过网络", "Names and numbers would cross the network in the clear"),
}
