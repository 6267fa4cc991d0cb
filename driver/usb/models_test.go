package usb

import (
	"strings"
	"testing"
)

func TestModels(t *testing.T) {
	list, err := readModels(table)
	if err != nil {
		t.Fatal(err)
	}
	driven := 0
	for _, m := range list {
		if m.Driven() {
			driven++
		}
	}
	if driven != 4 || len(list) < 9 {
		t.Errorf("%d models, %d of them driven, want at least 9 and 4", len(list), driven)
	}
	for name, row := range map[string]string{
		"columns": "id,form\n",
		"id":      columns + "\n400:c35a,bulk,ff,a,b,X,0,c,d\n",
		"form":    columns + "\n0400:c35a,quad,ff,a,b,X,0,c,d\n",
		"class":   columns + "\n0400:c35a,bulk,FF,a,b,X,0,c,d\n",
		"sources": columns + "\n0400:c35a,bulk,ff,a,b,,0,c,d\n",
		"note":    columns + "\n0400:c35a,bulk,ff,a,b,X,0,c,\n",
		"seen":    columns + "\n0400:c35a,bulk,ff,a,b,X,-1,c,d\n",
		"twice":   columns + "\n" + strings.Repeat("0400:c35a,bulk,ff,a,b,X,0,c,d\n", 2),
	} {
		if _, err := readModels([]byte(row)); err == nil {
			t.Errorf("%s: readModels accepted a wrong table", name)
		}
	}
}

func TestPort(t *testing.T) {
	here := Device{ID: c35a, Path: "1-2.3", Serial: "A/7"}
	for text, want := range map[string]bool{
		"auto": true, "": true, "0400:c35a": true, "0400:C35A": true, "0400:c35a@1-2.3": true, "0400:c35a@1-2": false,
		"0400:c35a#A/7": true, "0400:c35a#B": false, "0316:5020": false,
	} {
		p, err := ParsePort(text)
		if err != nil || p.fits(here) != want {
			t.Errorf("ParsePort(%q).fits = %v, %v, want %v", text, p.fits(here), err, want)
		}
		if again, err := ParsePort(p.String()); err != nil || again != p {
			t.Errorf("ParsePort(%q) = %v, %v, want %v", p.String(), again, err, p)
		}
	}
	for _, text := range []string{"usb", "0400", "0400:c35", "0400:c35a@", "0400:c35a#", "0400:c35a@1-2#X", "0400:c35a@../x", "/dev/hidraw0"} {
		if p, err := ParsePort(text); err == nil {
			t.Errorf("ParsePort(%q) = %v, want an error", text, p)
		}
	}
	if (Port{}).fits(Device{ID: ID{0x0483, 0x572b}}) {
		t.Error("auto fits a model that is recognised only")
	}
}

// TestNameIsAReadersName: what Discover names fits the configuration's rule.
func TestNameIsAReadersName(t *testing.T) {
	for path, want := range map[string]string{"1-2.3": "usb-1-2-3", "1-" + strings.Repeat("2.", 30) + "7": "usb-" + strings.Repeat("2-", 17) + "7"} {
		if got := (Device{Path: path}).name(); got != want || len(got) > 40 {
			t.Errorf("name of %s = %s, want %s", path, got, want)
		}
	}
}
