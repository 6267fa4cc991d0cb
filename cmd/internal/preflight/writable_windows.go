package preflight

// writable is left to the start itself: only an attempt tells here.
func writable(string) bool { return true }
