// Every accepted tap, as it comes: go run ./examples/desk/go [URL [TOKEN]].
// Without the token, names are masked.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

type tap struct {
	ID, Outcome string
	Data        *struct {
		Person    struct{ Name string }
		Residence struct{ Relation string }
	}
}

func main() {
	args := append(os.Args[1:], []string{"http://127.0.0.1:7643", ""}[min(len(os.Args)-1, 2):]...)
	request, err := http.NewRequest("GET", args[0]+"/api/v1/events", nil)
	if err != nil {
		log.Fatal(err)
	}
	if args[1] != "" {
		request.Header.Set("Authorization", "Bearer "+args[1])
	}
	stream, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	seen := ""
	for lines := bufio.NewReader(stream.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			log.Fatal(err) // connect again: the stream begins with the whole state
		}
		var state struct{ Last []tap }
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || json.Unmarshal([]byte(data), &state) != nil || len(state.Last) == 0 {
			continue
		}
		if t := state.Last[0]; t.Outcome == "accepted" && t.Data != nil && t.ID != seen {
			seen = t.ID
			fmt.Println(t.Data.Person.Name, t.Data.Residence.Relation)
		}
	}
}
