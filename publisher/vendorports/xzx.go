package vendorports

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// xzx is 8989: GET /api/ReadMsg, plain or JSONP, every value a string
// [vendor-ports section 3].
type xzx struct{}

const (
	xzxMaxWait = 60 * time.Second
	// xzxRead is compared for equality by pages, the doubled word included.
	xzxRead    = "操作成功||相片解码解码正确"
	xzxVersion = "v3.3.4"
)

func (xzx) name() string { return "xzx" }

func (xzx) jsonp() bool { return true }

func (xzx) plan(path string) call {
	switch strings.ToLower(strings.Trim(path, "/")) {
	case "api/readmsg", "api/readmsgjsonp", "api/readmsgie":
		return call{verb: read}
	case "api/version":
		return call{verb: version}
	case "api/beep":
		return call{verb: connect}
	}
	return call{verb: unknown}
}

// parameters reads what the service's calls carry; names in any case.
func (c *call) parameters(q url.Values) {
	for key, values := range q {
		v := values[0]
		switch strings.ToLower(key) {
		case "waittime":
			if n, err := strconv.Atoi(v); err == nil && n > 0 {
				c.wait = min(time.Duration(min(n, 3600))*time.Second, xzxMaxWait)
			}
		case "readonce":
			c.once = v == "1"
		case "nophoto":
			c.noPhoto = v == "1"
		case "ie":
			c.html = v == "1"
		}
	}
}

func (xzx) answer(c call, out outcome, p person) string {
	switch {
	case c.verb == version:
		return `{"retcode":"0","retmsg":` + text(xzxVersion) + `,"errmsg":""}`
	case c.verb == connect:
		return `{"retcode":"0","retmsg":"","errmsg":""}`
	case c.verb == unknown:
		return xzxRecord("-1", "0x1", "不支持的调用", person{}, "")
	}
	switch out {
	case card:
		return xzxRecord("0", "0x90 0x1", xzxRead, p, map[string]string{"resident": "0", "foreign_pr_2017": "1", "hmt_permit": "2", "foreign_pr_2023": "3"}[p.kind])
	case away:
		return xzxRecord("-1", "0x1", "读卡器未连接", person{}, "")
	case misread:
		return xzxRecord("-1", "0x41", "读卡失败：本次未登记，请拿起证件再放一次", person{}, "")
	}
	return xzxRecord("-1", "0x41", "读卡失败，请把证件放在读卡器上", person{}, "")
}

func xzxRecord(code, retcode, message string, p person, cardType string) string {
	nation := p.nation
	if p.country != "" {
		nation = p.country + "/" + p.alpha3
	}
	pairs := [][2]string{{"code", code}, {"retcode", retcode}, {"retmsg", message}, {"errmsg", ""}, {"name", p.name}, {"sex", p.sex}, {"nation", nation},
		{"born", p.born}, {"address", p.address}, {"cardno", p.number}, {"userlifeb", p.from}, {"userlifee", p.to}, {"police", p.authority},
		{"photobase64", p.photo}, {"CardType", cardType}, {"CardTypeName", ""}, {"EngName", p.nameEn}, {"CertVol", ""}, {"PassID", p.pass},
		{"IssuesTimes", p.issues}, {"Reserved", p.oldNumber}, {"FpDescribe", ""}, {"FpData", ""}, {"FpFingerName1", ""}, {"FpFingerName2", ""},
		{"FpQuality1", ""}, {"FpQuality2", ""}, {"FpRegResult1", ""}, {"FpRegResult2", ""}, {"FpFeature1", ""}, {"FpFeature2", ""},
		{"frontImg", ""}, {"backImg", ""}}
	var b strings.Builder
	for i, kv := range pairs {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		value := text(kv[1])
		if kv[0] == "FpData" {
			value = "null"
		}
		b.WriteString(text(kv[0]) + ":" + value)
	}
	return b.String() + "}"
}
