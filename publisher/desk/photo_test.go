package desk

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/bmp"
)

// TestMain lets the test program be a decoder as well.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "decoder" {
		playDecoder(os.Args[2])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// portrait is a synthetic WLT container: the pixels are noise.
func portrait() []byte {
	b := make([]byte, wltMax)
	copy(b, "WL")
	binary.LittleEndian.PutUint16(b[2:], photoWidth)
	binary.LittleEndian.PutUint16(b[4:], photoHeight)
	return b
}

// playDecoder is a decoder of some manner.
func playDecoder(manner string) {
	wlt, _ := io.ReadAll(os.Stdin)
	img := image.NewRGBA(image.Rect(0, 0, photoWidth, photoHeight))
	for i := range img.Pix {
		img.Pix[i] = 0xFF
	}
	img.Set(1, 1, color.RGBA{200, 10, 10, 255})
	switch manner {
	case "good":
		if bytes.Equal(wlt, portrait()) && os.Getenv("IDTAP_NATS_CREDS") == "" {
			bmp.Encode(os.Stdout, img)
		}
	case "slow":
		<-time.After(time.Hour)
	case "crashing":
		panic("decoder")
	case "silent":
	case "lying": // another size
		png.Encode(os.Stdout, image.NewRGBA(image.Rect(0, 0, 126, 102)))
	case "text":
		os.Stdout.WriteString("<script>alert(1)</script>")
	case "cut":
		var b bytes.Buffer
		png.Encode(&b, img)
		os.Stdout.Write(b.Bytes()[:b.Len()/2])
	case "bomb": // claims to be huge
		var b bytes.Buffer
		png.Encode(&b, img)
		head := b.Bytes()[12:29] // the chunk IHDR
		binary.BigEndian.PutUint32(head[4:], 40000)
		binary.BigEndian.PutUint32(b.Bytes()[29:], crc32.ChecksumIEEE(head))
		os.Stdout.Write(b.Bytes())
	case "oversized":
		for {
			if _, err := os.Stdout.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	case "trailing": // an image with something behind it
		bmp.Encode(os.Stdout, img)
		os.Stdout.WriteString("secret tail")
	}
}

func TestDecoder(t *testing.T) {
	t.Setenv("IDTAP_NATS_CREDS", "/etc/idtap/desk.creds")
	for _, test := range []struct{ manner, want string }{
		{"good", ""},
		{"trailing", ""},
		{"slow", "did not finish"},
		{"crashing", "failed"},
		{"silent", "output"},
		{"lying", "102 x 126"},
		{"text", "output"},
		{"cut", "output"},
		{"bomb", "102 x 126"},
		{"oversized", "256 KiB"},
	} {
		t.Run(test.manner, func(t *testing.T) {
			d := newDecoder([]string{os.Args[0], "decoder", test.manner})
			if test.manner == "slow" {
				d.within = 300 * time.Millisecond
			}
			out, err := d.decode(t.Context(), portrait())
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(bytes.NewReader(out))
			if err != nil || img.Bounds().Dx() != photoWidth || img.Bounds().Dy() != photoHeight {
				t.Fatalf("%v %v", img.Bounds(), err)
			}
			if r, g, _, _ := img.At(1, 1).RGBA(); r>>8 != 200 || g>>8 != 10 {
				t.Error("another picture")
			}
			if bytes.Contains(out, []byte("secret")) {
				t.Error("more than pixels passed")
			}
		})
	}
}

func TestDecoderIsNotAskedForAnythingElse(t *testing.T) {
	d := newDecoder([]string{"/nonexistent"})
	for name, wlt := range map[string][]byte{"none": nil, "short": []byte("WL"), "text": bytes.Repeat([]byte{0}, wltMax), "other size": append([]byte("WL\x7e\x00\x66\x00"), 1),
		"large": append(portrait(), 0)} {
		if _, err := d.decode(t.Context(), wlt); err != errNotWLT {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// At most two decoders run; a caller that leaves does not wait.
func TestDecodersAreBounded(t *testing.T) {
	d := newDecoder([]string{os.Args[0], "decoder", "slow"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	for range 2 {
		go func() { _, err := d.decode(ctx, portrait()); done <- err }()
	}
	for len(d.running) < cap(d.running) {
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := d.decode(gone, portrait()); err != context.Canceled {
		t.Error(err)
	}
	cancel()
	for range 2 {
		if err := <-done; err == nil {
			t.Error("a killed decoder gave an image")
		}
	}
}

func TestPhotoRoute(t *testing.T) {
	d := serve(t, func(o *Options) { o.Decoder = []string{os.Args[0], "decoder", "good"} })
	d.board.tapped("a") // with a portrait that is none
	if status, _, body := d.ask(t, "POST", "/api/v1/registrations/a/photo", "{}", d.page()); status != 502 {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := d.ask(t, "POST", "/api/v1/registrations/b/photo", "{}", d.page()); status != 404 {
		t.Errorf("%d %s", status, body)
	}
	d.board.last[0].photo = portrait()
	status, header, body := d.ask(t, "POST", "/api/v1/registrations/a/photo", "{}", d.page())
	if status != 200 || header.Get("Content-Type") != "image/png" || !strings.HasPrefix(body, "\x89PNG") {
		t.Errorf("%d %s", status, header)
	}
	if got := d.book.take(); got[len(got)-1] != "audit page:not signed in photo a" {
		t.Errorf("%q", got)
	}
}
