// Package loopback tells addresses of this machine from all others, in one
// place for configuration, bus and page.
package loopback

import "net/netip"

// Is reports whether a host, as it is written in a URL or an address, is this
// machine's alone: localhost, 127.0.0.0/8 or ::1.
func Is(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
