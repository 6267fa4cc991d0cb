package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// isTerminal reports whether w is a person's terminal: colours and progress are
// for those only.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
