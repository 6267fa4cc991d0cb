//go:build cgo && !nopcsc

package pcsc

// ways are the backends that the tests are run with: all there are.
var ways = map[string]backend{"library": library{}, "socket": socket{}}
