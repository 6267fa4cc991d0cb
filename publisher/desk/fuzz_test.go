package desk

import (
	"bytes"
	"image"
	"image/gif"
	"image/png"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/image/bmp"
)

// Whatever a decoder writes, what passes is a portrait-sized PNG or an error.
func FuzzRepaint(f *testing.F) {
	good := image.NewGray(image.Rect(0, 0, photoWidth, photoHeight))
	for _, encode := range []func(*bytes.Buffer) error{
		func(b *bytes.Buffer) error { return png.Encode(b, good) },
		func(b *bytes.Buffer) error { return bmp.Encode(b, good) },
		func(b *bytes.Buffer) error { return gif.Encode(b, good, nil) },
	} {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		f.Add(b.Bytes()[:b.Len()/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := repaint(b)
		if err != nil {
			return
		}
		head, err := png.DecodeConfig(bytes.NewReader(out))
		if err != nil || head.Width != photoWidth || head.Height != photoHeight {
			t.Errorf("%+v %v", head, err)
		}
	})
}

// Whatever stands in a PIN file, each operator is found by their PIN only, and
// no error says one.
func FuzzPINs(f *testing.F) {
	f.Add("张敏:482913\n# comment\nLi Wei：7731\n")
	f.Add("a:1\n:2222\nb:\n")
	f.Fuzz(func(t *testing.T, file string) {
		ops, err := parsePINs([]byte(file))
		if err != nil {
			if at := strings.LastIndexByte(file, ':'); at >= 0 {
				if pin := strings.TrimSpace(file[at+1:]); len(pin) >= 8 && utf8.ValidString(pin) && strings.Contains(err.Error(), pin) {
					t.Errorf("the error says %q", pin)
				}
			}
			return
		}
		for _, name := range ops {
			if name == "" || strings.ContainsAny(name, "\n") {
				t.Errorf("operator %q", name)
			}
		}
		if _, ok := ops.find(""); ok {
			t.Error("no PIN is somebody's")
		}
	})
}
