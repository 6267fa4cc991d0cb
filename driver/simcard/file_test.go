package simcard_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"idtap/driver/simcard"
)

// unitsAt decodes n UTF-16 units at a byte offset of a text block.
func unitsAt(b [256]byte, at, n int) string {
	u := make([]uint16, n)
	for i := range u {
		u[i] = uint16(b[at+2*i]) | uint16(b[at+2*i+1])<<8
	}
	return string(utf16.Decode(u))
}

// TestReadCards checks the offsets of all four layouts against the tables in the
// public descriptions, field by field.
func TestReadCards(t *testing.T) {
	const file = `
- kind: resident
  name: 样本甲子
  sex: 2
  ethnic: 01
  birth_date: 1949-12-31
  address: 北京市朝阳区样本街道测试路1号
  number: 11010519491231002X
  issuing_authority: 北京市公安局朝阳分局
  valid_from: 2016-03-15
  valid_to: 长期
  appended_addresses: [河南省郑州市金水区样本镇, 河南省郑州市中原区样本镇]
- {kind: hmt_permit, name: 样本丙寅, sex: "2", birth_date: "19940823", number: "810000199408230021", address: 广东省深圳市,
   issuing_authority: 深圳市公安局, valid_from: 2023-09-01, valid_to: 2028-09-01, pass_number: H00000001, issue_count: 01}
- {kind: foreign_pr_2017, name: 样本, name_en: "SPECIMEN, ALPHA", sex: 1, birth_date: 1990-01-23, number: KAZ110090123105,
   nationality: KAZ, valid_from: 2019-05-20, valid_to: 2029-05-20, version: 01, authority_code: 1500}
- {"kind": "foreign_pr_2023", "name": "\u6837\u672c", "name_en": "SPECIMEN ALPHA, BRAVO CHARLIE DELTA ECHO", "sex": "1",
   "birth_date": "1985-01-01", "number": "932682198501010017", "nationality": "SAU", "valid_from": "2024-01-15",
   "valid_to": "2034-01-15", "renewals": "01", "old_link": "051"}
- kind: resident
  name_units: 6B27 9633 E863
  mark: K
- raw_text: ` + "|\n    " + "41004200" + "2000200020002000\n    200020002000200020002000200020002000200020002000\n    "
	raw := file + strings.Repeat("2000", 128-2-4-12)
	cards, err := simcard.Read(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if len(cards) != 6 {
		t.Fatalf("%d cards, want 6", len(cards))
	}
	pad := func(s string, n int) string { return s + strings.Repeat(" ", n-len([]rune(s))) }
	for _, tt := range []struct {
		card, at, units int
		want            string
	}{
		{0, 0, 15, "样本甲子"}, {0, 30, 1, "2"}, {0, 32, 2, "01"}, {0, 36, 8, "19491231"}, {0, 52, 35, "北京市朝阳区样本街道测试路1号"},
		{0, 122, 18, "11010519491231002X"}, {0, 158, 15, "北京市公安局朝阳分局"}, {0, 188, 8, "20160315"}, {0, 204, 8, "长期"}, {0, 220, 18, ""},
		{1, 0, 15, "样本丙寅"}, {1, 30, 3, "2"}, {1, 36, 8, "19940823"}, {1, 122, 18, "810000199408230021"}, {1, 158, 15, "深圳市公安局"},
		{1, 220, 9, "H00000001"}, {1, 238, 2, "01"}, {1, 242, 3, ""}, {1, 248, 1, "J"}, {1, 250, 3, ""},
		{2, 0, 60, "SPECIMEN, ALPHA"}, {2, 120, 1, "1"}, {2, 122, 15, "KAZ110090123105"}, {2, 152, 3, "KAZ"}, {2, 158, 15, "样本"},
		{2, 188, 8, "20190520"}, {2, 204, 8, "20290520"}, {2, 220, 8, "19900123"}, {2, 236, 2, "01"}, {2, 240, 4, "1500"}, {2, 248, 1, "I"},
		{3, 0, 15, "样本"}, {3, 30, 1, "1"}, {3, 32, 2, "01"}, {3, 36, 8, "19850101"}, {3, 52, 35, "SPECIMEN ALPHA, BRAVO CHARLIE DELTA"},
		{3, 122, 18, "932682198501010017"}, {3, 158, 15, ""}, {3, 220, 11, " ECHO"}, {3, 242, 3, "SAU"}, {3, 248, 1, "Y"}, {3, 250, 3, "051"},
		{4, 0, 3, "欧阳\uE863"}, {4, 248, 1, "K"},
		{5, 0, 4, "AB"},
	} {
		if got := unitsAt(cards[tt.card].Text(), tt.at, tt.units); got != pad(tt.want, tt.units) {
			t.Errorf("card %d, byte %d: %q, want %q", tt.card, tt.at, got, tt.want)
		}
	}
	if a := cards[0].Addresses(); len(a) != 2 {
		t.Errorf("%d appended addresses, want 2", len(a))
	}
}

func TestReadCardsNamesLineAndKey(t *testing.T) {
	for _, tt := range []struct {
		file string
		line int
		key  string
		says string
	}{
		{"- kind: resident\n  nmae: x\n", 2, "nmae", "unknown key; there are kind, name,"},
		{"- kind: resident\n- kind: passport\n", 2, "kind", "unknown kind"},
		{"- name: x\n", 1, "kind", "missing"},
		{"- kind: hmt_permit\n  name: x\n  ethnic: 01\n", 3, "ethnic", "no such field"},
		{"- kind: resident\n  address: " + strings.Repeat("样", 36) + "\n", 2, "address", "36 UTF-16 units; the field holds 35"},
		{"- kind: foreign_pr_2023\n  name_en: " + strings.Repeat("A", 47) + "\n", 2, "name_en", "holds 46"},
		{"- kind: resident\n  name_units: 5F2 1234\n", 2, "name_units", "four hex digits"},
		{"- kind: resident\n  name_units: " + strings.Repeat("5F20 ", 16) + "\n", 2, "name_units", "holds 15"},
		{"- kind: resident\n  mark: KK\n", 2, "mark", "one character"},
		{"- kind: resident\n  raw_text: 4100\n", 2, "raw_text", "512 hex digits"},
		{"- kind: resident\n  refuse: 99\n", 2, "refuse", "want one of"},
		{"- kind: resident\n  fingerprint_bytes: 100\n", 2, "fingerprint_bytes", "512"},
		{"- kind: resident\n  appended_addresses: x\n", 2, "appended_addresses", "list"},
		{"- kind: resident\n  appended_addresses: [a, b, c, d, e]\n", 2, "appended_addresses", "holds 4"},
		{"- kind: resident\n  name:\n", 2, "name", "want a text"},
		{"- kind: resident\n  name: [x]\n", 2, "name", "want a text"},
		{"- just text\n", 1, "", "want a card"},
		{"kind: resident\n", 1, "", "want a list"},
		{"", 1, "", "want a list"},
		{"[]", 1, "", "0 cards"},
		{"- kind: resident\n  name: \"x\n", 2, "", "no valid YAML"},
		{"- kind: resident\n  name: a\n  name: b\n", 3, "", ""},
	} {
		_, err := simcard.Read(strings.NewReader(tt.file))
		var e *simcard.Error
		if !errors.As(err, &e) {
			t.Errorf("%q: error %v, want a CardError", tt.file, err)
			continue
		}
		if e.Line != tt.line || e.Key != tt.key || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: %v; want line %d, key %q, %q", tt.file, err, tt.line, tt.key, tt.says)
		}
	}
}

func TestLoadCards(t *testing.T) {
	cards, err := simcard.Load("seed:9")
	if err != nil || len(cards) < 2000 {
		t.Errorf("seed:9: %d cards, %v; want 2000", len(cards), err)
	}
	for _, source := range []string{"seed:x", "/nonexistent/cards.yaml"} {
		if _, err := simcard.Load(source); err == nil {
			t.Errorf("%s: no error", source)
		}
	}
}

// TestSampleCards loads every sample that the project ships.
func TestSampleCards(t *testing.T) {
	for name, want := range map[string]int{"specimens.yaml": 5, "oddities.yaml": 8} {
		cards, err := simcard.Load("../../testdata/cards/" + name)
		if err != nil || len(cards) != want {
			t.Errorf("%s: %d cards, %v; want %d", name, len(cards), err, want)
		}
	}
}

func FuzzReadCards(f *testing.F) {
	f.Add("- kind: resident\n  name: 样本\n  birth_date: 1949-12-31\n  appended_addresses: [a]\n")
	f.Add(`[{"kind": "foreign_pr_2023", "name_en": "A", "mark": "K"}]`)
	f.Add("- raw_text: |\n    4100\n")
	f.Add("- &a {kind: resident}\n- *a\n- <<: *a\n")
	f.Fuzz(func(t *testing.T, file string) {
		cards, err := simcard.Read(strings.NewReader(file))
		if err != nil {
			return
		}
		for _, c := range cards {
			c.Text()
			c.Photo()
			if len(c.Addresses()) > 4 {
				t.Error("more addresses than the chip holds")
			}
		}
	})
}
