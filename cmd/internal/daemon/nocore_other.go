//go:build !linux

package daemon

// forbidCores does nothing: not tested on this system.
func forbidCores() error { return nil }
