package vendorports

import (
	"fmt"
	"strings"
)

// routon is 18889: /api/connect, /api/getStatus, /api/readCert, /api/readCard
// [vendor-ports section 4]. resultFlag is a number, the card stands in
// resultContent.
type routon struct{}

func (routon) name() string { return "routon" }

func (routon) jsonp() bool { return false }

func (routon) plan(path string) call {
	switch strings.ToLower(strings.Trim(path, "/")) {
	case "api/connect":
		return call{verb: connect}
	case "api/disconnect":
		return call{verb: disconnect}
	case "api/getstatus":
		return call{verb: status}
	case "api/readcert":
		return call{verb: read, sides: true}
	case "api/readcard":
		return call{verb: read}
	}
	return call{verb: unknown}
}

func (routon) answer(c call, out outcome, p person) string {
	flag := func(n int, message, more string) string {
		return fmt.Sprintf(`{"resultFlag":%d,"errorMsg":%s%s}`, n, text(message), more)
	}
	switch {
	case c.verb == unknown:
		return flag(-1, "不支持的调用", "")
	case c.verb == disconnect:
		return flag(0, "", "")
	case c.verb == status && out == away:
		return flag(0, "", `,"status":-1`)
	case c.verb == status:
		return flag(0, "", `,"status":0`)
	case out == away:
		return flag(-1, "端口打开失败", "")
	case c.verb == connect:
		return flag(0, "", "")
	case out == misread:
		return flag(-2, "读卡失败：本次未登记，请拿起证件再放一次", "")
	case out != card:
		return flag(-2, "读卡失败，请重新放卡", "")
	}
	return flag(0, "", `,"resultContent":`+routonContent(p, c.sides))
}

// routonContent has the gender as a number, 1 male and 0 female: three pages want
// it so, one of an older plug-in the word.
func routonContent(p person, sides bool) string {
	certType := 1
	switch {
	case strings.HasPrefix(p.kind, "foreign"):
		certType = 50
	case p.kind == "hmt_permit" && strings.HasPrefix(p.number, "83"):
		certType = 54
	case p.kind == "hmt_permit":
		certType = 55
	}
	gender := 0
	if p.sexCode == "1" {
		gender = 1
	}
	nation, name := p.nation, p.name
	if p.country != "" {
		nation = p.country
	}
	if name == "" {
		name = p.nameEn
	}
	out := fmt.Sprintf(`{"certType":%d,"partyName":%s,"gender":%d,"nation":%s,"bornDay":%s,"certAddress":%s,"certNumber":%s,"certOrg":%s,"effDate":%s,"expDate":%s,"identityPic":%s`,
		certType, text(name), gender, text(nation), text(p.born), text(p.address), text(p.number), text(p.authority), text(p.from), text(p.to), text(p.photo))
	if sides {
		out += `,"identityPrintPic":""`
	}
	return out + "}"
}
