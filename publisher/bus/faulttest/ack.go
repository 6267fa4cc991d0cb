package faulttest

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
)

// ackFilter reads the server's side of the NATS protocol and leaves out the
// stream acknowledgements that lose picks:
//
//	MSG <subject> <sid> [reply] <size>\r\n<payload>\r\n
//	HMSG <subject> <sid> [reply] <header size> <size>\r\n<header><payload>\r\n
type ackFilter struct {
	from *bufio.Reader
	lose func() bool
	out  bytes.Buffer
}

func newAckFilter(from io.Reader, lose func() bool) *ackFilter {
	return &ackFilter{from: bufio.NewReaderSize(from, 64<<10), lose: lose}
}

func (a *ackFilter) Read(p []byte) (int, error) {
	for a.out.Len() == 0 {
		if err := a.next(); err != nil {
			return 0, err
		}
	}
	return a.out.Read(p)
}

// next takes one protocol line, with its payload where it has one.
func (a *ackFilter) next() error {
	line, err := a.from.ReadBytes('\n')
	if err != nil {
		return err
	}
	message := bytes.HasPrefix(line, []byte("MSG ")) || bytes.HasPrefix(line, []byte("HMSG "))
	if !message {
		a.out.Write(line)
		return nil
	}
	fields := bytes.Fields(line)
	size, err := strconv.Atoi(string(fields[len(fields)-1]))
	if err != nil {
		return err
	}
	payload := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(a.from, payload); err != nil {
		return err
	}
	ack := bytes.HasPrefix(fields[1], []byte("_INBOX")) && bytes.HasPrefix(payload, []byte(`{"stream":`))
	if ack && a.lose() {
		return nil
	}
	a.out.Write(line)
	a.out.Write(payload)
	return nil
}
