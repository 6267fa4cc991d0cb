// Package config holds the one configuration of idtap: defaults, a YAML file
// over them, the environment over that, and a validation that names the line.
//
// Every key has a default; an unknown key is an error that names its line and
// the nearest key there is. Secrets are files or environment, never flags. The
// package imports none of the parts: cmd turns it into each part's own options.
package config

import "time"

// Config is the whole file, in the order of the annotated example.
type Config struct {
	Desk        Desk        `yaml:"desk" doc:"the desk itself"`
	Readers     []Reader    `yaml:"readers" doc:"card readers; none listed: known PC/SC models and USB ids only"`
	Policy      Policy      `yaml:"policy" doc:"what is read and what counts"`
	NATS        NATS        `yaml:"nats" doc:"where events go"`
	Outbox      Outbox      `yaml:"outbox" doc:"the durable queue on this desk's disk"`
	Photo       Photo       `yaml:"photo" doc:"the chip's portrait"`
	DeskPage    DeskPage    `yaml:"desk_page" doc:"the clerk's page and local API; also serves /metrics and /healthz"`
	VendorPorts VendorPorts `yaml:"vendor_ports" doc:"answer web pages that call a reader vendor's local service; off by default"`
	Log         Log         `yaml:"log" doc:"what is logged, and where"`

	// Warnings are things worth a line in the log that stop nothing.
	Warnings []Text `yaml:"-"`
	// File is where it was read from; empty for defaults.
	File string `yaml:"-"`
	// Origins says of every key that was set where that was.
	Origins map[string]Origin `yaml:"-"`
}

// Desk says who registers, and where.
type Desk struct {
	ID            string `yaml:"id" doc:"[a-z0-9-]{1,40}; default: the host name so reduced"`
	Name          string `yaml:"name" doc:"shown on the page"`
	Division      string `yaml:"division" doc:"county level, 6 digits of GB/T 2260"`
	Unit          string `yaml:"unit" doc:"registering unit, 9 or 12 digits"`
	Role          string `yaml:"role" enum:"inflow,outflow,both" doc:"what a tap at this desk is about"`
	Timezone      string `yaml:"timezone" doc:"IANA name"`
	Operator      string `yaml:"operator" doc:"who registers, unless the page asks"`
	RefKeyFile    string `yaml:"ref_key_file" doc:"key of person.ref, one for all desks of a deployment; empty: this desk's own"`
	SigningKey    string `yaml:"signing_key" doc:"nkey seed file that signs events; empty: the seed of nats.creds or nats.nkey, else events are not signed"`
	LegalBasis    string `yaml:"legal_basis" doc:"carried in the event"`
	NoticeVersion string `yaml:"notice_version" doc:"carried in the event"`
}

// Reader is one card reader.
type Reader struct {
	Name       string `yaml:"name" doc:"[a-z0-9-]{1,40}, unique at the desk"`
	Label      string `yaml:"label" doc:"what the page calls it, e.g. 左侧读卡器; empty: the name"`
	Driver     string `yaml:"driver" enum:"drivers" doc:"how the reader is reached"`
	Port       string `yaml:"port" doc:"device path, host:port, PC/SC name pattern (only * and ? are special), or auto or an id for usb"`
	Baud       Baud   `yaml:"baud" doc:"auto or bits per second: 115200, 57600, 38400, 19200, 9600"`
	Profile    string `yaml:"profile" driver:"pcsc" enum:"auto,paged,apdu,escape,uid" doc:"pcsc only"`
	APDUHeader string `yaml:"apdu_header" driver:"pcsc" doc:"pcsc apdu: CLA INS P1 P2 in hex"`
	EscapeCode uint32 `yaml:"escape_code" driver:"pcsc" doc:"pcsc escape: control code; 0: 1 on Linux, 3500 on Windows"`
	MaxRFBytes uint8  `yaml:"max_rf_bytes" doc:"largest RF exchange, 24 to 255; 0: not sent"`
}

// Policy says what is read and what counts.
type Policy struct {
	Photo        string   `yaml:"photo" enum:"discard,embed" doc:"whether the portrait goes into the event"`
	Expired      string   `yaml:"expired" enum:"flag,refuse" doc:"what an expired card is"`
	RepeatWindow Duration `yaml:"repeat_window" doc:"the same card's content again on this desk: no new event"`
	VerifyReads  string   `yaml:"verify_reads" enum:"auto,always,never" doc:"read twice and compare"`
	Poll         Duration `yaml:"poll" doc:"between two looks for a card"`
	Groups       []Group  `yaml:"groups" doc:"service groups by age and sex"`
}

// Group is a service group by age and sex.
type Group struct {
	Name   string `yaml:"name" doc:"as it stands in the event"`
	Sex    string `yaml:"sex,omitempty" enum:"male,female," doc:"empty: both"`
	MinAge *int   `yaml:"min_age,omitempty" doc:"inclusive"`
	MaxAge *int   `yaml:"max_age,omitempty" doc:"inclusive"`
}

// NATS says where events go. Key names follow the NATS context files.
type NATS struct {
	URL            string      `yaml:"url" doc:"empty: embedded server; else nats:// or tls://, comma-separated"`
	Creds          string      `yaml:"creds" doc:".creds file"`
	NKey           string      `yaml:"nkey" doc:"nkey seed file"`
	User           string      `yaml:"user" doc:"user name"`
	PasswordFile   string      `yaml:"password_file" doc:"file that holds the password"`
	TLS            ClientTLS   `yaml:"tls" doc:"files, read again at each connect"`
	Stream         string      `yaml:"stream" doc:"stream that stores the events"`
	CreateStream   bool        `yaml:"create_stream" doc:"make the stream; elsewhere an administrator does (idtap bus init)"`
	APIPrefix      string      `yaml:"api_prefix" doc:"of the JetStream API as this desk's account sees it; empty: $JS.API"`
	Replicas       int         `yaml:"replicas" doc:"of a stream made here, and what the preflight asks for"`
	Strict         bool        `yaml:"strict" doc:"acks of a stream that fails the preflight do not count"`
	Embedded       Embedded    `yaml:"embedded" doc:"the embedded server"`
	AllowPlaintext bool        `yaml:"allow_plaintext" doc:"accept a non-loopback server without TLS"`
	EncryptTo      []Recipient `yaml:"encrypt_to" doc:"recipients whose data is sealed end to end"`
	SubjectHukou   string      `yaml:"subject_hukou" enum:"county,province,none" doc:"how much of the hukou division the subject shows"`
}

// ClientTLS names a client's TLS files.
type ClientTLS struct {
	CA   string `yaml:"ca" doc:"authorities, PEM"`
	Cert string `yaml:"cert" doc:"client certificate, PEM"`
	Key  string `yaml:"key" doc:"client key, PEM"`
}

// Embedded configures the embedded NATS server.
type Embedded struct {
	Listen string `yaml:"listen" doc:"also open a TCP port, e.g. 127.0.0.1:4222"`
	Config string `yaml:"config" doc:"a nats-server file (leaf node, ...)"`
}

// Recipient is a registry whose public key events are sealed to.
type Recipient struct {
	Key   string `yaml:"key" doc:"public key file"`
	Hukou string `yaml:"hukou,omitempty" doc:"only events of this division prefix; empty: every event"`
}

// Outbox configures the queue.
type Outbox struct {
	Dir        string   `yaml:"dir" doc:"empty: the user's state directory"`
	KeyFile    string   `yaml:"key_file" doc:"key of the queue; empty: outbox.key in dir"`
	MaxBytes   Bytes    `yaml:"max_bytes" doc:"bound of the queue on disk"`
	Retain     Duration `yaml:"retain" doc:"how long delivered and quarantined data stays sealed"`
	KeepCounts Duration `yaml:"keep_counts" doc:"how long counts without data stay"`
}

// Photo configures the portrait.
type Photo struct {
	Decoder []string `yaml:"decoder" doc:"command of the administrator's own WLT decoder: 1024 bytes on stdin, an image on stdout"`
}

// DeskPage configures the clerk's page and the local API.
type DeskPage struct {
	Listen     string    `yaml:"listen" doc:"beyond loopback only with tls and token_file; empty: no page"`
	Origins    []string  `yaml:"origins" doc:"other web origins that may use the API with the token"`
	TokenFile  string    `yaml:"token_file" doc:"0600 file with the token; empty: made in the state directory"`
	PINFile    string    `yaml:"pin_file" doc:"0600 file of operators and PINs; empty: events say not authenticated"`
	TLS        ServerTLS `yaml:"tls" doc:"serve https"`
	Mask       bool      `yaml:"mask" doc:"show numbers and names masked"`
	ClearAfter Duration  `yaml:"clear_after" doc:"a result goes after this, personal fields first"`
}

// VendorPorts configures the ports that answer as reader vendors' local services
// do. Whoever may ask there gets whole data without a token.
type VendorPorts struct {
	CVR         string   `yaml:"cvr" doc:"127.0.0.1:19196, as pages call 华视; empty: off"`
	XZX         string   `yaml:"xzx" doc:"127.0.0.1:8989, as pages call 新中新; empty: off"`
	Routon      string   `yaml:"routon" doc:"127.0.0.1:18889, as pages call 精伦; empty: off"`
	Origins     []string `yaml:"origins" doc:"the pages that may ask, exact, e.g. http://his.example.cn; must not be empty"`
	AnswerTests bool     `yaml:"answer_tests" doc:"answer simulated cards, too"`
}

// On reports whether any of the ports is configured.
func (v VendorPorts) On() bool { return v.CVR != "" || v.XZX != "" || v.Routon != "" }

// ServerTLS names a server's TLS files.
type ServerTLS struct {
	Cert string `yaml:"cert" doc:"certificate, PEM"`
	Key  string `yaml:"key" doc:"key, PEM"`
}

// Log configures the log.
type Log struct {
	Level   string `yaml:"level" enum:"trace,debug,info,warn,error,disabled" doc:"lowest level shown"`
	Format  string `yaml:"format" enum:"console,json" doc:"how"`
	File    string `yaml:"file" doc:"empty: stderr"`
	MaxSize Bytes  `yaml:"max_size" doc:"of one file before it is rotated"`
	Keep    int    `yaml:"keep" doc:"rotated files kept"`
}

// Default is the configuration of a desk without a file. The desk id and the
// directory depend on the machine and are filled in by Load.
func Default() Config {
	age := func(n int) *int { return &n }
	return Config{
		Desk: Desk{Role: "both", Timezone: "Asia/Shanghai"},
		Policy: Policy{
			Photo: "discard", Expired: "flag", VerifyReads: "auto",
			RepeatWindow: Duration(5 * time.Minute), Poll: Duration(150 * time.Millisecond),
			Groups: []Group{
				{Name: "child_0_6", MaxAge: age(6)},
				{Name: "elder_65", MinAge: age(65)},
				{Name: "woman_15_49", Sex: "female", MinAge: age(15), MaxAge: age(49)},
			},
		},
		NATS:     NATS{Stream: "REGISTRATIONS", Replicas: 1, SubjectHukou: "county"},
		Outbox:   Outbox{MaxBytes: 256 << 20, Retain: Duration(72 * time.Hour), KeepCounts: Duration(400 * 24 * time.Hour)},
		DeskPage: DeskPage{Listen: "127.0.0.1:7643", Mask: true, ClearAfter: Duration(30 * time.Second)},
		Log:      Log{Level: "info", Format: "console", MaxSize: 20 << 20, Keep: 5},
	}
}
