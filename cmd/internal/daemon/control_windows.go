package daemon

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/Microsoft/go-winio"
)

// controlPath is the named pipe of a queue's daemon. Sockets of the file system are
// there on Windows 10 1803 and later only, and not in Wine.
func controlPath(dir string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(dir)))
	return fmt.Sprintf(`\\.\pipe\idtap-%x`, sum[:8])
}

// controlAccess lets SYSTEM, administrators and the daemon's own account ask.
const controlAccess = "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)"

func listenAt(path string) (net.Listener, error) {
	return winio.ListenPipe(path, &winio.PipeConfig{SecurityDescriptor: controlAccess, InputBufferSize: 64 << 10, OutputBufferSize: 64 << 10})
}

func dialControl(ctx context.Context, path string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return winio.DialPipeContext(ctx, path)
}

func packagedControl(string) string { return "" }
