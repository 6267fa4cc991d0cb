package securefile

import "errors"

// ErrLocked means that another process holds a lock.
var ErrLocked = errors.New("another process has it")
