package event

import "testing"

func TestMasks(t *testing.T) {
	for in, want := range map[string]string{
		"11010519491231002X": "110***********002X", "KAZ110090123105": "KAZ********3105", "12345": "*****", "": "",
	} {
		if got := MaskNumber(in); got != want {
			t.Errorf("MaskNumber(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"张三": "张*", "阿依木·木江": "阿**·**", "SMITH JOHN": "S**** ****", "": "", "\x1b[2J张": "\uFFFD****",
		"\U0002EBF0欧": "\U0002EBF0*", "\U000323B0·欧": "\U000323B0·*", "\U0002FFFE欧": "\uFFFD*", "\u202e欧": "\uFFFD*",
	} {
		if got := MaskName(in); got != want {
			t.Errorf("MaskName(%q) = %q, want %q", in, got, want)
		}
	}
}

// A person stands in lists under the Chinese name, or under the English one of a
// foreign card that has no other.
func TestLabel(t *testing.T) {
	for want, p := range map[string]Person{
		"张*": {Name: "张三", NameEn: "ZHANG SAN"}, "S**** ****": {NameEn: "SMITH JOHN"}, "": {},
	} {
		if got := p.Label(); got != want {
			t.Errorf("Label() = %q, want %q", got, want)
		}
	}
}
