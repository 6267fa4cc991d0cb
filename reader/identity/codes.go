package identity

import "idtap/reader/card"

// sexOf reads GB/T 2261.1. Most software takes "not 1" for female; 0 and 9 are
// neither.
func sexOf(t card.Text) (Code, bool) {
	if len(t) == 1 {
		switch t[0] {
		case '1':
			return Code{Code: "1", Label: "男"}, true
		case '2':
			return Code{Code: "2", Label: "女"}, true
		case '0':
			return Code{Code: "0", Label: "未知"}, false
		case '9':
			return Code{Code: "9", Label: "未说明"}, false
		}
	}
	return Code{}, false
}

// ethnicNames are the groups of GB/T 3304-1991 from code 01 on, as the card
// prints them: without 族.
var ethnicNames = [...]string{
	"汉", "蒙古", "回", "藏", "维吾尔", "苗", "彝", "壮", "布依", "朝鲜",
	"满", "侗", "瑶", "白", "土家", "哈尼", "哈萨克", "傣", "黎", "傈僳",
	"佤", "畲", "高山", "拉祜", "水", "东乡", "纳西", "景颇", "柯尔克孜", "土",
	"达斡尔", "仫佬", "羌", "布朗", "撒拉", "毛南", "仡佬", "锡伯", "阿昌", "普米",
	"塔吉克", "怒", "乌孜别克", "俄罗斯", "鄂温克", "德昂", "保安", "裕固", "京", "塔塔尔",
	"独龙", "鄂伦春", "赫哲", "门巴", "珞巴", "基诺",
}

const (
	ethnicOther       = "其他"
	ethnicNaturalised = "外国血统中国籍人士"
)

// ethnicOf reads a code of GB/T 3304. Beyond 56 two conventions are in use, 97
// and 98 or 57 and 58; the second is mapped to the first (remapped). A code
// that is in neither stays as it is, without a label (not known).
func ethnicOf(t card.Text) (c Code, known, remapped bool) {
	if len(t) != 2 || t[0] < '0' || t[0] > '9' || t[1] < '0' || t[1] > '9' {
		return Code{}, false, false
	}
	n := int(t[0]-'0')*10 + int(t[1]-'0')
	code := string([]byte{byte(t[0]), byte(t[1])})
	switch {
	case 1 <= n && n <= len(ethnicNames):
		return Code{Code: code, Label: ethnicNames[n-1]}, true, false
	case n == 97:
		return Code{Code: code, Label: ethnicOther}, true, false
	case n == 98:
		return Code{Code: code, Label: ethnicNaturalised}, true, false
	case n == 57:
		return Code{Code: "97", Label: ethnicOther, Raw: code}, true, true
	case n == 58:
		return Code{Code: "98", Label: ethnicNaturalised, Raw: code}, true, true
	}
	return Code{Code: code}, false, false
}
