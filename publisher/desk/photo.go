package desk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/draw"
	_ "image/gif"
	_ "image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"strings"
	"time"

	_ "golang.org/x/image/bmp" // what most WLT decoders write
)

// The portrait on the chip is 102 x 126 points in the WLT format, which only
// the ministry's decoder and its copies read. idtap ships none: an
// administrator may configure a command that turns WLT on stdin into an image
// on stdout. Of the format itself only the container is checked: "WL", then
// width and height, little-endian.
const (
	photoWidth  = 102
	photoHeight = 126
	wltMax      = 1024
	imageMax    = 256 << 10 // an uncompressed BMP of that size has 39 KiB
	photoWithin = 3 * time.Second
)

var (
	errNotWLT    = errors.New("not a WLT portrait")
	errTooLarge  = errors.New("the decoder writes more than 256 KiB")
	errWrongSize = errors.New("the decoder's image is not 102 x 126")
)

// decoder runs the administrator's command, a fresh process per portrait.
type decoder struct {
	command []string
	within  time.Duration
	running chan struct{}
}

func newDecoder(command []string) *decoder {
	return &decoder{command: command, within: photoWithin, running: make(chan struct{}, 2)}
}

// Portrait returns how a portrait is decoded here, nil without a decoder.
func (s *Server) Portrait() func(ctx context.Context, wlt []byte) ([]byte, error) {
	if s.photos == nil {
		return nil
	}
	return s.photos.decode
}

// decode turns a WLT portrait into a PNG. The command is killed, with all it
// started, when it is slow or writes too much; its image is checked and written
// anew, so that nothing but pixels passes.
func (d *decoder) decode(ctx context.Context, wlt []byte) ([]byte, error) {
	if len(wlt) < 6 || len(wlt) > wltMax || string(wlt[:2]) != "WL" ||
		binary.LittleEndian.Uint16(wlt[2:]) != photoWidth || binary.LittleEndian.Uint16(wlt[4:]) != photoHeight {
		return nil, errNotWLT
	}
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	select {
	case d.running <- struct{}{}:
		defer func() { <-d.running }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out, err := d.run(ctx, cancel, wlt)
	if err != nil {
		return nil, err
	}
	return repaint(out)
}

func (d *decoder) run(ctx context.Context, cancel context.CancelFunc, wlt []byte) ([]byte, error) {
	out := &bounded{max: imageMax, over: cancel}
	cmd := exec.CommandContext(ctx, d.command[0], d.command[1:]...)
	cmd.Stdin, cmd.Stdout = bytes.NewReader(wlt), out
	cmd.Env = withoutSecrets(os.Environ())
	cmd.WaitDelay = 200 * time.Millisecond
	killGroup(cmd)
	err := cmd.Run()
	switch {
	case out.full:
		return nil, errTooLarge
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the decoder did not finish within %v", d.within)
	case err != nil:
		return nil, fmt.Errorf("the decoder failed: %w", err) // an exit status; its stderr is not kept
	}
	return out.b.Bytes(), nil
}

// repaint checks an image's size before it is decoded and paints it anew.
func repaint(b []byte) ([]byte, error) {
	head, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("the decoder's output: %w", err)
	}
	if head.Width != photoWidth || head.Height != photoHeight {
		return nil, errWrongSize
	}
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("the decoder's output: %w", err)
	}
	if img.Bounds().Size() != (image.Point{X: photoWidth, Y: photoHeight}) {
		return nil, errWrongSize
	}
	fresh := image.NewNRGBA(image.Rect(0, 0, photoWidth, photoHeight))
	draw.Draw(fresh, fresh.Bounds(), img, img.Bounds().Min, draw.Src)
	var buf bytes.Buffer
	if err := png.Encode(&buf, fresh); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// withoutSecrets keeps the daemon's own settings, keys among them, from the
// decoder.
func withoutSecrets(env []string) []string {
	var kept []string
	for _, e := range env {
		if !strings.HasPrefix(e, "IDTAP_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// bounded is a buffer that ends the process which overfills it.
type bounded struct {
	b    bytes.Buffer
	max  int
	over context.CancelFunc
	full bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.b.Len()+len(p) > b.max {
		b.full = true
		b.over()
		return 0, errTooLarge
	}
	return b.b.Write(p)
}
