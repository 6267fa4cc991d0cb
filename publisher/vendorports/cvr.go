package vendorports

import (
	"fmt"
	"strings"
)

// cvr is 19196: /OpenDevice, /readcard, /CloseDevice, in any case, parameters
// glued on with & [vendor-ports section 2]. Answers are styled lines, keys
// sorted, one space on both sides of the colon, resultFlag a number: pages match
// them by regular expression.
type cvr struct{}

// The codes that pages know: 0, and -11 for "no card yet, go on polling".
const (
	cvrDone   = 0
	cvrNoCard = -11
	cvrAway   = -1
)

func (cvr) name() string { return "cvr" }

func (cvr) jsonp() bool { return false }

func (cvr) plan(path string) call {
	switch strings.ToLower(strings.Trim(path, "/")) {
	case "readcard":
		return call{verb: read}
	case "opendevice":
		return call{verb: connect}
	case "closedevice":
		return call{verb: disconnect}
	}
	return call{verb: unknown}
}

func (cvr) answer(c call, out outcome, p person) string {
	pairs := map[string]string{}
	flag, message := cvrDone, ""
	switch {
	case c.verb == unknown:
		flag, message = cvrAway, "不支持的调用"
	case c.verb == disconnect:
		message = "关闭成功"
	case c.verb == connect && out == away:
		flag, message = cvrAway, "读卡器未连接"
	case c.verb == connect:
		message = "打开成功"
	default:
		flag, message = cvrNoCard, "读卡失败"
		switch out {
		case card:
			flag, message = cvrDone, "读卡成功"
		case misread:
			message = "读卡失败：本次未登记，请拿起证件再放一次"
		case away:
			flag, message = cvrAway, "读卡器未连接"
		}
		pairs = cvrFields(out, p)
	}
	return styled(pairs, flag, message)
}

func cvrFields(out outcome, p person) map[string]string {
	f := map[string]string{"bornDay": p.born, "certAddress": p.address, "certNumber": p.number, "certOrg": p.authority, "certType": "",
		"effDate": p.from, "expDate": p.to, "gender": p.sex, "identityPic": p.photo, "nation": p.nation, "nationCode": p.nationCode, "partyName": p.name}
	if out == card {
		// The chip's own mark; that a 2023 card's stands here too is inferred.
		f["certType"] = map[string]string{"resident": " ", "hmt_permit": "J", "foreign_pr_2017": "I", "foreign_pr_2023": "Y"}[p.kind]
		if p.country != "" {
			f["nation"] = p.country
		}
		if p.name == "" {
			f["partyName"] = p.nameEn
		}
	}
	return f
}

// cvrKeys is the order of the lines.
var cvrKeys = []string{"bornDay", "certAddress", "certNumber", "certOrg", "certType", "effDate", "errorMsg", "expDate", "gender", "identityPic",
	"nation", "nationCode", "partyName", "resultFlag"}

func styled(pairs map[string]string, flag int, message string) string {
	var lines []string
	for _, key := range cvrKeys {
		switch key {
		case "errorMsg":
			lines = append(lines, fmt.Sprintf("\t%q : %s", key, text(message)))
		case "resultFlag":
			lines = append(lines, fmt.Sprintf("\t%q : %d", key, flag))
		default:
			if v, ok := pairs[key]; ok {
				lines = append(lines, fmt.Sprintf("\t%q : %s", key, text(v)))
			}
		}
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n}\n"
}
