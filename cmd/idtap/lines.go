package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// lineLimit is the longest line that check and decode look at: a frame of the
// largest size in hex with separators. What is longer is answered as too long.
const lineLimit = 16 << 10

// inputLine is one line of a file. Text is void after the next.
type inputLine struct {
	n       int // from 1
	text    []byte
	tooLong bool // text is its beginning
}

// eachLine calls do for every line of r and flush whenever there is nothing more
// to read at once, so that a program on the other end of a pipe gets its answer.
func eachLine(ctx context.Context, r *bufio.Reader, do func(inputLine) error, flush func() error) error {
	line := inputLine{}
	for {
		if r.Buffered() == 0 {
			if err := flush(); err != nil {
				return err
			}
		}
		text, err := r.ReadSlice('\n')
		line.n++
		line.tooLong = errors.Is(err, bufio.ErrBufferFull)
		line.text = text
		if line.tooLong {
			line.text = bytes.Clone(text)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
		}
		if err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF && len(text) == 0 {
			return flush()
		}
		line.text = bytes.TrimRight(line.text, "\r\n")
		if doErr := do(line); doErr != nil {
			return doErr
		}
		if err == io.EOF {
			return flush()
		}
		if line.n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// interruptible runs work and returns early when the context ends: a read from
// a terminal or pipe cannot be taken back.
func interruptible(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return &exitError{exitFailed, texts.Errorf("interrupted")}
	}
}

// progress counts on a person's terminal, in place, twice a second, and is
// silent anywhere else.
type progress struct {
	w     io.Writer // nil: silent
	word  string
	count int
	drawn bool
	next  time.Time
}

func (a *app) newProgress(key string) *progress {
	p := &progress{word: a.say(key)}
	if isTerminal(a.err) {
		p.w = a.err
	}
	return p
}

// step counts one and draws if it is time.
func (p *progress) step() {
	p.count++
	if p.w == nil || p.count%256 != 0 {
		return
	}
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(500 * time.Millisecond)
		p.drawn = true
		fmt.Fprintf(p.w, "\r%d %s", p.count, p.word)
	}
}

// clear takes the count off the screen before something else is written.
func (p *progress) clear() {
	if p.drawn {
		p.drawn = false
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
