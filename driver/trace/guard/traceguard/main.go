// Command traceguard looks for anything in recordings that could be a person:
//
//	go run ./driver/trace/guard/traceguard FILE…
//
// Exit code 1: something was found, or a file could not be read.
package main

import (
	"fmt"
	"os"

	"idtap/driver/trace/guard"
)

func main() {
	code := 0
	for _, name := range os.Args[1:] {
		file, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
			continue
		}
		for _, s := range guard.Check(file) {
			fmt.Printf("%s:%d: may hold %s\n", name, s.Line, s.What)
			code = 1
		}
	}
	os.Exit(code)
}
