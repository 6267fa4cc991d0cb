package vendorports

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/publisher"
	"idtap/publisher/event"
	"idtap/reader"
)

const (
	his   = "http://his.example.cn"
	hotel = "https://hotel.example.cn"
)

// desk is the three ports before one reader.
type desk struct {
	t     *testing.T
	clock *clockwork.FakeClock
	slot  *Slot
	ports *Ports

	mu    sync.Mutex
	audit []string
	fail  error
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, clock: clockwork.NewFakeClockAt(time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC))}
	d.slot = NewSlot(d.clock, false)
	var err error
	d.ports, err = Listen(t.Context(), Options{CVR: "127.0.0.1:0", XZX: "127.0.0.1:0", Routon: "127.0.0.1:0", Origins: []string{his, hotel},
		Slot: d.slot, Clock: d.clock, Log: zerolog.Nop(), Audit: func(_ context.Context, who, what, id string) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.fail == nil {
				d.audit = append(d.audit, who+" "+what+" "+id)
			}
			return d.fail
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.ports.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Ready})
	return d
}

// specimen is person 1 of the vectors.
func specimen() event.Registration {
	return event.Registration{
		Document: event.Document{Kind: "resident", Number: "11010519491231002X", IssuingAuthority: "北京市公安局朝阳分局", ValidFrom: "2016-03-15",
			ValidTo: event.ValidTo{Null: true}, LongTerm: true},
		Person: event.Person{Name: "样本甲子", Sex: &event.Code{Code: "2", Label: "女"}, Ethnic: &event.Code{Code: "01", Label: "汉"}, BirthDate: "1949-12-31"},
		Hukou:  &event.Hukou{Address: "北京市朝阳区样本街道测试路1号", PrintedAddress: "北京市朝阳区样本街道测试路1号"},
	}
}

// place puts a card on the reader that gives a record.
func (d *desk) place(id string, data event.Registration) {
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Found})
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Reading})
	d.slot.Tapped(publisher.Tapped{ID: id, Reader: "front", Outcome: publisher.Accepted, Data: data})
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Held})
}

func (d *desk) lift() { d.slot.Reader(reader.State{Reader: "front", Phase: reader.Ready}) }

// answer is one HTTP answer.
type answer struct {
	status int
	body   string
	header http.Header
}

// ask sends one request to a port (0 cvr, 1 xzx, 2 routon); headers come in pairs.
func (d *desk) ask(port int, method, target string, headers ...string) answer {
	d.t.Helper()
	addr := d.ports.Addresses()[port]
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://"+addr+target, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = strings.ReplaceAll(headers[i+1], "PORT", addr[strings.LastIndexByte(addr, ':')+1:])
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{resp.StatusCode, string(b), resp.Header}
}

const cvrVector = "{\n" +
	"\t\"bornDay\" : \"19491231\",\n\t\"certAddress\" : \"北京市朝阳区样本街道测试路1号\",\n\t\"certNumber\" : \"11010519491231002X\",\n" +
	"\t\"certOrg\" : \"北京市公安局朝阳分局\",\n\t\"certType\" : \" \",\n\t\"effDate\" : \"20160315\",\n\t\"errorMsg\" : \"读卡成功\",\n" +
	"\t\"expDate\" : \"长期\",\n\t\"gender\" : \"女\",\n\t\"identityPic\" : \"\",\n\t\"nation\" : \"汉\",\n\t\"nationCode\" : \"01\",\n" +
	"\t\"partyName\" : \"样本甲子\",\n\t\"resultFlag\" : 0\n}\n"

// Vectors B to B9: 19196.
func TestCVR(t *testing.T) {
	d := newDesk(t)
	for _, path := range []string{"/readcard&t=1", "/readCard"} { // B2
		a := d.ask(0, "GET", path, "Origin", hotel)
		for _, line := range []string{`"errorMsg" : "读卡失败"`, `"resultFlag" : -11`, `"certNumber" : ""`} {
			if a.status != 200 || !strings.Contains(a.body, line) {
				t.Errorf("%s without a card: %d %s, want %s", path, a.status, a.body, line)
			}
		}
	}
	d.place("a1", specimen())
	d.clock.Advance(40 * time.Second)
	for _, target := range []string{"/readcard&t=1764000000000", "/readcard", "/readCard", "/READCARD&t=0.5", "/readcard&picpath=D:/1/123.bmp&t=1",
		"/readcard&picpath=%22D:/1/123.bmp%22&t=1", "/readcard?t=1"} { // B, B3, B5, B6
		for _, method := range []string{"GET", "POST"} {
			a := d.ask(0, method, target, "Origin", hotel, "Host", "127.0.0.1:PORT")
			if a.status != 200 || a.body != cvrVector || a.header.Get("Content-Type") != "application/json; charset=utf-8" ||
				a.header.Get("Access-Control-Allow-Origin") != hotel {
				t.Errorf("%s %s = %d %v\n%s\nwant\n%s", method, target, a.status, a.header, a.body, cvrVector)
			}
		}
	}
	for re, want := range map[string]string{`"errorMsg" : (.*)`: `"读卡成功",`, `"resultFlag" : (.*)`: "0", `"certNumber" : "(.*?)"`: "11010519491231002X"} { // B7
		m := regexp.MustCompile(re).FindStringSubmatch(d.ask(0, "GET", "/readcard", "Origin", hotel).body)
		if len(m) != 2 || m[1] != want {
			t.Errorf("%s matches %q, want %q", re, m, want)
		}
	}
	if a := d.ask(0, "GET", "/OpenDevice&t=1", "Origin", hotel); !strings.Contains(a.body, `"errorMsg" : "打开成功"`) || !strings.Contains(a.body, `"resultFlag" : 0`) { // B4
		t.Errorf("OpenDevice = %s", a.body)
	}
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Away})
	d.clock.Advance(5 * time.Second)
	if a := d.ask(0, "GET", "/OPENDEVICE", "Origin", hotel); !strings.Contains(a.body, `"resultFlag" : -1`) {
		t.Errorf("OpenDevice without a reader = %s", a.body)
	}
	a := d.ask(0, "OPTIONS", "/readcard", "Origin", hotel, "Access-Control-Request-Headers", "uc-token,x-hotel-code") // B8
	if a.status != 204 || a.header.Get("Access-Control-Allow-Headers") != "uc-token,x-hotel-code" {
		t.Errorf("preflight = %d %v", a.status, a.header)
	}
	special := specimen()
	special.Hukou.PrintedAddress = "样本路<1>&\U0002EBF0号" // B9
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Ready})
	d.place("a2", special)
	if a := d.ask(0, "GET", "/readcard", "Origin", hotel); !strings.Contains(a.body, "样本路<1>&\U0002EBF0号") || strings.Contains(a.body, `\u`) {
		t.Errorf("special characters = %s", a.body)
	}
}

func xzxFields(t *testing.T, a answer) map[string]any {
	t.Helper()
	body := a.body
	if rest, ok := strings.CutPrefix(body, "/**/"); ok {
		_, body, _ = strings.Cut(rest, "(")
		body = strings.TrimSuffix(body, ");")
	}
	var f map[string]any
	if err := json.Unmarshal([]byte(body), &f); err != nil {
		t.Fatalf("%q: %v", a.body, err)
	}
	return f
}

// Vectors A to A12: 8989.
func TestXZX(t *testing.T) {
	d := newDesk(t)
	script := []string{"Host", "localhost:PORT", "Referer", his + "/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"}
	d.place("a1", specimen())
	d.clock.Advance(40 * time.Second)
	a := d.ask(1, "GET", "/api/ReadMsg?waitTime=3&readOnce=1&callback=jQuery1124012_17&_=17", script...)
	const want = `/**/jQuery1124012_17({"code":"0","retcode":"0x90 0x1","retmsg":"操作成功||相片解码解码正确","errmsg":"","name":"样本甲子","sex":"女","nation":"汉","born":"19491231",` +
		`"address":"北京市朝阳区样本街道测试路1号","cardno":"11010519491231002X","userlifeb":"20160315","userlifee":"长期","police":"北京市公安局朝阳分局","photobase64":"",` +
		`"CardType":"0","CardTypeName":"","EngName":"","CertVol":"","PassID":"","IssuesTimes":"","Reserved":"","FpDescribe":"","FpData":null`
	if !strings.HasPrefix(a.body, want) || !strings.HasSuffix(a.body, `"frontImg":"","backImg":""});`) || a.header.Get("Content-Type") != "text/javascript; charset=utf-8" ||
		a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("A = %s %v", a.body, a.header)
	}
	// A2: the same card again, readOnce: the whole wait, then no card.
	second := make(chan answer, 1)
	go func() { second <- d.ask(1, "GET", "/api/ReadMsg?waitTime=3&readOnce=1&callback=f", script...) }()
	d.blockUntilWaiting()
	d.clock.Advance(3 * time.Second)
	if f := xzxFields(t, <-second); f["code"] != "-1" || f["retcode"] != "0x41" || f["cardno"] != "" {
		t.Errorf("A2 = %v", f)
	}
	if f := xzxFields(t, d.ask(1, "GET", "/api/ReadMsg?callback=f", script...)); f["code"] != "0" { // A3
		t.Errorf("A3 = %v", f)
	}
	plain := d.ask(1, "GET", "/api/ReadMsg?cardImg=1", "Origin", his) // A8
	if f := xzxFields(t, plain); f["code"] != "0" || f["frontImg"] != "" || plain.header.Get("Content-Type") != "application/json; charset=utf-8" ||
		plain.header.Get("Access-Control-Allow-Origin") != his || plain.header.Get("Vary") != "Origin" {
		t.Errorf("A8 = %v %v", f, plain.header)
	}
	if a := d.ask(1, "GET", "/api/Version", "Origin", his); a.body != `{"retcode":"0","retmsg":"v3.3.4","errmsg":""}` { // A9
		t.Errorf("A9 = %s", a.body)
	}
	d.lift()
	d.clock.Advance(5 * time.Second)
	if f := xzxFields(t, d.ask(1, "GET", "/api/ReadMsg?callback=f", script...)); f["retcode"] != "0x41" || f["name"] != "" { // A4, A7
		t.Errorf("A7 = %v", f)
	}
	// A5: a card placed into the wait.
	placed := make(chan answer, 1)
	go func() { placed <- d.ask(1, "GET", "/api/ReadMsg?waitTime=3&callback=f", script...) }()
	d.blockUntilWaiting()
	d.place("a2", specimen())
	if f := xzxFields(t, <-placed); f["code"] != "0" {
		t.Errorf("A5 = %v", f)
	}
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Away})
	d.clock.Advance(4 * time.Second)
	if f := xzxFields(t, d.ask(1, "GET", "/api/ReadMsg?waitTime=3&callback=f", script...)); f["retcode"] != "0x1" { // A6
		t.Errorf("A6 = %v", f)
	}
}

// blockUntilWaiting waits until one request waits for a card.
func (d *desk) blockUntilWaiting() {
	d.t.Helper()
	if err := d.clock.BlockUntilContext(d.t.Context(), 1); err != nil {
		d.t.Fatal(err)
	}
}

func TestXZXKinds(t *testing.T) {
	d := newDesk(t)
	for _, tt := range []struct {
		data event.Registration
		want map[string]string
	}{
		{event.Registration{Document: event.Document{Kind: "hmt_permit", Number: "810000199408230021", PassNumber: "H00000001", IssueCount: "01"}}, // A10
			map[string]string{"CardType": "2", "PassID": "H00000001", "IssuesTimes": "01"}},
		{event.Registration{Document: event.Document{Kind: "foreign_pr_2023", Renewals: "02", OldNumber: "SAU320185010138"},
			Person: event.Person{Nationality: "SAU", NameEn: "SAMPLE,ONE"}}, // A11
			map[string]string{"CardType": "3", "nation": "沙特阿拉伯/SAU", "EngName": "SAMPLE,ONE", "IssuesTimes": "02", "Reserved": "SAU320185010138"}},
		{event.Registration{Document: event.Document{Kind: "foreign_pr_2017"}, Person: event.Person{Nationality: "KAZ"}},
			map[string]string{"CardType": "1", "nation": "哈萨克斯坦/KAZ"}},
	} {
		d.place("a", tt.data)
		f := xzxFields(t, d.ask(1, "GET", "/api/readmsg", "Origin", his))
		for key, want := range tt.want {
			if f[key] != want {
				t.Errorf("%s: %s = %v, want %s", tt.data.Document.Kind, key, f[key], want)
			}
		}
	}
}

// Vectors C to C5: 18889.
func TestRouton(t *testing.T) {
	d := newDesk(t)
	if a := d.ask(2, "POST", "/api/readCert", "Origin", his); a.body != `{"resultFlag":-2,"errorMsg":"读卡失败，请重新放卡"}` { // C3
		t.Errorf("C3 = %s", a.body)
	}
	d.place("a1", specimen())
	const content = `{"certType":1,"partyName":"样本甲子","gender":0,"nation":"汉","bornDay":"19491231","certAddress":"北京市朝阳区样本街道测试路1号","certNumber":"11010519491231002X",` +
		`"certOrg":"北京市公安局朝阳分局","effDate":"20160315","expDate":"长期","identityPic":""`
	for _, tt := range [][3]string{
		{"POST", "/api/connect", `{"resultFlag":0,"errorMsg":""}`},
		{"POST", "/api/getStatus", `{"resultFlag":0,"errorMsg":"","status":0}`},
		{"POST", "/api/readCert", `{"resultFlag":0,"errorMsg":"","resultContent":` + content + `,"identityPrintPic":""}}`},
		{"GET", "/api/readCert?_t=1", `{"resultFlag":0,"errorMsg":"","resultContent":` + content + `,"identityPrintPic":""}}`}, // C4
		{"POST", "/api/readCard", `{"resultFlag":0,"errorMsg":"","resultContent":` + content + `}}`},                           // C5
	} {
		if a := d.ask(2, tt[0], tt[1], "Origin", his); a.status != 200 || a.body != tt[2] {
			t.Errorf("%s %s = %s, want %s", tt[0], tt[1], a.body, tt[2])
		}
	}
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Away}) // C2
	d.clock.Advance(4 * time.Second)
	for _, tt := range [][2]string{{"/api/connect", `{"resultFlag":-1,"errorMsg":"端口打开失败"}`}, {"/api/readCert", `{"resultFlag":-1,"errorMsg":"端口打开失败"}`},
		{"/api/getStatus", `{"resultFlag":0,"errorMsg":"","status":-1}`}} {
		if a := d.ask(2, "POST", tt[0], "Origin", his); a.body != tt[1] {
			t.Errorf("%s without a reader = %s, want %s", tt[0], a.body, tt[1])
		}
	}
}

// Vectors N1 to N11: refused, and no personal byte leaves.
func TestRefusals(t *testing.T) {
	d := newDesk(t)
	d.place("a1", specimen())
	const jsonp = "/api/ReadMsg?callback=f"
	for _, tt := range []struct {
		name, target string
		status       int
		reason       string
		headers      []string
	}{
		{"N1", jsonp, 403, "referer_missing_https", []string{"Sec-Fetch-Site", "cross-site"}},
		{"N2", jsonp, 403, "referer_not_listed", []string{"Referer", "http://evil.example/"}},
		{"N3", jsonp, 403, "referer_not_listed", []string{"Referer", "http://his.example.cn.evil.example/"}},
		{"N3", jsonp, 403, "referer_not_listed", []string{"Referer", "http://evil.example/?http://his.example.cn"}},
		{"N3", jsonp, 403, "referer_not_listed", []string{"Referer", "http://his.example.cn@evil.example/"}},
		{"N4", "/api/ReadMsg", 403, "origin_not_listed", []string{"Origin", "null"}},
		{"N5", jsonp, 403, "not_a_script", []string{"Referer", his + "/", "Sec-Fetch-Dest", "image"}},
		{"N5", jsonp, 403, "not_a_script", []string{"Referer", his + "/", "Sec-Fetch-Dest", "document", "Sec-Fetch-Mode", "navigate"}},
		{"N6", "/api/ReadMsg", 403, "no_callback", []string{"Referer", his + "/"}},
		{"N7", "/api/ReadMsg?callback=alert(1)//", 400, "bad_callback", []string{"Referer", his + "/"}},
		{"N7", "/api/ReadMsg?callback=alert(1)//", 400, "bad_callback", []string{"Origin", his}},
		{"N8", "/api/ReadMsg", 421, "host", []string{"Host", "attacker.example:8989", "Origin", his}},
		{"N9", jsonp, 403, "referer_missing", nil},
		{"N10", jsonp, 403, "origin_not_listed", []string{"Origin", "http://evil.example", "Referer", his + "/"}},
		{"prefix", "/api/ReadMsg", 403, "origin_not_listed", []string{"Origin", his + ":8080"}},
		{"case", "/api/ReadMsg", 403, "origin_not_listed", []string{"Origin", "HTTP://HIS.EXAMPLE.CN"}},
	} {
		a := d.ask(1, "GET", tt.target, tt.headers...)
		if a.status != tt.status || strings.TrimSpace(a.body) != tt.reason || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s = %d %q, want %d %s", tt.name, a.status, a.body, tt.status, tt.reason)
		}
	}
	for _, port := range []int{0, 2} { // no script is answered there, whatever the Referer
		if a := d.ask(port, "GET", "/readcard?callback=f", "Referer", his+"/"); a.status != 403 {
			t.Errorf("port %d answers a script: %d %s", port, a.status, a.body)
		}
	}
	if len(d.audit) != 0 {
		t.Errorf("audit %q, want nothing: nobody was given data", d.audit)
	}
}

// N12: a page that asks without end is bounded.
func TestFlood(t *testing.T) {
	d := newDesk(t)
	d.place("a1", specimen())
	codes := map[int]int{}
	for range 300 {
		codes[d.ask(0, "GET", "/readcard", "Origin", his).status]++
	}
	if codes[200] != 100 || codes[429] != 200 {
		t.Errorf("answers %v, want 100 of 200 and 200 of 429 in one moment", codes)
	}
}

// What lies there is answered; what does not, never.
func TestOnlyWhileTheCardLiesThere(t *testing.T) {
	d := newDesk(t)
	number := func() string {
		f := xzxFields(t, d.ask(1, "GET", "/api/ReadMsg", "Origin", his))
		return f["cardno"].(string)
	}
	d.place("a1", specimen())
	d.clock.Advance(time.Hour)
	if got := number(); got == "" {
		t.Error("a card that still lies there is not answered")
	}
	d.lift()
	d.clock.Advance(2 * time.Second)
	if got := number(); got == "" {
		t.Error("nothing two seconds after lifting, want the data for three")
	}
	d.clock.Advance(1500 * time.Millisecond)
	if got := number(); got != "" {
		t.Error("data 3.5 s after lifting")
	}
	d.place("a2", specimen())
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Reading}) // it may be another card by now
	if got := number(); got != "" {
		t.Error("data while the held card is read again")
	}
	d.slot.Reader(reader.State{Reader: "front", Phase: reader.Held})
	if got := number(); got == "" {
		t.Error("nothing although it is the same card")
	}
	d.slot.FollowedUp(publisher.FollowUp{Refers: "a2", Type: event.CancelledType})
	if got := number(); got != "" {
		t.Error("data of a cancelled record")
	}
	d.slot.Tapped(publisher.Tapped{ID: "q", Reader: "front", Outcome: publisher.Refused, Data: specimen()})
	if f := xzxFields(t, d.ask(1, "GET", "/api/ReadMsg", "Origin", his)); f["cardno"] != "" || f["retcode"] != "0x41" || !strings.Contains(f["retmsg"].(string), "请拿起证件再放一次") {
		t.Errorf("a refused tap = %v", f)
	}
	test := specimen()
	test.Test = true
	d.place("t", test)
	if got := number(); got != "" {
		t.Error("a simulated card fills a form")
	}
}

// Data leaves only after its audit line.
func TestAudit(t *testing.T) {
	d := newDesk(t)
	d.place("a1", specimen())
	d.ask(0, "GET", "/readcard", "Origin", his)
	if want := "origin:" + his + " vendor_port cvr a1"; len(d.audit) != 1 || d.audit[0] != want {
		t.Errorf("audit %q, want %q", d.audit, want)
	}
	d.mu.Lock()
	d.fail = errors.New("disk full")
	d.mu.Unlock()
	if a := d.ask(0, "GET", "/readcard", "Origin", his); a.status != 200 || strings.Contains(a.body, "11010519491231002X") {
		t.Errorf("data without an audit line: %s", a.body)
	}
	if n := d.ports.Counts()[Count{"cvr", "given"}]; n != 1 {
		t.Errorf("%d given, want 1", n)
	}
}

func TestListenRefuses(t *testing.T) {
	o := Options{Slot: NewSlot(clockwork.NewRealClock(), false), Log: zerolog.Nop()}
	if _, err := Listen(t.Context(), o); !errors.Is(err, ErrNoOrigins) {
		t.Errorf("without origins: %v, want ErrNoOrigins", err)
	}
	o.Origins = []string{his}
	for _, address := range []string{"0.0.0.0:0", "192.168.1.2:19196", "localhost:19196", "19196", "[::]:0"} {
		o.CVR = address
		if _, err := Listen(t.Context(), o); err == nil || !strings.Contains(err.Error(), "vendor_ports.cvr") {
			t.Errorf("Listen(%s) = %v, want a refusal that names the key", address, err)
		}
	}
}

// FuzzRequest sends any target and headers: no panic, and never data without a
// listed page.
func FuzzRequest(f *testing.F) {
	f.Add("/api/ReadMsg?callback=f", "http://his.example.cn/", "", "script")
	f.Add("/readcard&t=1", "", "null", "")
	f.Fuzz(func(t *testing.T, target, referer, origin, dest string) {
		r, err := http.NewRequest("GET", "http://127.0.0.1:8989/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
		r.Header = http.Header{"Referer": {referer}, "Origin": {origin}, "Sec-Fetch-Dest": {dest}}
		_, query := split(r.URL)
		g := guard{listen: "127.0.0.1:8989", origins: []string{his}}
		got, no := g.admit(r, true, query.Get("callback"))
		if (no == nil) != (got == his) {
			t.Fatalf("admit(%q, %q) = %q, %v", referer, origin, got, no)
		}
		if no == nil && origin != his && !strings.HasPrefix(referer, his) {
			t.Fatalf("admitted referer %q, origin %q", referer, origin)
		}
	})
}
