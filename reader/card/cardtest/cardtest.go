// Package cardtest writes the text blocks that package card reads, for tests.
// It was written from the field tables, not from the parser: offsets stand here
// a second time on purpose. People in it are synthetic or official samples.
package cardtest

import (
	"fmt"
	"unicode/utf16"

	"idtap/driver"
)

// Fields of a card by name. A field that the layout does not have must be "".
type Fields struct {
	Mark string // " ", "J", "I", "Y" or anything else

	Name, NameEn, Sex, Ethnic, Birth, Address, Number, Authority, ValidFrom, ValidTo string
	PassNumber, IssueCount                                                           string // J
	Nationality, Version, AuthorityCode                                              string // I, Y
	Renewals, OldLink                                                                string // Y
	Appended                                                                         []string
}

type slot struct {
	value          *string
	offset, length int // bytes
}

// Encode lays the fields out; what does not fit or does not belong panics.
func Encode(f Fields) driver.RawCard {
	var raw driver.RawCard
	for i := 0; i < len(raw.Text); i += 2 {
		raw.Text[i] = ' '
	}
	var slots []slot
	switch f.Mark {
	case " ":
		slots = []slot{{&f.Name, 0, 30}, {&f.Sex, 30, 2}, {&f.Ethnic, 32, 4}, {&f.Birth, 36, 16}, {&f.Address, 52, 70},
			{&f.Number, 122, 36}, {&f.Authority, 158, 30}, {&f.ValidFrom, 188, 16}, {&f.ValidTo, 204, 16}}
	case "J":
		slots = []slot{{&f.Name, 0, 30}, {&f.Sex, 30, 2}, {&f.Birth, 36, 16}, {&f.Address, 52, 70}, {&f.Number, 122, 36},
			{&f.Authority, 158, 30}, {&f.ValidFrom, 188, 16}, {&f.ValidTo, 204, 16}, {&f.PassNumber, 220, 18}, {&f.IssueCount, 238, 4}}
	case "I":
		slots = []slot{{&f.NameEn, 0, 120}, {&f.Sex, 120, 2}, {&f.Number, 122, 30}, {&f.Nationality, 152, 6}, {&f.Name, 158, 30},
			{&f.ValidFrom, 188, 16}, {&f.ValidTo, 204, 16}, {&f.Birth, 220, 16}, {&f.Version, 236, 4}, {&f.AuthorityCode, 240, 8}}
	case "Y":
		en := utf16.Encode([]rune(f.NameEn))
		putUnits(raw.Text[52:122], en[:min(35, len(en))])
		putUnits(raw.Text[220:242], en[min(35, len(en)):])
		slots = []slot{{&f.Name, 0, 30}, {&f.Sex, 30, 2}, {&f.Renewals, 32, 4}, {&f.Birth, 36, 16},
			{&f.Number, 122, 36}, {&f.ValidFrom, 188, 16}, {&f.ValidTo, 204, 16}, {&f.Nationality, 242, 6}, {&f.OldLink, 250, 6}}
	}
	for _, s := range slots {
		put(raw.Text[s.offset:s.offset+s.length], *s.value)
	}
	put(raw.Text[248:250], f.Mark)
	for _, a := range f.Appended {
		var record [70]byte
		for i := 0; i < len(record); i += 2 {
			record[i] = ' '
		}
		put(record[:], a)
		raw.Addresses = append(raw.Addresses, record)
	}
	return raw
}

func put(dst []byte, s string) { putUnits(dst, utf16.Encode([]rune(s))) }

func putUnits(dst []byte, units []uint16) {
	if 2*len(units) > len(dst) {
		panic(fmt.Sprintf("cardtest: %d units for a field of %d", len(units), len(dst)/2))
	}
	for i, u := range units {
		dst[2*i], dst[2*i+1] = byte(u), byte(u>>8)
	}
}

// Resident is the example of GB 11643 as a long-term card.
func Resident() Fields {
	return Fields{Mark: " ", Name: "样本", Sex: "2", Ethnic: "01", Birth: "19491231",
		Address: "甘肃省会宁县会师镇样本路1号", Number: "11010519491231002X", Authority: "会宁县公安局",
		ValidFrom: "20100101", ValidTo: "长期"}
}

// HMTPermit is the police specimen of a Hong Kong resident.
func HMTPermit() Fields {
	return Fields{Mark: "J", Name: "证件样本", Sex: "2", Birth: "19940823", Address: "河南省郑州市金水区样本路2号",
		Number: "810000199408230021", Authority: "郑州市公安局", ValidFrom: "20240301", ValidTo: "20290301",
		PassNumber: "H00000000", IssueCount: "01"}
}

// ForeignPR2017 is a 2017 card with a published sample number.
func ForeignPR2017() Fields {
	return Fields{Mark: "I", NameEn: "SAMPLE, ZHENGJIAN YANGBEN", Name: "证件样本", Sex: "2", Birth: "19901231",
		Number: "KAZ110090123105", Nationality: "KAZ", Version: "01", AuthorityCode: "1100", ValidFrom: "20180601", ValidTo: "20280601"}
}

// ForeignPR2023 is a 2023 card with a published sample number, its English name
// across both fields.
func ForeignPR2023() Fields {
	return Fields{Mark: "Y", NameEn: "SPECIMEN ZHENGJIANYANGBEN BIN ABDULLAH SAMPLE", Name: "证件样本", Sex: "1", Birth: "19850101",
		Number: "932682198501010017", Nationality: "SAU", Renewals: "01", ValidFrom: "20240101", ValidTo: "20340101", OldLink: "013"}
}
