package identity_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/simcard"
	"idtap/reader/card"
	"idtap/reader/identity"
)

var options = identity.Options{Now: day, DeskDivision: "410105", Groups: bands, ClockFloor: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}

func check(f simcard.Card) identity.Checked {
	return identity.Check(card.Parse(f.Raw()), options)
}

// with changes a card.
func with(f simcard.Card, change func(*simcard.Card)) simcard.Card {
	change(&f)
	return f
}

func resident(change func(*simcard.Card)) identity.Checked {
	return check(with(simcard.SampleResident(), change))
}

// wantFindings compares code@field pairs.
func wantFindings(t *testing.T, c identity.Checked, want ...string) {
	t.Helper()
	var got []string
	for _, f := range c.Findings {
		got = append(got, f.Code+"@"+f.Field)
		e, ok := identity.LookupFinding(f.Code)
		if !ok || e.Severity != f.Severity {
			t.Errorf("finding %s has severity %s, the catalogue says %s", f.Code, f.Severity, e.Severity)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("findings %q, want %q", got, want)
	}
}

func TestSoundCardsHaveNoFindings(t *testing.T) {
	for _, f := range simcard.Samples() {
		c := check(f)
		wantFindings(t, c)
		if c.Suspect() || c.Validity != identity.Valid || c.NameRaw != "" {
			t.Errorf("%s: suspect %t, validity %s", c.Kind, c.Suspect(), c.Validity)
		}
	}
}

func TestResidentFields(t *testing.T) {
	c := resident(func(f *simcard.Card) {
		f.Name = "  样本 "
		f.Appended = []string{"", "甘肃省白银市会宁县甲镇1号", " 河南省郑州市金水区乙路2号"}
	})
	want := identity.Checked{
		Kind: card.Resident, Number: "11010519491231002X", Authority: "会宁县公安局",
		ValidFrom: identity.Date{Year: 2010, Month: 1, Day: 1}, LongTerm: true, Validity: identity.Valid,
		Name: "样本", Sex: identity.Code{Code: "2", Label: "女"}, Ethnic: identity.Code{Code: "01", Label: "汉"},
		Birth: identity.Date{Year: 1949, Month: 12, Day: 31}, Age: 76,
		HukouAddress: "河南省郑州市金水区乙路2号", PrintedAddress: "甘肃省会宁县会师镇样本路1号",
		Appended: []string{"甘肃省白银市会宁县甲镇1号", "河南省郑州市金水区乙路2号"},
		Division: "410105", Path: []string{"河南省", "郑州市", "金水区"}, Confidence: identity.Full,
		Relation: identity.SameCounty, Groups: []string{"elder_65"}, Findings: []identity.Finding{},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("fields differ: division %s, relation %s, address ok %t, findings %s", c.Division, c.Relation, c.HukouAddress == want.HukouAddress, codes(c.Findings))
	}
}

func TestForeignFields(t *testing.T) {
	y := check(simcard.SampleForeignPR2023())
	if y.OldNumber != "SAU320185010138" || y.Nationality != "SAU" || y.Renewals != "01" || y.Relation != identity.Foreign || y.Division != "" || y.Confidence != identity.None {
		t.Error("2023 card differs")
	}
	i := check(simcard.SampleForeignPR2017())
	if i.NameEn != "SAMPLE, ZHENGJIAN YANGBEN" || i.Name != "证件样本" || i.Age != 35 || i.OldNumber != "" {
		t.Error("2017 card differs")
	}
	j := check(simcard.SampleHMTPermit())
	if j.PassNumber != "H00000000" || j.IssueCount != "01" || j.CardAddress == "" || j.HukouAddress != "" || j.Relation != identity.HMT {
		t.Error("permit differs")
	}
	// The old number is not rebuilt from a link that is blank, no digits, or
	// where the nationality has changed since the first issue.
	for _, change := range []func(*simcard.Card){
		func(f *simcard.Card) { f.OldLink = "" },
		func(f *simcard.Card) { f.OldLink = "A1" },
		func(f *simcard.Card) { f.OldLink = "0A3" },
		func(f *simcard.Card) { f.Nationality = "FRA" },
	} {
		if c := check(with(simcard.SampleForeignPR2023(), change)); c.OldNumber != "" {
			t.Error("an old number was guessed")
		}
	}
	short := check(with(simcard.SampleForeignPR2023(), func(f *simcard.Card) { f.NameEn = "SHORT NAME" }))
	if short.NameEn != "SHORT NAME" {
		t.Error("a short English name is padded inside")
	}
	// A word that ends exactly where the first part does keeps its space.
	cut := strings.Repeat("A", 34) + " BCD"
	if c := check(with(simcard.SampleForeignPR2023(), func(f *simcard.Card) { f.NameEn = cut })); c.NameEn != cut {
		t.Error("the space between the parts was lost")
	}
}

func TestFindings(t *testing.T) {
	const number, birth, sex, name = "@document.number", "@person.birth_date", "@person.sex", "@person.name"
	resident, hmt, pr17, pr23 := simcard.SampleResident(), simcard.SampleHMTPermit(), simcard.SampleForeignPR2017(), simcard.SampleForeignPR2023()
	tests := []struct {
		name   string
		card   simcard.Card
		change func(*simcard.Card)
		want   []string
	}{
		{"wrong check character", resident, func(f *simcard.Card) { f.Number = "110105194912310021" }, []string{"number_check" + number}},
		{"fifteen digits on a chip", resident, func(f *simcard.Card) { f.Number = "110105491231002" }, []string{"number_length" + number}},
		{"no number", resident, func(f *simcard.Card) { f.Number = "" }, []string{"number_length" + number}},
		{"letter in the number", resident, func(f *simcard.Card) { f.Number = "11O10519491231002X" }, []string{"number_charset" + number}},
		{"small x", resident, func(f *simcard.Card) { f.Number = "11010519491231002x" }, []string{"number_normalised" + number}},
		{"retired division", resident, func(f *simcard.Card) {
			f.Number, f.Birth, f.Sex = "110103198001010013", "19800101", "1"
			f.ValidTo = "20300101"
		}, []string{"division_historic" + number}},
		{"unknown division", resident, func(f *simcard.Card) { f.Number = signed("11119919491231002") }, []string{"division_unknown" + number}},
		{"local code of a known prefecture", resident, func(f *simcard.Card) { f.Number = signed("32021919491231002") }, nil},
		{"unknown prefix", resident, func(f *simcard.Card) { f.Number = signed("77010519491231002") }, []string{"number_prefix_unknown" + number}},
		{"permit's number on a resident card", resident, func(f *simcard.Card) { f.Number = signed("81000019491231002") }, []string{"doc_type_mismatch" + number}},
		{"citizen's number on a permit", hmt, func(f *simcard.Card) { f.Number = signed("11010519940823002") }, []string{"doc_type_mismatch" + number}},
		{"zeros for the division", resident, func(f *simcard.Card) { f.Number = signed("00000019491231002") }, []string{"dummy_number" + number}},

		{"sex against the number", resident, func(f *simcard.Card) { f.Sex = "1" }, []string{"sex_number_mismatch" + sex}},
		{"sex 0", resident, func(f *simcard.Card) { f.Sex = "0" }, []string{"sex_unknown" + sex}},
		{"sex 9", resident, func(f *simcard.Card) { f.Sex = "9" }, []string{"sex_unknown" + sex}},
		{"sex blank", resident, func(f *simcard.Card) { f.Sex = "" }, []string{"sex_unknown" + sex}},
		{"sex in words", resident, func(f *simcard.Card) { f.Sex = "女" }, []string{"sex_unknown" + sex}},

		{"birth date against the number", resident, func(f *simcard.Card) { f.Birth = "19491230" }, []string{"birth_number_mismatch" + birth}},
		{"birth date blank", resident, func(f *simcard.Card) { f.Birth = "" }, []string{"date_unparsable" + birth}},
		{"birth date in words", resident, func(f *simcard.Card) { f.Birth = "1949年" }, []string{"date_unparsable" + birth}},
		{"birth date impossible", resident, func(f *simcard.Card) { f.Birth = "19490230" }, []string{"birth_invalid" + birth}},
		{"birth after the issue", resident, func(f *simcard.Card) { f.Birth = "20110101" }, []string{"birth_number_mismatch" + birth, "birth_future" + birth, "validity_term_unusual@document.valid_to"}},
		{"birth in the future", resident, func(f *simcard.Card) {
			f.Number, f.Birth, f.ValidFrom = signed("11010520991231002"), "20991231", ""
		}, []string{"birth_future" + birth, "validity_missing@document.valid_from"}},
		{"older than 120", resident, func(f *simcard.Card) { f.Number, f.Birth, f.Sex = "440524188001010014", "18800101", "1" }, []string{"age_over_120" + birth, "division_historic" + number}},

		{"ethnic 57", resident, func(f *simcard.Card) { f.Ethnic = "57" }, []string{"ethnic_code_remapped@person.ethnic"}},
		{"ethnic 60", resident, func(f *simcard.Card) { f.Ethnic = "60" }, []string{"ethnic_code_unknown@person.ethnic"}},
		{"ethnic blank", resident, func(f *simcard.Card) { f.Ethnic = "" }, []string{"ethnic_code_unknown@person.ethnic"}},
		{"ethnic 97", resident, func(f *simcard.Card) { f.Ethnic = "97" }, nil},

		{"no name", resident, func(f *simcard.Card) { f.Name = "" }, []string{"name_empty" + name}},
		{"name that fills its field", resident, func(f *simcard.Card) { f.Name = strings.Repeat("样", 15) }, []string{"name_maybe_truncated" + name}},
		{"name with a space", resident, func(f *simcard.Card) { f.Name = "样 本" }, []string{"name_inner_space" + name}},
		{"name with another dot", resident, func(f *simcard.Card) { f.Name = "样•本" }, []string{"dot_unified" + name}},
		{"name with a mapped private character", resident, func(f *simcard.Card) { f.Name = "样\ue863" }, []string{"private_use_mapped" + name}},
		{"name with an unknown private character", resident, func(f *simcard.Card) { f.Name = "样\ue000" }, []string{"name_private_use" + name}},
		{"name with a control", resident, func(f *simcard.Card) { f.Name = "样\x07本" }, []string{"text_undecodable" + name}},
		{"name with a non-character", resident, func(f *simcard.Card) { f.Name = "样\ufffe本" }, []string{"text_undecodable" + name}},
		{"name with a Thai letter", resident, func(f *simcard.Card) { f.Name = "样\u0e01" }, []string{"character_unusual" + name}},
		{"only the Chinese name of a foreigner is blank", pr23, func(f *simcard.Card) { f.Name = "" }, nil},
		{"no name of a foreigner", pr23, func(f *simcard.Card) { f.Name, f.NameEn = "", "" }, []string{"name_empty" + name}},
		{"English name that fills its field", pr17, func(f *simcard.Card) { f.NameEn = strings.Repeat("A", 60) }, []string{"name_maybe_truncated@person.name_en"}},

		{"address that fills its field", resident, func(f *simcard.Card) { f.Address = "甘肃省会宁县" + strings.Repeat("样", 29) }, []string{"address_maybe_truncated@hukou.printed_address"}},
		{"address without a division", resident, func(f *simcard.Card) { f.Address = "北京路1号" }, []string{"address_unresolved@hukou.address"}},
		{"address to the prefecture", resident, func(f *simcard.Card) { f.Address = "甘肃省白银市样本路1号" }, []string{"address_unresolved@hukou.address"}},
		{"address with a private character", resident, func(f *simcard.Card) { f.Address += "\ue000" }, []string{"text_private_use@hukou.printed_address"}},
		{"address with spaces and full-width digits", resident, func(f *simcard.Card) { f.Address = "甘肃省会宁县 样本路１２号－３（附）" }, nil},

		{"county divided among several", resident, func(f *simcard.Card) { f.Address = "浙江省绍兴县柯桥街道样本路1号" }, []string{"address_division_divided@hukou.address"}},
		{"district divided among several", resident, func(f *simcard.Card) { f.Address = "浙江省杭州市江干区样本路1号" }, []string{"address_division_divided@hukou.address"}},
		{"address that is no text", resident, func(f *simcard.Card) { f.Address = "甘肃省\ufffe会宁县" }, []string{"text_undecodable@hukou.printed_address", "address_unresolved@hukou.address"}},

		{"authority blank", resident, func(f *simcard.Card) { f.Authority = "" }, []string{"field_missing@document.issuing_authority"}},
		{"address blank", resident, func(f *simcard.Card) { f.Address = "" }, []string{"field_missing@hukou.printed_address", "address_unresolved@hukou.address"}},
		{"pass number blank", hmt, func(f *simcard.Card) { f.PassNumber = "" }, []string{"field_missing@document.pass_number"}},
		{"issue count blank", hmt, func(f *simcard.Card) { f.IssueCount = "" }, []string{"field_missing@document.issue_count"}},
		{"dwelling blank", hmt, func(f *simcard.Card) { f.Address = "" }, []string{"field_missing@residence.card_address"}},
		{"English name blank, 2017", pr17, func(f *simcard.Card) { f.NameEn = "" }, []string{"field_missing@person.name_en"}},
		{"English name blank, 2023", pr23, func(f *simcard.Card) { f.NameEn = "" }, []string{"field_missing@person.name_en"}},
		{"renewals blank", pr23, func(f *simcard.Card) { f.Renewals = "" }, []string{"field_missing@document.renewals"}},

		{"pass number of Macao", hmt, func(f *simcard.Card) { f.PassNumber = "M00000000" }, []string{"pass_number_form@document.pass_number"}},
		{"pass number of Taiwan", hmt, func(f *simcard.Card) { f.PassNumber = "00000000" }, []string{"pass_number_form@document.pass_number"}},
		{"pass number too short", hmt, func(f *simcard.Card) { f.PassNumber = "H0000000" }, []string{"pass_number_form@document.pass_number"}},
		{"pass number of letters", hmt, func(f *simcard.Card) { f.PassNumber = "HO0000000" }, []string{"pass_number_form@document.pass_number"}},

		{"name of dots", resident, func(f *simcard.Card) { f.Name = "···" }, []string{"character_unusual" + name, "name_empty" + name}},
		{"name of a dash", resident, func(f *simcard.Card) { f.Name = "-" }, []string{"name_empty" + name}},
		{"name with two dots in a row", resident, func(f *simcard.Card) { f.Name = "样••本" }, []string{"character_unusual" + name}},
		{"name with two right dots in a row", resident, func(f *simcard.Card) { f.Name = "样··本" }, []string{"character_unusual" + name}},
		{"name that begins with a dot", resident, func(f *simcard.Card) { f.Name = "·样本" }, []string{"character_unusual" + name}},
		{"name that ends with a dot", resident, func(f *simcard.Card) { f.Name = "样本•" }, []string{"character_unusual" + name}},
		{"name with an initial", resident, func(f *simcard.Card) { f.Name = "J. SAMPLE" }, []string{"name_inner_space" + name}},
		{"private character that is punctuation", resident, func(f *simcard.Card) { f.Name = "样\ue78d" }, []string{"private_use_mapped" + name, "character_unusual" + name}},
		{"private character that is a description mark", resident, func(f *simcard.Card) { f.Name = "样\ue7e8" }, []string{"private_use_mapped" + name, "character_unusual" + name}},
		{"private character that is the euro", resident, func(f *simcard.Card) { f.Name = "样\ue76c" }, []string{"private_use_mapped" + name, "character_unusual" + name}},

		{"expired yesterday", resident, func(f *simcard.Card) { adult(f, "20161120", "20261120") }, []string{"card_expired@document.valid_to"}},
		{"last day", resident, func(f *simcard.Card) { adult(f, "20161121", "20261121") }, nil},
		{"begins tomorrow", resident, func(f *simcard.Card) { adult(f, "20261122", "20461122") }, []string{"valid_from_future@document.valid_from"}},
		{"reversed", resident, func(f *simcard.Card) { f.ValidFrom, f.ValidTo = "20200101", "20190101" }, []string{"validity_reversed@document.valid_to", "validity_term_unusual@document.valid_to"}[:1]},
		{"end in words", resident, func(f *simcard.Card) { f.ValidTo = "永久" }, []string{"date_unparsable@document.valid_to"}},
		{"end impossible", resident, func(f *simcard.Card) { f.ValidTo = "20260231" }, []string{"date_unparsable@document.valid_to"}},
		{"start missing", resident, func(f *simcard.Card) { f.ValidFrom = "" }, []string{"validity_missing@document.valid_from"}},
		{"end missing", resident, func(f *simcard.Card) { f.ValidTo = "" }, []string{"validity_missing@document.valid_to"}},
		{"too early", resident, func(f *simcard.Card) { f.ValidFrom = "20031231" }, []string{"valid_from_too_early@document.valid_from"}},
		{"permit too early", hmt, func(f *simcard.Card) { f.ValidFrom, f.ValidTo = "20180831", "20230831" }, []string{"valid_from_too_early@document.valid_from", "card_expired@document.valid_to"}},
		{"2017 card too early", pr17, func(f *simcard.Card) { f.ValidFrom, f.ValidTo = "20170615", "20270615" }, []string{"valid_from_too_early@document.valid_from"}},
		{"2023 card too early", pr23, func(f *simcard.Card) { f.ValidFrom, f.ValidTo = "20231130", "20331130" }, []string{"valid_from_too_early@document.valid_from"}},
		{"unusual term", resident, func(f *simcard.Card) { f.ValidTo = "20270101" }, []string{"validity_term_unusual@document.valid_to"}},
		{"ends the day before", resident, func(f *simcard.Card) { adult(f, "20200601", "20400531") }, []string{"validity_term_unusual@document.valid_to"}},
		{"permit of ten years", hmt, func(f *simcard.Card) { f.ValidTo = "20340301" }, []string{"validity_term_unusual@document.valid_to"}},

		{"nationality changed", pr23, func(f *simcard.Card) { f.Nationality = "FRA" }, []string{"pr_nationality_mismatch@person.nationality"}},
		{"nationality changed, 2017", pr17, func(f *simcard.Card) { f.Nationality = "FRA" }, []string{"pr_nationality_mismatch@person.nationality"}},
		{"nationality that ISO does not know", pr23, func(f *simcard.Card) { f.Nationality = "XXA" }, nil},
		{"nationality blank", pr23, func(f *simcard.Card) { f.Nationality = "" }, []string{"nationality_unknown@person.nationality"}},
		{"7-3-1", pr17, func(f *simcard.Card) { f.Number = "KAZ110090123106" }, []string{"number_check_731" + number}},
		{"2017 number of 18 digits", pr17, func(f *simcard.Card) { f.Number = "11010519490102" }, []string{"number_length" + number}},

		{"unknown mark", resident, func(f *simcard.Card) { *f = simcard.Card{Kind: simcard.Resident, Mark: 'Z'} }, []string{"kind_unknown@document.kind"}},
		{"blank", resident, func(f *simcard.Card) { *f = simcard.Card{Kind: simcard.Resident} }, []string{"card_blank@"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantFindings(t, check(with(tt.card, tt.change)), tt.want...) })
	}
}

// signed adds the check character to 17 digits.
func signed(body string) string { return body + string(identity.CheckCharacter(body)) }

// adult is a holder aged 26 to 45 (16 to 25 in 2016), so that a term can be
// chosen.
func adult(f *simcard.Card, from, to string) {
	f.Number, f.Birth, f.ValidFrom, f.ValidTo = signed("11010519950101002"), "19950101", from, to
}

func TestTrap09_LongTermMissingStartAndOddSex(t *testing.T) {
	c := resident(func(f *simcard.Card) { f.ValidFrom, f.Sex = "", "9" })
	if !c.LongTerm || !c.ValidTo.IsZero() || !c.ValidFrom.IsZero() || c.Validity != identity.Valid || c.Worst() != identity.Warn {
		t.Errorf("long term %t, validity %s, worst %s", c.LongTerm, c.Validity, c.Worst())
	}
	if c.Sex != (identity.Code{Code: "9", Label: "未说明"}) {
		t.Error("sex 9 was taken for something else")
	}
}

func TestTrap10_EthnicCodesBeyondTheTable(t *testing.T) {
	for in, want := range map[string]identity.Code{
		"57": {Code: "97", Label: "其他", Raw: "57"}, "58": {Code: "98", Label: "外国血统中国籍人士", Raw: "58"},
		"97": {Code: "97", Label: "其他"}, "98": {Code: "98", Label: "外国血统中国籍人士"}, "99": {Code: "99"}, "00": {Code: "00"},
		"56": {Code: "56", Label: "基诺"}, "20": {Code: "20", Label: "傈僳"}, "A1": {}, "": {},
	} {
		c := resident(func(f *simcard.Card) { f.Ethnic = in })
		if c.Ethnic != want {
			t.Errorf("%q gives %+v, want %+v", in, c.Ethnic, want)
		}
		if c.Worst() == identity.Error {
			t.Errorf("%q is an error", in)
		}
	}
}

// A clock that cannot be right makes no error and judges nothing.
func TestUntrustedClock(t *testing.T) {
	o := options
	o.Now = time.Date(2005, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, f := range []simcard.Card{
		simcard.SampleResident(),
		with(simcard.SampleResident(), func(f *simcard.Card) { adult(f, "20220101", "20420101") }),
		with(simcard.SampleResident(), func(f *simcard.Card) {
			f.Number, f.Birth, f.ValidFrom, f.ValidTo = signed("11010520200101002"), "20200101", "20250101", "20300101"
		}),
		simcard.SampleForeignPR2023(),
	} {
		c := identity.Check(card.Parse(f.Raw()), o)
		wantFindings(t, c, "clock_untrusted@timing.clock")
		if c.Validity != identity.UnknownValidity || c.Age != -1 || c.Groups != nil || c.Under14 {
			t.Error("something was judged by a clock that is wrong")
		}
	}
	// No clock at all is one that cannot be right.
	o.Now = time.Time{}
	wantFindings(t, identity.Check(card.Parse(simcard.SampleResident().Raw()), o), "clock_untrusted@timing.clock")

	// After the floor, but the card itself begins later still: who was born in
	// between is no error.
	o.Now = day
	f := with(simcard.SampleResident(), func(f *simcard.Card) {
		f.Number, f.Birth, f.ValidFrom, f.ValidTo = signed("11010520270101002"), "20270101", "20270601", "20320601"
	})
	wantFindings(t, identity.Check(card.Parse(f.Raw()), o),
		"clock_untrusted@timing.clock", "valid_from_future@document.valid_from")
}

func TestDaysAreShanghaiDays(t *testing.T) {
	f := with(simcard.SampleResident(), func(f *simcard.Card) { adult(f, "20161121", "20261121") })
	doc := card.Parse(f.Raw())
	o := options
	o.Now = time.Date(2026, 11, 21, 15, 59, 0, 0, time.UTC) // 23:59 in Shanghai
	if c := identity.Check(doc, o); c.Validity != identity.Valid {
		t.Error("expired before midnight")
	}
	o.Now = time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC) // midnight there
	if c := identity.Check(doc, o); c.Validity != identity.Expired {
		t.Error("valid after midnight")
	}
}

func TestAgeAndGroups(t *testing.T) {
	tests := []struct {
		birth, now string
		age        int
		under14    bool
		groups     []string
	}{
		{"20201121", "2026-11-20", 5, true, []string{"child_0_6"}},
		{"20191122", "2026-11-21", 6, true, []string{"child_0_6"}},
		{"20191121", "2026-11-21", 7, true, nil},
		{"20121121", "2026-11-20", 13, true, nil},
		{"20121121", "2026-11-21", 14, false, nil},
		{"20111121", "2026-11-21", 15, false, []string{"woman_15_49"}},
		{"19771120", "2026-11-19", 48, false, []string{"woman_15_49"}},
		{"19761122", "2026-11-21", 49, false, []string{"woman_15_49"}},
		{"19761121", "2026-11-21", 50, false, nil},
		{"19611121", "2026-11-20", 64, false, nil},
		{"19611121", "2026-11-21", 65, false, []string{"elder_65"}},
		{"20120229", "2026-02-28", 13, true, nil},
		{"20120229", "2026-03-01", 14, false, nil},
	}
	for _, tt := range tests {
		o := options
		o.Now, _ = time.ParseInLocation("2006-01-02", tt.now, time.FixedZone("CST", 8*3600))
		f := with(simcard.SampleResident(), func(f *simcard.Card) { f.Number, f.Birth = signed("110105"+tt.birth+"002"), tt.birth })
		f.ValidFrom = ""
		c := identity.Check(card.Parse(f.Raw()), o)
		if c.Age != tt.age || c.Under14 != tt.under14 || !slices.Equal(c.Groups, tt.groups) {
			t.Errorf("born %s, on %s: age %d, under 14 %t, groups %q", tt.birth, tt.now, c.Age, c.Under14, c.Groups)
		}
	}
	if c := check(with(simcard.SampleResident(), func(f *simcard.Card) { f.Number, f.Birth, f.Sex = signed("11010520000101003"), "20000101", "1" })); slices.Contains(c.Groups, "woman_15_49") {
		t.Error("a man among women")
	}
}

func TestValidityTerms(t *testing.T) {
	tests := []struct {
		birth, from, to string
		usual           bool
	}{
		{"20120601", "20260601", "20310601", true},  // 14: five years
		{"20120601", "20260601", "20360601", false}, // ten are too many
		{"20100601", "20260601", "20360601", true},  // 16 on the day
		{"20100601", "20260601", "20310601", true},  // applied at 15
		{"20100101", "20260731", "20310731", false}, // sixteen for seven months
		{"20000601", "20260601", "20460601", true},  // 26
		{"20000601", "20260601", "20360601", true},  // applied at 25
		{"19800601", "20260601", "20460601", true},  // applied at 45
		{"19800601", "20260601", "长期", true},        // 46 on the day
		{"19900601", "20260601", "长期", false},       // 36
		{"20080229", "20160229", "20210301", true},  // 29 February: five years end on 1 March
		{"20000229", "20160229", "20260301", true},  // ten too
		{"19880229", "20160229", "20360229", true},  // twenty on the 29th
		{"19880229", "20160229", "20360301", false}, // not on 1 March
		{"20000229", "20160301", "20260301", true},
	}
	for _, tt := range tests {
		c := resident(func(f *simcard.Card) {
			f.Number, f.Birth, f.ValidFrom, f.ValidTo = signed("110105"+tt.birth+"002"), tt.birth, tt.from, tt.to
		})
		if usual := !strings.Contains(codes(c.Findings), "validity_term_unusual"); usual != tt.usual {
			t.Errorf("born %s, %s-%s: usual %t", tt.birth, tt.from, tt.to, usual)
		}
	}
	for to, usual := range map[string]bool{"20290601": true, "20340601": false} {
		c := check(with(simcard.SampleForeignPR2023(), func(f *simcard.Card) {
			f.Number, f.Birth, f.ValidFrom, f.ValidTo, f.Sex = signed("93268220100101001"), "20100101", "20240601", to, "1"
		}))
		if got := !strings.Contains(codes(c.Findings), "validity_term_unusual"); got != usual {
			t.Errorf("foreigner of 14 until %s: usual %t", to, got)
		}
	}
}

func TestRelation(t *testing.T) {
	tests := []struct {
		address, desk string
		want          identity.Relation
	}{
		{"河南省郑州市金水区某街", "410105", identity.SameCounty},
		{"河南省郑州市二七区某街", "410105", identity.SameCityDistricts},
		{"河南省郑州市中牟县某镇", "410105", identity.SamePrefecture},
		{"河南省新郑市某镇", "410105", identity.SamePrefecture},
		{"河南省洛阳市涧西区某街", "410105", identity.SameProvince},
		{"河南省济源市某镇", "410105", identity.SameProvince},
		{"河南省济源市某镇", "419001", identity.SameCounty},
		{"湖北省仙桃市某镇", "429005", identity.SameProvince},
		{"甘肃省会宁县某镇", "410105", identity.OtherProvince},
		{"北京市朝阳区某街", "110101", identity.SameCityDistricts},
		{"北京市崇文区某街", "110101", identity.SameCounty},
		{"北京市崇文区某街", "110105", identity.SameCityDistricts},
		{"北京市延庆县某镇", "110105", identity.SameCityDistricts}, // a district since 2015
		{"重庆市忠县某镇", "500103", identity.SamePrefecture},
		{"广东省东莞市某镇", "441900", identity.SameCounty},
		{"甘肃省嘉峪关市某街", "620200", identity.SameCounty},
		{"甘肃省嘉峪关市某街", "620201", identity.SameCounty},
		{"海南省儋州市某镇", "460400", identity.SameCounty},
		{"江苏省徐州市铜山县某镇", "320302", identity.SameCityDistricts}, // 铜山区 today
		{"甘肃省白银市某处", "620422", identity.UnknownRelation},
		{"甘肃省白银市某处", "620102", identity.SameProvince},
		{"甘肃省白银市某处", "410105", identity.OtherProvince},
		{"甘肃省某处", "620422", identity.UnknownRelation},
		{"甘肃省某处", "410105", identity.OtherProvince},
		{"某处", "410105", identity.UnknownRelation},
		{"甘肃省会宁县某镇", "", identity.UnknownRelation},
		{"甘肃省会宁县某镇", "99", identity.UnknownRelation},
		{"新疆石河子市某街", "659002", identity.SameProvince},
	}
	for _, tt := range tests {
		o := options
		o.DeskDivision = tt.desk
		f := with(simcard.SampleResident(), func(f *simcard.Card) { f.Address = tt.address })
		if c := identity.Check(card.Parse(f.Raw()), o); c.Relation != tt.want {
			t.Errorf("%s at %s: %s, want %s", tt.address, tt.desk, c.Relation, tt.want)
		}
	}
}

// The relation follows the newest address, never the number's first digits.
func TestRelationIgnoresTheNumber(t *testing.T) {
	a := resident(func(f *simcard.Card) { f.Number = signed("41010519491231002") })
	b := resident(func(f *simcard.Card) { f.Number = signed("62042219491231002") })
	if a.Relation != identity.OtherProvince || b.Relation != identity.OtherProvince {
		t.Errorf("relations %s and %s", a.Relation, b.Relation)
	}
}

// The simulator's cards are sound: what it generates is nobody's oddity.
func TestSimulatorsCardsAreUnderstood(t *testing.T) {
	for i, m := range simcard.Generate(11, 300) {
		c := identity.Check(card.Parse(m.Raw()), options)
		if c.Worst() == identity.Error {
			t.Errorf("card %d (%s): %s", i, c.Kind, codes(c.Findings))
		}
		if c.Kind == card.Resident && c.Confidence != identity.Full {
			t.Errorf("card %d: address not resolved", i)
		}
	}
}

func TestNothingPrintsAPerson(t *testing.T) {
	f := simcard.SampleResident()
	c := check(f)
	n := identity.CheckNumber(f.Number, today)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, c, &c, n, &n)
	}
	for _, v := range []any{c, n} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, secret := range []string{f.Name, f.Number, "1949", "会宁"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("printed: %s", out.String())
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, c := range append(simcard.Samples(), simcard.Card{Kind: simcard.Resident}, simcard.Card{Kind: simcard.Resident, Mark: 'Z'}) {
		raw := c.Raw()
		f.Add(raw.Text[:], raw.Text[52:122], day.Unix(), "410105")
	}
	f.Add(bytes.Repeat([]byte{0xD8}, 256), []byte{}, int64(0), "")
	f.Fuzz(func(t *testing.T, text, address []byte, now int64, desk string) {
		var raw driver.RawCard
		copy(raw.Text[:], text)
		if len(address) >= 70 {
			raw.Addresses = [][70]byte{[70]byte(address)}
		}
		c := identity.Check(card.Parse(raw), identity.Options{Now: time.Unix(now%1e11, 0), DeskDivision: desk, Groups: bands})
		if c.Findings == nil || c.Confidence == "" || c.Validity == "" || c.Relation == "" {
			t.Fatal("a field that always has a value has none")
		}
		for _, f := range c.Findings {
			e, ok := identity.LookupFinding(f.Code)
			if !ok || e.Severity != f.Severity {
				t.Fatalf("finding %q is not in the catalogue", f.Code)
			}
			if strings.ContainsFunc(f.Detail, func(r rune) bool { return r > 0x7E }) {
				t.Fatal("a detail holds card text")
			}
		}
		if c.Kind == card.Unknown && len(c.Findings) == 0 {
			t.Fatal("unknown without a finding")
		}
		if c.Worst() == "" && (c.Number == "" || c.Birth.IsZero() || c.Name+c.NameEn == "") {
			t.Fatal("clean without number, name or birth date")
		}
	})
}

// A character that the language's tables do not know yet is a Chinese character
// all the same: extensions G to J, and the end of both planes.
func TestNewCharactersAreHan(t *testing.T) {
	for _, r := range []rune{0x3400, 0x9FFC, 0x2B739, 0x2EBF0, 0x2EE5D, 0x2F800, 0x30000, 0x3134A, 0x31350, 0x323AF, 0x323B0, 0x33479, 0x3FFFD} {
		c := resident(func(f *simcard.Card) { f.Name = "欧" + string(r) })
		if len(c.Findings) != 0 || c.Name != "欧"+string(r) {
			t.Errorf("name with U+%04X: findings %s, want none", r, codes(c.Findings))
		}
	}
	for _, r := range []rune{0x1F600, 0x2FF0, 0xE0100, 0x3003} {
		if c := resident(func(f *simcard.Card) { f.Name = "欧" + string(r) }); codes(c.Findings) != "character_unusual" {
			t.Errorf("name with U+%04X: findings %s, want character_unusual", r, codes(c.Findings))
		}
	}
}

// What holds for every successor of a divided unit is certain; what does not is
// unknown.
func TestRelationOfDividedUnits(t *testing.T) {
	for _, tt := range []struct {
		address, desk string
		division      string
		successors    string
		want          identity.Relation
	}{
		{"浙江省绍兴县柯桥街道1号", "330603", "330600", "330602 330603", identity.UnknownRelation},
		{"浙江省绍兴县柯桥街道1号", "330681", "330600", "330602 330603", identity.SamePrefecture},
		{"浙江省绍兴县柯桥街道1号", "330102", "330600", "330602 330603", identity.SameProvince},
		{"浙江省绍兴县柯桥街道1号", "410105", "330600", "330602 330603", identity.OtherProvince},
		{"浙江省杭州市江干区样本路1号", "330102", "330100", "330102 330114", identity.UnknownRelation},
		{"浙江省杭州市江干区样本路1号", "330106", "330100", "330102 330114", identity.SameCityDistricts},
		{"山西省大同市南郊区样本路1号", "140213", "140200", "140212 140213 140214", identity.UnknownRelation},
		{"宁夏回族自治区陶乐县样本路1号", "640221", "640000", "640104 640221", identity.UnknownRelation},
		{"四川省遂宁市市中区样本路1号", "510903", "510900", "510903 510904", identity.UnknownRelation},
		{"广西壮族自治区南宁市城北区样本路1号", "450107", "450107", "", identity.SameCounty},
	} {
		raw := with(simcard.SampleResident(), func(f *simcard.Card) { f.Address = tt.address })
		c := identity.Check(card.Parse(raw.Raw()), identity.Options{Now: day, DeskDivision: tt.desk})
		if c.Relation != tt.want || c.Division != tt.division || strings.Join(c.Successors, " ") != tt.successors {
			t.Errorf("%s at %s: relation %s, division %s, successors %v; want %s, %s, %s", tt.address, tt.desk,
				c.Relation, c.Division, c.Successors, tt.want, tt.division, tt.successors)
		}
	}
}

// Sources disagree on what position 14 of the 2017 number tells, so it makes no
// clerk compare a card.
func TestSexOfThe2017NumberInforms(t *testing.T) {
	c := check(with(simcard.SampleForeignPR2017(), func(f *simcard.Card) { f.Sex = map[string]string{"1": "2", "2": "1"}[f.Sex] }))
	if codes(c.Findings) != "sex_number_mismatch" {
		t.Fatalf("findings %s, want sex_number_mismatch", codes(c.Findings))
	}
	if got := c.Worst(); got != identity.Info {
		t.Errorf("Worst() = %s, want info", got)
	}
	if c := resident(func(f *simcard.Card) { f.Sex = "1" }); c.Worst() != identity.Warn {
		t.Errorf("on a resident card Worst() = %s, want warn", c.Worst())
	}
}
