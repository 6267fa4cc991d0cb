//go:build !nopcsc && !cgo

package pcsc

// builtIn is the backend of this build.
var builtIn backend = socket{}
