//go:build !nopcsc

package pcsc

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"syscall"
)

// socket is the backend that speaks to pcscd itself: what libpcsclite does, for
// builds without C. The protocol is no published interface. It is that of
// pcsc-lite's src/winscard_msg.h, unchanged for what is used here since 1.8.24
// (2018): checked against 1.9.9, 2.3.3 and 2.5.1, and at every connection by the
// version that pcscd answers.
//
// A request is a header {size of the body, command}, a body of fixed layout, and
// data where there are some; an answer is the same body with the result filled
// in, and data. All numbers are u32 of the machine's own byte order.
type socket struct{}

func (socket) name() string { return "pcscd socket" }

const (
	socketPath = "/run/pcscd/pcscd.comm"
	// socketEnv moves it, as for libpcsclite.
	socketEnv = "PCSCLITE_CSOCK_NAME"
)

// Commands.
const (
	cmdEstablish  = 1
	cmdRelease    = 2
	cmdConnect    = 4
	cmdReconnect  = 5
	cmdDisconnect = 6
	cmdTransmit   = 9
	cmdControl    = 10
	cmdVersion    = 0x11
	cmdReaders    = 0x12
)

// Bodies. Their fields' sizes and order are pcscd's.
type (
	versionBody    struct{ Major, Minor, Result uint32 }
	establishBody  struct{ Scope, Context, Result uint32 }
	releaseBody    struct{ Context, Result uint32 }
	disconnectBody struct{ Card, Disposition, Result uint32 }
	connectBody    struct {
		Context                          uint32
		Reader                           [nameSize]byte
		Share, Protocols, Card, Protocol uint32
		Result                           uint32
	}
	reconnectBody struct{ Card, Share, Protocols, Initialization, Protocol, Result uint32 }
	transmitBody  struct {
		Card, SendProtocol, SendHeader, SendSize    uint32
		ReceiveProtocol, ReceiveHeader, ReceiveSize uint32
		Result                                      uint32
	}
	controlBody struct{ Card, Code, SendSize, ReceiveSize, Returned, Result uint32 }
	readerBody  struct {
		Name     [nameSize]byte
		Events   uint32
		State    uint32
		Sharing  int32
		ATR      [33]byte
		_        [3]byte
		ATRSize  uint32
		Protocol uint32
	}
)

const (
	nameSize   = 128
	maxReaders = 16

	scopeSystem   = 2
	shareShared   = 2
	shareDirect   = 3
	protocolT0    = 1
	protocolT1    = 2
	protocolAny   = protocolT0 | protocolT1
	leaveCard     = 0
	ioHeader      = 16         // size of SCARD_IO_REQUEST on 64-bit machines; pcscd passes it on
	controlPrefix = 0x42000000 // SCARD_CTL_CODE
	readerPresent = 0x04
	sharedAlone   = -1 // PCSCLITE_SHARING_EXCLUSIVE_CONTEXT
)

// versions are what pcscd may speak: 4:4 since 1.8.24, 4:5 from 2.3.0, which up
// to 2.4.0 refuses 4:4.
var versions = []versionBody{{Major: 4, Minor: 4}, {Major: 4, Minor: 5}}

// establish opens a connection, agrees on a version and makes a context.
func (socket) establish() (service, error) {
	conn, err := net.Dial("unix", cmp.Or(os.Getenv(socketEnv), socketPath))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: %w", codeDenied, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", codeNoService, err)
	}
	s := &socketService{conn: conn}
	if err := s.agree(); err != nil {
		conn.Close()
		return nil, err
	}
	body := establishBody{Scope: scopeSystem}
	if err := s.ask(cmdEstablish, &body, &body.Result); err != nil {
		conn.Close()
		return nil, err
	}
	s.context = body.Context
	return s, nil
}

// socketService is a connection: a thread of pcscd's, which answers one request
// after the other.
type socketService struct {
	conn    net.Conn
	context uint32
}

// agree finds a version that pcscd speaks. A pcscd that refuses the user (polkit)
// closes the connection instead.
func (s *socketService) agree() error {
	for i, v := range versions {
		err := s.ask(cmdVersion, &v, &v.Result)
		var c Code
		switch {
		case i == 0 && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)):
			return fmt.Errorf("%w: %w", codeDenied, err)
		case errors.As(err, &c) && c == codeServiceStopped && i+1 < len(versions) && v.Major == versions[0].Major:
			continue
		case err != nil:
			return err
		case v.Major != versions[0].Major:
			return fmt.Errorf("%w: pcscd speaks version %d:%d", codeNoService, v.Major, v.Minor)
		}
		return nil
	}
	return codeNoService
}

// ask sends a body with data behind it and reads the answer's body into the
// same place. Its result, if it is none, is the error.
func (s *socketService) ask(command uint32, body any, result *uint32, data ...byte) error {
	if err := s.send(command, body, data); err != nil {
		return err
	}
	if err := s.receive(body); err != nil {
		return err
	}
	if *result != 0 {
		return Code(*result)
	}
	return nil
}

func (s *socketService) send(command uint32, body any, data []byte) error {
	size := 0
	if body != nil {
		size = binary.Size(body)
	}
	var b bytes.Buffer
	binary.Write(&b, binary.NativeEndian, [2]uint32{uint32(size), command})
	if body != nil {
		binary.Write(&b, binary.NativeEndian, body)
	}
	b.Write(data)
	_, err := s.conn.Write(b.Bytes())
	return broken(err)
}

// receive reads one body. There is no limit to how long it may be under way: the
// caller bounds the call.
func (s *socketService) receive(body any) error {
	p := make([]byte, binary.Size(body))
	if err := s.fill(p); err != nil {
		return err
	}
	_, err := binary.Decode(p, binary.NativeEndian, body)
	return err
}

func (s *socketService) fill(p []byte) error {
	_, err := io.ReadFull(s.conn, p)
	return broken(err)
}

// broken is the error of a connection that ended.
func broken(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", codeNoService, err)
}

// table asks for all readers.
func (s *socketService) table() ([]readerBody, error) {
	var all [maxReaders]readerBody
	if err := s.send(cmdReaders, nil, nil); err != nil {
		return nil, err
	}
	if err := s.receive(&all); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all[:], func(r readerBody) bool { return r.Name[0] == 0 }), nil
}

func (r readerBody) name() string { return cString(r.Name[:]) }

// cString returns a C string.
func cString(p []byte) string {
	if i := bytes.IndexByte(p, 0); i >= 0 {
		p = p[:i]
	}
	return string(p)
}

func (s *socketService) readers() ([]string, error) {
	all, err := s.table()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.name()
	}
	return names, nil
}

func (s *socketService) states(readers []string) ([]state, error) {
	all, err := s.table()
	if err != nil {
		return nil, err
	}
	states := make([]state, len(readers))
	for i, name := range readers {
		at := slices.IndexFunc(all, func(r readerBody) bool { return r.name() == name })
		if at < 0 {
			continue
		}
		r := all[at]
		states[i] = state{
			reader:  name,
			there:   true,
			present: r.State&readerPresent != 0,
			alone:   r.Sharing == sharedAlone,
			shared:  r.Sharing > 0,
			events:  r.Events & 0xFFFF,
		}
		if n := int(r.ATRSize); n > 0 && n <= len(r.ATR) && states[i].present {
			states[i].atr = slices.Clone(r.ATR[:n])
		}
	}
	return states, nil
}

func (s *socketService) connect(reader string, direct bool) (card, error) {
	body := connectBody{Context: s.context, Share: shareShared, Protocols: protocolAny}
	if direct {
		body.Share, body.Protocols = shareDirect, 0
	}
	if len(reader) >= nameSize {
		return nil, codeUnknownReader
	}
	copy(body.Reader[:], reader)
	if err := s.ask(cmdConnect, &body, &body.Result); err != nil {
		return nil, err
	}
	return &socketCard{s: s, handle: body.Card, protocol: body.Protocol}, nil
}

func (s *socketService) release() error {
	body := releaseBody{Context: s.context}
	err := s.ask(cmdRelease, &body, &body.Result)
	return errors.Join(err, s.conn.Close())
}

type socketCard struct {
	s        *socketService
	handle   uint32
	protocol uint32
}

func (c *socketCard) transmit(apdu []byte) ([]byte, error) {
	if c.protocol != protocolT0 && c.protocol != protocolT1 || len(apdu) == 0 {
		return nil, codeProtoMismatch
	}
	body := transmitBody{Card: c.handle, SendProtocol: c.protocol, SendHeader: ioHeader, SendSize: uint32(len(apdu)),
		ReceiveProtocol: protocolAny, ReceiveHeader: ioHeader, ReceiveSize: maxAnswer}
	if err := c.s.ask(cmdTransmit, &body, &body.Result, apdu...); err != nil {
		return nil, err
	}
	return c.s.data(body.ReceiveSize)
}

func (c *socketCard) control(number uint32, data []byte) ([]byte, error) {
	if number <= maxFunction {
		number += controlPrefix
	}
	body := controlBody{Card: c.handle, Code: number, SendSize: uint32(len(data)), ReceiveSize: maxAnswer}
	if err := c.s.ask(cmdControl, &body, &body.Result, data...); err != nil {
		return nil, err
	}
	return c.s.data(body.Returned)
}

// data reads what follows a body.
func (s *socketService) data(size uint32) ([]byte, error) {
	if size > maxAnswer {
		s.conn.Close() // there is no telling where the next answer begins
		return nil, codeCommError
	}
	p := make([]byte, size)
	return p, s.fill(p)
}

func (c *socketCard) reconnect() error {
	body := reconnectBody{Card: c.handle, Share: shareShared, Protocols: protocolAny, Initialization: leaveCard}
	err := c.s.ask(cmdReconnect, &body, &body.Result)
	if err == nil {
		c.protocol = body.Protocol
	}
	return err
}

func (c *socketCard) disconnect() error {
	body := disconnectBody{Card: c.handle, Disposition: leaveCard}
	return c.s.ask(cmdDisconnect, &body, &body.Result)
}
