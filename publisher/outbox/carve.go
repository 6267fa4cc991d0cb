package outbox

func carve(path string, fn func(*entry)) {}
