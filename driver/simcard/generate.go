package simcard

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// locality is a county: where a made-up person is registered.
type locality struct{ code, name, authority string }

// localities are a few counties that send or take migrants, with the oddities that
// addresses have: autonomous counties, municipalities, long names.
var localities = []locality{
	{"620422", "甘肃省白银市会宁县", "会宁县公安局"},
	{"410105", "河南省郑州市金水区", "郑州市公安局金水分局"},
	{"411623", "河南省周口市商水县", "商水县公安局"},
	{"341221", "安徽省阜阳市临泉县", "临泉县公安局"},
	{"511722", "四川省达州市宣汉县", "宣汉县公安局"},
	{"421182", "湖北省黄冈市武穴市", "武穴市公安局"},
	{"450923", "广西壮族自治区玉林市博白县", "博白县公安局"},
	{"520526", "贵州省毕节市威宁彝族回族苗族自治县", "威宁彝族回族苗族自治县公安局"},
	{"653125", "新疆维吾尔自治区喀什地区莎车县", "莎车县公安局"},
	{"110105", "北京市朝阳区", "北京市公安局朝阳分局"},
	{"150429", "内蒙古自治区赤峰市宁城县", "宁城县公安局"},
	{"610722", "陕西省汉中市城固县", "城固县公安局"},
}

var (
	surnames = strings.Split("赵 钱 孙 李 周 吴 郑 王 冯 陈 褚 卫 蒋 沈 韩 杨 欧阳 上官 诸葛 司马", " ")
	stems    = strings.Split("甲 乙 丙 丁 戊 己 庚 辛 壬 癸", " ")
	branches = strings.Split("子 丑 寅 卯 辰 巳 午 未 申 酉 戌 亥", " ")
	spelling = strings.Split("ALPHA BRAVO CHARLIE DELTA ECHO FOXTROT GOLF HOTEL INDIA JULIETT KILO LIMA MIKE NOVEMBER OSCAR PAPA QUEBEC ROMEO SIERRA TANGO", " ")
	hmtCodes = []string{"810000", "820000", "830000"}
	ethnics  = strings.Split("01 01 01 01 02 03 05 06 07 08 11 15 22 56", " ")
	nations  = []struct{ alpha, numeric string }{
		{"KAZ", "398"}, {"FRA", "250"}, {"DEU", "276"}, {"CAN", "124"}, {"USA", "840"}, {"JPN", "392"}, {"KOR", "410"}, {"SAU", "682"},
	}
	// rare are given names that registries stumble over.
	rare = [][]uint16{
		{0xE863},         // private use with a known meaning, U+4DAE
		{0x4DAE},         // the same character at its own code point
		{0x9FB4},         // swapped in GB 18030-2022
		{0xD840, 0xDC87}, // U+20087, a surrogate pair
		{0xE5E5},         // private use without a known meaning
	}
)

// Generate makes n distinct cards of all four kinds. The same seed makes the same
// cards, and a longer list begins with the shorter one. Numbers carry valid check
// characters. No card is a real person's: names are celestial stems and earthly
// branches after a surname, and sequence numbers are 900 and above, which
// registries do not reach in one county on one day.
func Generate(seed uint64, n int) []Card {
	g := generator{rand.New(rand.NewPCG(seed, 0x1D7A9))}
	cards := make([]Card, 0, n)
	seen := make(map[string]bool, n)
	for len(cards) < n {
		var c Card
		switch k := g.IntN(20); {
		case k < 14:
			c = g.resident()
		case k < 16:
			c = g.hmt()
		case k < 18:
			c = g.foreign2017()
		default:
			c = g.foreign2023()
		}
		if seen[c.Number] {
			continue
		}
		seen[c.Number] = true
		cards = append(cards, c)
	}
	return cards
}

type generator struct{ *rand.Rand }

func pick[T any](g generator, list []T) T { return list[g.IntN(len(list))] }

// day picks a calendar day in [from, to], YYYYMMDD.
func (g generator) day(from, to string) string {
	a, b := day(from), day(to)
	days := int(b.Sub(a).Hours() / 24)
	return a.AddDate(0, 0, g.IntN(days+1)).Format("20060102")
}

func day(s string) time.Time {
	t, err := time.Parse("20060102", s)
	if err != nil {
		panic("simcard: bad day in the generator: " + s)
	}
	return t
}

// sequence is three digits from 900 whose last one has the sex's parity.
func (g generator) sequence(sex string) string {
	s := 900 + 2*g.IntN(50)
	if sex == "1" {
		s++
	}
	return fmt.Sprint(s)
}

func (g generator) address(p locality) string {
	return fmt.Sprintf("%s样本镇测试村%d组%d号", p.name, 1+g.IntN(9), 1+g.IntN(199))
}

func (g generator) resident() Card {
	home := pick(g, localities)
	c := Card{
		Kind: Resident, Sex: fmt.Sprint(1 + g.IntN(2)), Ethnic: pick(g, ethnics), Birth: g.day("19400101", "20191231"),
		Address: g.address(home), Authority: home.authority,
		Name: pick(g, surnames) + pick(g, stems) + pick(g, branches),
	}
	switch g.IntN(12) {
	case 0:
		c.NameUnits = append(units(pick(g, surnames)), pick(g, rare)...)
		c.Name = ""
	case 1:
		c.Ethnic, c.Name = "05", "样本"+pick(g, stems)+"·测试"+pick(g, branches)
	}
	c.Number = citizen(pick(g, localities).code + c.Birth + g.sequence(c.Sex))
	c.ValidFrom, c.ValidTo = g.term(c.Birth)
	for range []int{0, 0, 0, 0, 0, 0, 1, 1, 2, 4}[g.IntN(10)] {
		c.Appended = append(c.Appended, g.address(pick(g, localities)))
	}
	return c
}

// term is a validity by GA/T 2000.16: 5 years under 16, 10 to 25, 20 to 45, then
// long-term.
func (g generator) term(birth string) (from, to string) {
	from = g.day(max("20120101", birth), "20251231")
	start := day(from)
	switch age := ageOn(day(birth), start); {
	case age < 16:
		to = start.AddDate(5, 0, 0).Format("20060102")
	case age < 26:
		to = start.AddDate(10, 0, 0).Format("20060102")
	case age < 46:
		to = start.AddDate(20, 0, 0).Format("20060102")
	default:
		to = "长期"
	}
	return from, to
}

func ageOn(birth, on time.Time) int {
	age := on.Year() - birth.Year()
	if on.Before(birth.AddDate(age, 0, 0)) {
		age--
	}
	return age
}

// years adds to a day YYYYMMDD.
func years(from string, n int) string { return day(from).AddDate(n, 0, 0).Format("20060102") }

func (g generator) hmt() Card {
	home := pick(g, localities)
	c := Card{
		Kind: HMTPermit, Sex: fmt.Sprint(1 + g.IntN(2)), Birth: g.day("19450101", "20151231"),
		Name: pick(g, surnames) + pick(g, stems) + pick(g, branches), Address: g.address(home), Authority: home.authority,
		ValidFrom: g.day("20180901", "20251231"), IssueCount: fmt.Sprintf("%02d", 1+g.IntN(3)),
	}
	code := pick(g, hmtCodes)
	switch code {
	case "810000":
		c.PassNumber = fmt.Sprintf("H%08d", g.IntN(100_000))
	case "820000":
		c.PassNumber = fmt.Sprintf("M%08d", g.IntN(100_000))
	default:
		c.PassNumber = fmt.Sprintf("%08d", g.IntN(100_000))
	}
	c.Number = citizen(code + c.Birth + g.sequence(c.Sex))
	c.ValidTo = years(c.ValidFrom, 5)
	return c
}

func (g generator) english() string {
	words := []string{pick(g, spelling) + ",", pick(g, spelling)}
	for range g.IntN(4) { // up to 5 words: past the 35th unit, where the Y layout splits
		words = append(words, pick(g, spelling))
	}
	s := "SPECIMEN " + strings.Join(words, " ")
	return strings.TrimSpace(s[:min(len(s), atAddress.units+atYNameEn2.units)])
}

func (g generator) foreign2017() Card {
	n, sex := pick(g, nations), fmt.Sprint(1+g.IntN(2))
	c := Card{
		Kind: ForeignPR2017, Sex: sex, Birth: g.day("19450101", "19981231"), NameEn: g.english(), Nationality: n.alpha,
		Name: "样本" + pick(g, stems) + pick(g, branches), ValidFrom: g.day("20170616", "20231130"), Version: "01", AuthorityCode: "1500",
	}
	c.ValidTo = years(c.ValidFrom, 10)
	c.Number = old15(n.alpha + pick(g, localities).code[:4] + c.Birth[2:] + g.sequence(sex)[2:])
	return c
}

func (g generator) foreign2023() Card {
	n, sex, province := pick(g, nations), fmt.Sprint(1+g.IntN(2)), pick(g, localities).code[:2]
	c := Card{
		Kind: ForeignPR2023, Sex: sex, Birth: g.day("19450101", "20051231"), NameEn: g.english(), Nationality: n.alpha,
		Name: "样本" + pick(g, stems) + pick(g, branches), ValidFrom: g.day("20231201", "20251231"), Renewals: "00",
	}
	c.ValidTo = years(c.ValidFrom, 10)
	c.Number = citizen("9" + province + n.numeric + c.Birth + g.sequence(sex))
	if g.IntN(2) == 0 { // came from a card of 2017: units 1-2 of the link are old digits 6-7, unit 3 the old sequence
		c.Renewals = fmt.Sprintf("%02d", 1+g.IntN(3))
		c.OldLink = fmt.Sprintf("%02d%s", 1+g.IntN(20), g.sequence(sex)[2:])
	}
	return c
}

// citizen appends the check character of GB 11643-1999 (ISO 7064 MOD 11-2).
func citizen(first17 string) string {
	p := 0
	for _, d := range first17 {
		p = (p + int(d-'0')) * 2 % 11
	}
	return first17 + string("0123456789X"[(12-p)%11])
}

// old15 appends the check digit of the 15-character number: weights 7 3 1,
// letters from A=10, modulo 10 [THPR].
func old15(first14 string) string {
	sum := 0
	for i, r := range first14 {
		v := int(r - '0')
		if r >= 'A' {
			v = int(r-'A') + 10
		}
		sum += v * [3]int{7, 3, 1}[i%3]
	}
	return first14 + string(rune('0'+sum%10))
}
