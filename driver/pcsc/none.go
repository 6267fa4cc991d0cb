//go:build nopcsc || (!cgo && !linux && !windows)

package pcsc

import "idtap/driver"

// builtIn is the backend of this build.
var builtIn backend = notBuilt{}

type notBuilt struct{}

func (notBuilt) name() string { return "not built in" }

func (notBuilt) establish() (service, error) { return nil, driver.ErrNotBuilt }
