package bus

import "idtap/reader/identity"

// Owner is who can mend something.
type Owner string

const (
	Technician Owner = "technician" // of the desk
	BusAdmin   Owner = "bus"        // administrator of the NATS servers
)

// Entry explains a code.
type Entry struct {
	Code   Code
	What   identity.Text
	Remedy identity.Text
	Owner  Owner
}

// Explain gives the entry of a code.
func Explain(code Code) (Entry, bool) {
	for _, e := range catalogue {
		if e.Code == code {
			return e, true
		}
	}
	return Entry{}, false
}

// Catalogue lists every code of this package that people can see.
func Catalogue() []Entry { return append([]Entry(nil), catalogue[:]...) }

func text(zh, en string) identity.Text { return identity.Text{Zh: zh, En: en} }

var catalogue = [...]Entry{
	{Unreachable, text("连不上 NATS 服务器，事件留在本机队列", "The NATS server cannot be reached; events stay in the queue"),
		text("检查网络、地址、端口和防火墙；恢复后自动补发", "Check network, address, port and firewall; delivery goes on by itself"), Technician},
	{AuthFailed, text("NATS 服务器拒绝登录", "The NATS server refuses the login"),
		text("检查凭据是否正确、过期或被吊销；换文件后无需重启", "Check that the credentials are right, valid and not revoked; a new file needs no restart"), BusAdmin},
	{CredsUnreadable, text("凭据文件无法读取", "A credential file cannot be read"),
		text("检查 nats.creds、nkey、password_file 的路径、权限和内容", "Check path, permission and content of nats.creds, nkey or password_file"), Technician},
	{TLSFailed, text("TLS 握手失败", "The TLS handshake fails"),
		text("检查 nats.tls 的证书、私钥和根证书，以及服务器地址与证书是否一致", "Check certificate, key and authorities in nats.tls, and that the server's certificate bears its address"), Technician},
	{EmbeddedFailed, text("内置服务器无法启动", "The embedded server does not start"),
		text("看日志；检查磁盘空间、端口和 nats.embedded.config", "See the log; check disk space, port and nats.embedded.config"), Technician},
	{NoAnswer, text("已发送，但流没有确认", "Published, but the stream does not acknowledge"),
		text("服务器磁盘可能已满，或网络单向不通；事件不会丢失，会自动重试", "The server's disk may be full or the network one-way; nothing is lost, it is tried again"), BusAdmin},
	{PublishDenied, text("没有发布权限", "No permission to publish"),
		text("按 idtap bus init --permissions 给本桌授权", "Grant this desk what idtap bus init --permissions prints"), BusAdmin},
	{NoStream, text("流不存在", "The stream does not exist"),
		text("用 idtap bus init --create 建立，或检查 nats.stream", "Make it with idtap bus init --create, or check nats.stream"), BusAdmin},
	{WrongStream, text("别的流占用了本桌的主题", "Another stream takes this desk's subjects"),
		text("让 nats.stream 的主题覆盖 idtap.v1.>，并从其他流中去掉", "Let the stream in nats.stream take idtap.v1.> and remove it from others"), BusAdmin},
	{EventTooLarge, text("服务器或流的大小上限容不下事件，全部停发", "A size limit of the server or the stream refuses an event: nothing is sent"),
		text("把 max_payload（服务器）或 max_msg_size（流）提高到 64 KiB 以上；提高后自动补发", "Raise max_payload (server) or max_msg_size (stream) to 64 KiB or more; delivery goes on by itself"), BusAdmin},
	{StreamMsgSize, text("流的 max_msg_size 可能容不下事件", "The stream's max_msg_size may refuse an event"),
		text("提高到 65536 以上，或不设上限", "Raise it to 65536 or more, or set none"), BusAdmin},
	{SmallPayload, text("服务器的 max_payload 可能容不下事件", "The server's max_payload may refuse an event"),
		text("提高到 65536 以上（默认 1 MB）", "Raise it to 65536 or more (1 MB is the default)"), BusAdmin},
	{StreamFull, text("流已满", "The stream is full"), text("提高流的上限或清理；恢复后自动补发", "Raise the stream's limits or make room; delivery goes on by itself"), BusAdmin},
	{StreamDown, text("流暂时不可用", "The stream is unavailable at the moment"), text("检查集群和存储；会自动重试", "Check the cluster and its storage; it is tried again"), BusAdmin},
	{StreamUnfit, text("流的配置不合要求，严格模式下不发送", "The stream's configuration fails the preflight; strict mode holds everything back"),
		text("按 idtap bus check 的结果修改流", "Change the stream as idtap bus check says"), BusAdmin},
	{StreamRefused, text("流拒绝了事件", "The stream refuses the event"), text("看详细信息；事件留在队列", "See the detail; the event stays in the queue"), BusAdmin},
	{DeskIDInUse, text("另有设备以同一桌号发布事件，本机停止发送（刷卡照常受理）", "Somebody else publishes under this desk's id: nothing is sent, taps go on being accepted"),
		text("磁盘被还原或系统重装过：停止 idtap 后执行 idtap outbox adopt；否则查出另一台（系统克隆、桌号重复）并改号", "If this disk was restored or re-imaged: stop idtap and run idtap outbox adopt; else find the other one (a cloned disk, the same id twice) and give it another id"), Technician},
	{SealFailed, text("无法用配置的公钥加密", "The configured public keys cannot be used"), text("检查 nats.encrypt_to 的公钥文件", "Check the key files of nats.encrypt_to"), Technician},
	{QueueFailed, text("本机队列读写失败", "The queue cannot be read or written"), text("检查磁盘；执行 idtap outbox verify", "Check the disk; run idtap outbox verify"), Technician},
	{StreamUnseen, text("没有查看流的权限，只能在去重窗口内防重复", "No permission to look at the stream: duplicates are kept out within its window only"),
		text("授予 $JS.API.STREAM.INFO 权限", "Grant $JS.API.STREAM.INFO"), BusAdmin},
	{DirectDenied, text("没有读回本桌事件的权限，只能在去重窗口内防重复", "No permission to read back this desk's events: duplicates are kept out within the stream's window only"),
		text("授予限于本桌的 $JS.API.DIRECT.GET 权限", "Grant the desk's own $JS.API.DIRECT.GET"), BusAdmin},
	{StreamNoDirect, text("流未开启 allow_direct，只能在去重窗口内防重复", "The stream has no allow_direct: duplicates are kept out within its window only"),
		text("开启 allow_direct", "Turn allow_direct on"), BusAdmin},
	{StreamMemory, text("流存放在内存", "The stream is kept in memory"), text("改为 file 存储", "Make it anew with file storage"), BusAdmin},
	{StreamRetention, text("流的保留策略会丢弃已确认的事件", "The stream's retention drops events it has acknowledged"), text("改为 limits", "Use limits retention"), BusAdmin},
	{StreamDiscardOld, text("流满时会丢弃旧事件", "The stream throws old events away at its limits"), text("改为 discard=new", "Use discard new"), BusAdmin},
	{StreamNoAck, text("流不发确认", "The stream never acknowledges"), text("关闭 no_ack", "Turn no_ack off"), BusAdmin},
	{StreamAsync, text("流在落盘之前就确认", "The stream acknowledges before it has stored"), text("persist_mode 改为 default", "Use the default persist_mode"), BusAdmin},
	{StreamReplicas, text("流的副本数不足", "The stream has too few replicas"), text("增加副本，或改 nats.replicas", "Add replicas, or change nats.replicas"), BusAdmin},
	{StreamWindow, text("流的去重窗口太短", "The stream's duplicate window is short"), text("至少 2 分钟，建议 2 小时", "Two minutes at least, two hours recommended"), BusAdmin},
	{StreamSubjects, text("流不接收本桌的主题", "The stream does not take this desk's subjects"), text("主题加上 idtap.v1.>", "Add idtap.v1.> to its subjects"), BusAdmin},
	{StreamReadOnly, text("流是只读的", "The stream is read-only"), text("不要用镜像或已封存的流", "Do not use a mirror or a sealed stream"), BusAdmin},
	{CertExpires, text("客户端证书即将到期", "The client certificate ends soon"), text("换新证书文件，无需重启", "Replace the file; no restart is needed"), Technician},
	{CertExpired, text("客户端证书已到期", "The client certificate has ended"), text("换新证书文件，无需重启", "Replace the file; no restart is needed"), Technician},
	{ServerCertExpiry, text("服务器证书即将到期", "The server's certificate ends soon"), text("请服务器管理员更换", "Have it replaced on the server"), BusAdmin},
	{CredsExpire, text("凭据即将到期", "The credentials end soon"), text("换新 .creds 文件，无需重启", "Replace the .creds file; no restart is needed"), BusAdmin},
	{CredsExpired, text("凭据已到期", "The credentials have ended"), text("换新 .creds 文件，无需重启", "Replace the .creds file; no restart is needed"), BusAdmin},
	{StoreSetAside, text("内置服务器的存储无法打开，已另存并重建", "The embedded store did not open; it was set aside and a new one begun"),
		text("事件仍在队列日志中；需要时用 idtap outbox requeue 重发", "The events are in the queue's journal; idtap outbox requeue publishes them again"), Technician},
	{ChainInterrupted, text("流中的位置对不上，正在重新核对", "The position in the stream does not fit; it is looked up again"),
		text("持续超过一分钟时检查集群副本是否同步（nats stream report）", "If it lasts for more than a minute, see whether the cluster's replicas keep up (nats stream report)"), BusAdmin},
	{Unsealed, text("事件未加密就发往别处的服务器：能订阅的人都能读到姓名和号码", "Events go unsealed to a server elsewhere: whoever may subscribe there reads names and numbers"),
		text("在 nats.encrypt_to 写上接收方的公钥；nats.strict 为 true 时不加密就不发送", "Name the registries' public keys in nats.encrypt_to; with nats.strict nothing is sent without"), Technician},
	{Stranger, text("本桌主题上有一条不是服务台发出的消息，已跳过", "A message on this desk's subjects is none of a desk; it was passed over"),
		text("查明谁能向本桌主题发布；按 docs/cluster.md 把流放进单独的账户", "Find out who may publish on this desk's subjects; give the stream an account of its own (docs/cluster.md)"), BusAdmin},
	{Backlog, text("已连接，但等待发送的事件没有减少", "Connected, but what waits does not become less"),
		text("看 idtap diag 的其他结果和日志；事件留在本机队列", "See the other findings of idtap diag and the log; the events stay in the queue"), Technician},
	{StreamShared, text("流与服务台同在一个账户：任何一个服务台都能读取、伪造和删除全部事件", "The stream shares the desks' account: any one desk can read, forge and delete every event"),
		text("按 docs/cluster.md 把流放进单独的账户（idtap bus init --accounts）", "Give the stream an account of its own (idtap bus init --accounts, docs/cluster.md)"), BusAdmin},
	{AccountNotAsked, text("未能检查流是否在单独的账户里", "Whether the stream is in an account of its own was not checked"),
		text("按 idtap bus init --permissions 授予 $JS.API.INFO", "Grant $JS.API.INFO, as idtap bus init --permissions prints it"), BusAdmin},
	{AccountsTogether, text("服务器文件里流与服务台没有分开", "In the server file stream and desks are not apart"),
		text("与 idtap bus init --accounts 打印的账户对照修改", "Change the accounts to what idtap bus init --accounts prints"), BusAdmin},
	{AccountsOpen, text("服务器文件里有多余或不限对象的导出或权限", "The server file exports or permits more than is needed, or to anybody"),
		text("给每个导出写明 accounts，删去多余的", "Name the accounts of each export, and remove what is too much"), BusAdmin},
	{AccountsMissing, text("服务器文件里缺少需要的导出或导入", "The server file lacks an export or import"),
		text("与 idtap bus init --accounts 打印的账户对照补上", "Add it as idtap bus init --accounts prints it"), BusAdmin},
	{ServiceDenied, text("没有微服务或状态主题的权限", "No permission for the micro service or the status subject"),
		text("按 idtap bus init --permissions 授权", "Grant what idtap bus init --permissions prints"), BusAdmin},
}
