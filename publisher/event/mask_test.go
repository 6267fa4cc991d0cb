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
	} {
		if got := MaskName(in); got != want {
			t.Errorf("MaskName(%q) = %q, want %q", in, got, want)
		}
	}
}
